"""Folders of pictures with OpenPose's files beside."""

import json
from pathlib import Path

import numpy as np
import pytest
from damage import survives
from PIL import Image

from nbf.body.joints import COCO17
from nbf.data.catalogue import recognised
from nbf.data.joint_orders import ORDERS
from nbf.data.sets.openpose import OPENPOSE
from nbf.errors import DataError


def person(count: int) -> list[float]:
    rows = np.column_stack([np.arange(count) + 20.0, np.arange(count) + 30.0, np.full(count, 0.75)])
    rows[3] = 0
    return rows.ravel().tolist()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    people = {"a": [("pose_keypoints_2d", 25)] * 2, "b": [("pose_keypoints_2d", 18)], "c": []}
    for name, found in people.items():
        Image.new("RGB", (64, 80)).save(tmp_path / f"{name}.{'png' if name == 'b' else 'jpg'}")
        document = {"version": 1.3, "people": [{key: person(count)} for key, count in found]}
        (tmp_path / f"{name}_keypoints.json").write_text(json.dumps(document))
    return tmp_path


def test_all_forms_are_told_apart(folder: Path) -> None:
    pictures = OPENPOSE.open(folder, "train")
    assert [(picture.name, len(picture.people)) for picture in pictures] == [("a", 2), ("b", 1), ("c", 0)]
    for picture, order in ((pictures[0], "body25"), (pictures[1], "coco18")):
        joints = picture.people[0].joints_2d
        assert joints is not None
        for place, name in enumerate(COCO17):
            there = ORDERS[order].index(name)
            expected = [there + 20.5, there + 30.5, 0.75] if there != 3 else [0, 0, 0]
            np.testing.assert_array_equal([*joints.points[place], joints.weight[place]], expected)
    assert not pictures[0].complete


def test_a_file_without_a_picture_is_named(folder: Path) -> None:
    (folder / "b.png").unlink()
    with pytest.raises(DataError, match="got none for b"):
        OPENPOSE.open(folder, "train")


def test_a_file_of_another_picture_is_refused(folder: Path) -> None:
    Image.new("RGB", (16, 16)).save(folder / "a.jpg")
    with pytest.raises(DataError, match="a_keypoints"):
        OPENPOSE.open(folder, "train")[0]


def test_the_folder_is_recognised(folder: Path) -> None:
    assert recognised(folder) == [OPENPOSE]


def test_nothing_but_data_errors_come_of_damage(folder: Path) -> None:
    assert survives(OPENPOSE, folder, "train", [folder / "a_keypoints.json", folder / "b.png"], 24) > 15
