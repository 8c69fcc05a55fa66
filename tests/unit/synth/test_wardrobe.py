"""The wardrobe file, with a made-up garment and skin."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from skins import LEFT_EYE, corner_uv_with_eyes

from nbf.errors import DataError
from nbf.synth.wardrobe import Garment, Skin, Wardrobe, stack_region_maps, stack_textures


def make_garment(name: str = "coat", kind: str = "suit", gender: str = "any", split: str = "train") -> Garment:
    generator = torch.Generator().manual_seed(len(name))
    weights = torch.rand((20, 4), generator=generator)
    texture = torch.full((32, 32, 4), 255, dtype=torch.uint8)
    texture[:16, :, 0] = 90
    if kind == "hair":
        texture[:, 16:, 3] = 0
    return Garment(
        name=name,
        kind=kind,
        gender=gender,
        split=split,
        rest=torch.rand((20, 3), generator=generator) * 2 - 1,
        shape_dirs=0.01 * torch.randn((20, 3, 5), generator=generator),
        skin_joints=torch.randint(24, (20, 4), generator=generator),
        skin_weights=weights / weights.sum(1, keepdim=True),
        surface=torch.rand((20, 3), generator=generator),
        faces=torch.randint(20, (9, 3), generator=generator),
        uv=torch.rand((9, 3, 2), generator=generator),
        parts=torch.randint(1, 25, (9,), generator=generator),
        regions=torch.randint(5, (9,), generator=generator),
        texture=texture,
        region_map=torch.randint(5, (32, 32), generator=generator, dtype=torch.uint8),
        hides=torch.rand(13, generator=generator) < 0.5,
    )


def make_wardrobe() -> Wardrobe:
    skin = Skin("young_male", "male", "young", "test", False, torch.full((32, 32, 4), 255, dtype=torch.uint8))
    garments = (make_garment(), make_garment("hat1", "hat", "female", "test"), make_garment("wig", "hair", "male"))
    return Wardrobe(garments, (skin,), torch.rand(13, 3, 2))


def test_save_and_load_round_trip(tmp_path: Path):
    wardrobe = make_wardrobe()
    wardrobe.save(tmp_path / "deep" / "wardrobe.npz")
    back = Wardrobe.load(tmp_path / "deep" / "wardrobe.npz")
    torch.testing.assert_close(back.body_uv, wardrobe.body_uv, atol=1e-5, rtol=0)
    tolerance = {"rest": 4e-5, "shape_dirs": 2e-5, "skin_weights": 2e-5, "surface": 1e-5, "uv": 1e-5}
    for old, new in zip(wardrobe.garments, back.garments):
        for field in dataclasses.fields(Garment):
            a, b = getattr(old, field.name), getattr(new, field.name)
            if field.name == "texture":
                assert (a.double() - b.double()).abs().mean() < 3, "JPEG and WebP are lossy"
            elif isinstance(a, torch.Tensor):
                assert a.dtype == b.dtype
                bound = tolerance.get(field.name, 0)
                assert (a.double() - b.double()).abs().max() <= bound, field.name
            else:
                assert a == b
        assert torch.equal(old.texture[..., 3], new.texture[..., 3]), "alpha is kept exactly"
    assert [(s.name, s.age, s.split, s.suited) for s in back.skins] == [("young_male", "young", "test", False)]


def test_pick_by_kind_split_and_gender():
    wardrobe = make_wardrobe()
    assert [g.name for g in wardrobe.pick("suit", gender="female")] == ["coat"], "garments for any count"
    assert wardrobe.pick("hat", split="train") == []
    assert wardrobe.pick("hair", gender="female") == []
    assert [g.transparent for g in wardrobe.garments] == [False, False, True]
    assert len(wardrobe.pick_skins(split="test", gender="male")) == 1


def test_a_wardrobe_for_another_body_is_refused():
    wardrobe = make_wardrobe()
    wardrobe.check(13)
    with pytest.raises(DataError, match="14"):
        wardrobe.check(14)


def test_stacks_follow_the_order_given():
    wardrobe = make_wardrobe()
    items = [*wardrobe.garments, *wardrobe.skins]
    assert stack_textures(items).shape == (4, 32, 32, 4)
    regions = stack_region_maps(items)
    assert torch.equal(regions[0], wardrobe.garments[0].region_map)
    assert not regions[3].any()


@pytest.mark.parametrize("content", [None, b"", b"not a zip"])
def test_a_missing_or_damaged_file_is_named(tmp_path: Path, content: bytes | None):
    path = tmp_path / "wardrobe.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"wardrobe\.npz"):
        Wardrobe.load(path)


def test_eyes_look_up_the_pasted_eyeball():
    index = np.array([0, 1, 2, *range(LEFT_EYE[0], LEFT_EYE[0] + 3)])
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [-0.01, 0.0, 0], [0.01, 0.0, 0], [0.0, 0.01, 0]])
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    out = corner_uv_with_eyes(np.zeros((2, 3, 2)), points, faces, index)
    assert (out[0] == 0).all()
    assert (out[1] > (0.8, 0.0)).all()
    assert (out[1] < (1.0, 0.2)).all()
    assert out[1, 2, 1] < out[1, 0, 1], "v runs downwards"
