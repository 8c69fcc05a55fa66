"""Human labels of the val photos, and what the teachers found there."""

from pathlib import Path

import pytest
import torch
from tests.photos import BOX, joints, sportsman, standing, write_photo, write_photos

from nbf.body.joints import COCO17, LIMB_JOINTS
from nbf.data.backgrounds import is_test
from nbf.data.human import coco_photos, empty_photos, lspet_photos

THINGS = tuple(f"thing_{i}" for i in range(12))
ELBOW = LIMB_JOINTS.index("left_elbow")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sportsmen of val whom teachers confirm, one whom they do not, one of train; and two people in a photo."""
    hidden = sportsman()
    hidden["lsp14"][10][2] = 0  # left elbow
    seen = {"box": [1.0, 2, 30, 40], "coco17": [[x, y, 1] for x, y, _ in joints(COCO17)]}
    unsure = {"box": [0.0, 0, 30, 40], "score": 0.2}
    lines = [
        write_photo(tmp_path, "lspet/a", [hidden], "val"),
        write_photo(tmp_path, "lspet/b", [sportsman(teacher_agrees=0.7)], "val"),
        write_photo(tmp_path, "lspet/c", [sportsman()], "train"),
        write_photo(tmp_path, "coco/d", [unsure, standing()], "val", human=[seen]),
        write_photo(tmp_path, "coco/e", [], "val", human=[]),
    ]
    return write_photos(tmp_path, lines, THINGS)


def test_only_confirmed_sportsmen_are_a_ruler(folder: Path) -> None:
    (photo,) = lspet_photos(folder)
    assert photo.name == "lspet/a"
    assert photo.boxes.tolist() == [BOX]
    assert photo.joints[0, ELBOW, 2] == 0
    assert photo.joints[0, :, 2].sum() == 11
    torch.testing.assert_close(photo.joints[0, :, :2], photo.teachers.joints[0])


def test_hidden_joints_count_and_teachers_come_surest_first(folder: Path) -> None:
    photo, nobody = coco_photos(folder)
    assert photo.boxes.tolist() == [[1, 2, 30, 40]]
    assert photo.joints[0, :, 2].sum() == 12
    torch.testing.assert_close(photo.teachers.scores, torch.tensor([0.8, 0.2]))
    assert photo.teachers.joints[1].isnan().all()
    assert (nobody.boxes.shape, nobody.joints.shape, nobody.teachers.joints.shape) == ((0, 4), (0, 12, 3), (0, 12, 2))


def test_pictures_of_nobody_are_those_no_training_sees(folder: Path) -> None:
    assert [path.stem for path in empty_photos(folder)] == sorted(name for name in THINGS if is_test(name))
