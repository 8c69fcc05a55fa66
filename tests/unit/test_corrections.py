"""Evidence that somebody corrects: what is painted, pinned, hidden or swapped changes, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nbf.body.joints import COCO17, MIRROR_COCO17
from nbf.body.parts import MIRROR24, PARTS24
from nbf.corrections import UNTOUCHED, Correction, corrected, painted
from nbf.errors import InputError
from nbf.people import PartMap, People

HAND, WRIST = PARTS24.index("left_hand"), COCO17.index("left_wrist")


@pytest.fixture
def people(make_people) -> People:
    """Two, whose part maps are noise."""
    some = make_people(2)
    draw = torch.Generator().manual_seed(0)
    maps = [torch.rand(25, 64, 64, generator=draw).softmax(0) for _ in some]
    return replace(some, persons=tuple(replace(each, parts=PartMap(m, each.parts.crop)) for each, m in zip(some, maps)))


def paint(rows: slice, columns: slice, label: int) -> np.ndarray:
    labels = np.full((256, 256), UNTOUCHED, np.uint8)
    labels[rows, columns] = label
    return labels


def test_nothing_corrected_changes_nothing(people: People) -> None:
    same, pinned = corrected(people, [Correction(), Correction()])
    for person, before in zip(same, people):
        assert torch.equal(person.parts.probabilities, before.parts.probabilities)
        assert torch.equal(person.keypoints, before.keypoints)
    assert not pinned.any()


def test_cells_have_as_much_of_a_part_as_was_painted(people: People) -> None:
    before = people[0].parts.probabilities
    after = painted(before, paint(slice(40, 82), slice(20, 24), HAND))
    torch.testing.assert_close(after.sum(0), torch.ones(64, 64))
    assert torch.equal(after[:, 10:20, 5].argmax(0), torch.full((10,), HAND))
    torch.testing.assert_close(after[:, 20, 5], 0.5 * before[:, 20, 5] + 0.5 * torch.eye(25)[HAND])
    after[:, 10:21, 5] = before[:, 10:21, 5]
    assert torch.equal(after, before)


def test_swapping_twice_swaps_nothing_and_all_swapped_is_the_mirror_of_labels(people: People) -> None:
    once, _ = corrected(people, [Correction(swap=("arms", "legs", "face")), Correction()])
    twice, _ = corrected(once, [Correction(swap=("arms", "legs", "face")), Correction()])
    assert torch.equal(once[0].parts.probabilities, people[0].parts.probabilities[list(MIRROR24)])
    assert torch.equal(once[0].keypoints, people[0].keypoints[list(MIRROR_COCO17)])
    assert torch.equal(twice[0].parts.probabilities, people[0].parts.probabilities)
    legs, _ = corrected(people, [Correction(swap=("legs",)), Correction()])
    moved = [PARTS24[i] for i in range(25) if not torch.equal(*(p[0].parts.probabilities[i] for p in (legs, people)))]
    assert {name.split("_")[-2 if "leg" in name else -1] for name in moved} == {"leg", "foot"}


def test_pinned_joints_are_told_and_hidden_ones_not_seen(people: People) -> None:
    after, pinned = corrected(people, [Correction(), Correction(joints={"left_wrist": (12, 34), "nose": None})])
    assert pinned[1, WRIST].tolist() == [12, 34, 1]
    assert pinned.count_nonzero() == 3
    assert after[1].keypoints[[0, WRIST], 2].tolist() == [0, 0]
    assert (after[1].keypoints[:, 2] > 0).sum() == 15


def test_a_joint_whose_limb_was_painted_elsewhere_is_not_believed(people: People) -> None:
    person = people[0]
    empty = torch.zeros(25, 64, 64)
    empty[0] = 1
    x, y = ((person.parts.crop.to_crop(person.keypoints[:, :2])[WRIST]).round().int().clamp(8, 247)).tolist()
    here, there = (
        paint(slice(row - 6, row + 6), slice(x - 6, x + 6), HAND) for row in (y, y + 60 if y < 128 else y - 60)
    )
    alone = replace(people, persons=(replace(person, parts=PartMap(empty, person.parts.crop)),))
    scores = [float(corrected(alone, [Correction(paint=each)])[0][0].keypoints[WRIST, 2]) for each in (here, there)]
    assert scores == [1, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"joints": {"tail": (1, 2)}},
        {"joints": {"nose": (1, float("nan"))}},
        {"joints": {"nose": (1, 2, 3)}},
        {"swap": ("wings",)},
        {"paint": np.full((256, 256), 25, np.uint8)},
        {"paint": np.zeros((256, 255), np.uint8)},
        {"paint": np.zeros((256, 256))},
    ],
)
def test_impossible_corrections_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Correction(**wrong)


def test_corrections_are_of_these_people(people: People) -> None:
    with pytest.raises(InputError, match="2 people, got 1"):
        corrected(people, [Correction()])
    with pytest.raises(InputError, match="nose"):
        corrected(people, [Correction(joints={"nose": (1e6, 0)}), Correction()])
