from pathlib import Path

import numpy as np
import pytest
import torch
from tests.photos import HEIGHT, WIDTH, joints, sportsman, standing, write_photo, write_photos
from torch import Generator

from nbf.body.joints import COCO17
from nbf.body.parts import PARTS24
from nbf.data.backgrounds import is_test
from nbf.data.labelled import IGNORE, UNKNOWN, JointLabels, LabelledPerson
from nbf.data.pack import Photos, pack_photos
from nbf.data.sets.varied import doubt_limbs, varied_photos
from nbf.errors import DataError
from nbf.synth.background import Backgrounds
from nbf.train.photo_crops import RealCrops
from nbf.train.photo_scenes import RealScenes

NAMES = tuple(f"thing_{i}" for i in range(12))
KNEE, WRIST = COCO17.index("left_knee"), COCO17.index("left_wrist")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sportsman, a group with uncertain people, a val photo, a photo without a part map, and twelve of nobody."""
    unsure = sportsman()
    unsure["keypoints"][KNEE][2] = 0.4
    group = [
        standing(),
        {"box": [0.0, 0, 30, 40], "score": 0.3},
        {"box": [100.0, 0, 110, 20], "score": 0.3},
        {"box": [100.0, 40, 119, 90], "score": 0.1},
    ]
    lines = [
        write_photo(tmp_path, "lspet/a", [unsure], "train", others_unlabelled=True),
        write_photo(tmp_path, "coco/b", group, "train"),
        write_photo(tmp_path, "coco/c", [standing()], "val"),
        write_photo(tmp_path, "stanford40/d", [standing()], "train", parts=False),
    ]
    return write_photos(tmp_path, lines, NAMES)


@pytest.fixture
def photos(folder: Path) -> Photos:
    return pack_photos(varied_photos(folder, "train"), side=160).decode(160)


def test_photos_of_nobody_are_split_by_name(folder: Path) -> None:
    train, val = varied_photos(folder, "train"), varied_photos(folder, "val")
    held_out = [f"negatives/{name}" for name in sorted(NAMES) if is_test(name)]
    assert 0 < len(held_out) < len(NAMES)
    assert [photo.name for photo in val] == ["coco/c", *held_out]
    assert [photo.name for photo in train][:3] == ["lspet/a", "coco/b", "stanford40/d"]
    assert len(train) == 3 + len(NAMES) - len(held_out)
    assert not train[-1].labels().any()


def test_workers_help_where_teachers_are_unsure(folder: Path) -> None:
    knee = varied_photos(folder, "train")[0].people[0].keypoints()[KNEE]
    np.testing.assert_allclose(knee, [70, 115, 0.5])


@pytest.mark.parametrize("fields", [{"sides_swapped": True}, {"teacher_agrees": 0.7}])
def test_workers_whom_teachers_contradict_are_not_believed(tmp_path: Path, fields: dict) -> None:
    person = sportsman(**fields)
    person["keypoints"][KNEE][2] = 0.4
    folder = write_photos(tmp_path, [write_photo(tmp_path, "lspet/a", [person], "train")])
    keypoints = varied_photos(folder, "train")[0].people[0].keypoints()
    assert keypoints[KNEE, 2] == 0
    assert keypoints[WRIST, 2] == np.float32(0.9)


def test_nothing_is_known_around_a_sportsman(folder: Path) -> None:
    photo = varied_photos(folder, "train")[0]
    labels = photo.labels()
    assert labels[5, 60] == labels[50, 20] == IGNORE
    assert labels[50, 30] == 0
    assert labels[50, 60] == 13
    assert [person.ignore for person in photo.people] == [False, True]
    frame = photo.people[1].box
    assert frame is not None
    np.testing.assert_allclose(frame, [0, 0, WIDTH, HEIGHT])


def test_unsure_and_tiny_people_are_ignored(folder: Path) -> None:
    assert [person.ignore for person in varied_photos(folder, "train")[1].people] == [False, False, True, True]


def test_without_a_part_map_a_person_has_no_known_part(folder: Path) -> None:
    labels = varied_photos(folder, "train")[2].labels()
    assert labels[50, 60] == UNKNOWN
    assert labels[0, 0] == IGNORE


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="NBF_SHARED"):
        varied_photos(tmp_path, "train")


def forearm(label: str, *, crossing: bool) -> int:
    """The label in the middle of the left forearm that is called `label`, where another limb may cross it."""
    keypoints = np.array(joints(COCO17), np.float32)
    if crossing:
        for joint, y in (("right_elbow", 60), ("right_wrist", 90)):
            keypoints[COCO17.index(joint), :2] = 87, y
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[60:88, 80:96] = PARTS24.index(label)
    return int(doubt_limbs(labels, (LabelledPerson(joints_2d=JointLabels.of("coco17", keypoints)),))[73, 87])


@pytest.mark.parametrize(
    ("label", "crossing", "believed"),
    [
        ("left_lower_arm_front", False, True),
        ("left_hand", False, True),
        ("torso_front", False, True),
        ("right_lower_arm_front", False, False),
        ("left_upper_leg_front", False, False),
        ("right_lower_arm_front", True, True),
    ],
)
def test_labels_that_sure_joints_contradict_are_doubted(label: str, crossing: bool, believed: bool) -> None:
    assert forearm(label, crossing=crossing) == (PARTS24.index(label) if believed else UNKNOWN)


def test_a_pack_keeps_photos_of_nobody_and_whom_to_ignore(photos: Photos) -> None:
    assert len(photos.images) > 3
    assert photos.photo.tolist() == [0, 0, 1, 1, 1, 1, 2]
    assert photos.ignore.tolist() == [False, True, False, False, True, True, False]
    rows, listed = photos.people_by_photo(3)
    assert rows[:3].tolist() == [[0, 1, 0], [2, 3, 4], [6, 0, 0]]
    assert listed.sum(1).tolist() == [2, 3, 1] + [0] * (len(photos.images) - 3)


def test_only_people_with_labels_are_cropped(photos: Photos) -> None:
    crops = RealCrops(photos, Backgrounds.load(None, "train"))
    assert crops.people.tolist() == [0, 2, 6]
    few = photos.keypoints.clone()
    few[[2, 6], 4:, 2] = 0  # four keypoints are enough with a part map
    with_few = RealCrops(Photos(**(vars(photos) | {"keypoints": few})), Backgrounds.load(None, "train"))
    assert with_few.people.tolist() == [0, 2]


def test_scenes_tell_people_from_what_is_ignored(photos: Photos) -> None:
    batch = RealScenes(photos, Backgrounds.load(None, "train"))._photo_windows(200, Generator().manual_seed(0))
    _, boxes, valid, ignore = batch
    assert boxes.shape == (200, 24, 4)
    assert not (valid & ignore).any()
    assert ignore.any()
    nobody = ~(valid | ignore).any(1)
    assert 0.1 < nobody.float().mean() < 0.35
    large = (boxes[..., 2:] - boxes[..., :2]).amin(-1) > 0.97
    assert (large & valid).any(), "somebody larger than the frame"
    assert torch.equal(boxes.clamp(0, 1), boxes)
