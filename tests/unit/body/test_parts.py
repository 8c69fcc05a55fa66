"""The 24 parts, their merges, mirror images and colours, and how a body's faces get theirs."""

import pytest
import torch

from nbf.body.files import load_body
from nbf.body.model import BodyModel
from nbf.body.parts import COLORS, MERGE, MIRROR24, NAMES, PARTS24, merge_labels, merge_probabilities


@pytest.fixture(scope="module", params=["full", "small"])
def body(request: pytest.FixtureRequest) -> BodyModel:
    return load_body("anny24", request.param)


@pytest.mark.parametrize("parts", [24, 14, 12, 6, 3, 1])
def test_merges_have_as_many_parts_as_they_say(parts: int):
    assert sorted(MERGE[parts].unique().tolist()) == list(range(parts + 1))
    assert len(NAMES[parts]) == parts + 1
    assert MERGE[parts][0] == 0


def test_merges_refine_one_another():
    for fine, coarse in ((24, 14), (14, 12), (12, 6), (6, 3), (3, 1)):
        pairs = set(zip(MERGE[fine].tolist(), MERGE[coarse].tolist()))
        assert len(pairs) == fine + 1


def test_merge_examples():
    def merged(name: str, parts: int) -> str:
        return NAMES[parts][int(MERGE[parts][PARTS24.index(name)])]

    assert merged("left_hand", 14) == "left_hand"
    assert merged("left_hand", 12) == "left_lower_arm"
    assert merged("right_foot", 6) == "right_leg"
    assert merged("right_upper_arm_back", 3) == "upper"
    assert merged("left_face", 12) == merged("right_face", 12) == "head"


def test_merged_probabilities_follow_merged_labels():
    labels = torch.randint(0, 25, (2, 5, 4), generator=torch.Generator().manual_seed(0))
    sure = torch.nn.functional.one_hot(labels, 25).permute(0, 3, 1, 2).float()
    for parts in (14, 12, 6, 3, 1):
        merged = merge_probabilities(sure, parts)
        assert torch.equal(merged.argmax(1), merge_labels(labels, parts))
        assert torch.equal(merged.sum(1), torch.ones(2, 5, 4))


def test_mirror_is_its_own_inverse():
    assert [MIRROR24[k] for k in MIRROR24] == list(range(25))
    assert MIRROR24[1] == 2
    assert MIRROR24[13] == 13


def test_colors_are_distinct():
    assert COLORS.shape == (25, 3)
    assert COLORS.dtype == torch.uint8
    assert len({tuple(c) for c in COLORS.tolist()}) == 25


def test_every_part_is_on_the_body_on_its_own_side(body: BodyModel):
    centres = body.template[body.faces].mean(1)
    for part in range(1, 25):
        mine = centres[body.face_parts == part]
        assert len(mine) > 5, PARTS24[part]
        side = {"left": 1.0, "right": -1.0}.get(PARTS24[part].split("_")[0])
        if side is not None:
            assert (mine[:, 0] * side).min() > -0.03, PARTS24[part]


def test_fronts_lie_before_backs(body: BodyModel):
    depth = body.template[body.faces].mean(1)[:, 2]
    for front, name in enumerate(PARTS24):
        if name.endswith("_front"):
            back = PARTS24.index(name.replace("_front", "_back"))
            assert depth[body.face_parts == front].mean() > depth[body.face_parts == back].mean() + 0.02


def test_left_and_right_have_equal_area(body: BodyModel):
    a, b, c = body.template[body.faces].unbind(1)
    area = torch.linalg.cross(b - a, c - a).norm(dim=1) / 2
    sums = torch.zeros(25).index_add(0, body.face_parts, area)
    torch.testing.assert_close(sums, sums[list(MIRROR24)], rtol=0.02, atol=0.002)
