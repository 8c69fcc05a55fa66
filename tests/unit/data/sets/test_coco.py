"""COCO's people, from a file in its layout."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import survives
from PIL import Image

from nbf.data.catalogue import recognised
from nbf.data.labelled import IGNORE
from nbf.data.sets.coco import COCO, COCO2014
from nbf.errors import DataError


def person(number: int, image: int, x: float) -> dict[str, Any]:
    keypoints = np.column_stack([np.full(17, x), np.arange(17), np.arange(17) % 3]).astype(int)
    keypoints[keypoints[:, 2] == 0] = 0
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "num_keypoints": 11,
        "keypoints": keypoints.ravel().tolist(),
        "bbox": [x, 2.0, 6.0, 10.5],
        "area": 63.0,
        "segmentation": [[x, 2.0, x + 6, 2.0, x + 6, 12.5, x, 12.5]],
    }


def document() -> dict[str, Any]:
    outside = [0, 20 * 8, 20 * 24]  # all of the left eight columns are outside, the rest is a crowd
    crowd = {
        **{"id": 9, "image_id": 7, "category_id": 1, "iscrowd": 1, "keypoints": [0] * 51, "num_keypoints": 0},
        **{"bbox": [8, 0, 24, 20], "segmentation": {"size": [20, 32], "counts": outside[1:]}},
    }
    return {
        "images": [
            {"id": 7, "file_name": "000000000007.jpg", "height": 20, "width": 32},
            {"id": 8, "file_name": "000000000008.jpg", "height": 20, "width": 32},
        ],
        "annotations": [person(1, 7, 5.0), crowd, person(2, 7, 16.0)],
        "categories": [{"id": 1, "name": "person", "keypoints": ["nose", "left_eye"], "skeleton": [[1, 2]]}],
    }


def write(folder: Path, value: Any) -> Path:
    file = folder / "annotations" / "person_keypoints_val2017.json"
    file.write_text(json.dumps(value))
    return file


@pytest.fixture(params=["val2017", "images/val2017"])
def coco(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "annotations").mkdir()
    (tmp_path / request.param).mkdir(parents=True)
    for number in (7, 8):
        Image.new("RGB", (32, 20), (number, 0, 0)).save(tmp_path / request.param / f"{number:012}.jpg")
    write(tmp_path, document())
    return tmp_path


def test_people_and_crowds(coco: Path) -> None:
    first, second = COCO.open(coco, "val")
    assert first.pixels().shape == (20, 32, 3)
    person, crowd, other = first.people
    assert person.box is not None
    assert person.box.tolist() == [5, 2, 11, 12.5]
    assert person.joints_2d is not None
    rows = person.joints_2d.rows()
    assert rows[0].tolist() == [0, 0, 0]
    assert rows[1].tolist() == [5.5, 1.5, 1]
    assert rows[2].tolist() == [5.5, 2.5, 1]
    assert [each.ignore for each in first.people] == [False, True, False]
    assert crowd.joints_2d is None
    assert other.joints_2d is not None
    assert first.complete
    assert second.complete
    assert second.people == ()


def test_masks_have_people_before_crowds(coco: Path) -> None:
    first, second = COCO.open(coco, "val")
    labels = first.labels("mask")
    # Rows 2 to 11: the centre of row 12 lies on the edge.
    expected = np.zeros((20, 32), np.uint8)
    expected[:, 8:] = IGNORE
    expected[2:12, 5:11] = 1
    expected[2:12, 16:22] = 1
    np.testing.assert_array_equal(labels, expected)
    assert not second.labels("mask").any()


def test_the_folder_is_recognised(coco: Path) -> None:
    assert recognised(coco) == [COCO]
    with pytest.raises(DataError, match="train2017"):
        COCO.open(coco, "train")
    (coco / "annotations" / "person_keypoints_val2017.json").rename(coco / "annotations/person_keypoints_val2014.json")
    assert recognised(coco) == [COCO2014]


def test_without_outlines_there_is_no_mask(coco: Path) -> None:
    table = document()
    del table["annotations"][0]["segmentation"]
    write(coco, table)
    assert COCO.open(coco, "val")[0].maps == ()


@pytest.mark.parametrize(
    "change",
    [
        {"bbox": [1, 2, 3]},
        {"keypoints": [1] * 50},
        {"keypoints": [float("inf")] * 51},
        {"keypoints": [1e300] * 51},
        {"keypoints": ["a"] * 51},
        {"image_id": "seven"},
        {"segmentation": [[1, 2, 3]]},
        {"segmentation": {"size": [20, 32], "counts": [5]}},
        {"segmentation": {"size": [20, 32], "counts": "z"}},
    ],
)
def test_wrong_annotations_are_refused(coco: Path, change: dict) -> None:
    table = document()
    table["annotations"][0] |= change
    write(coco, table)
    with pytest.raises(DataError, match="person_keypoints_val2017"):
        COCO.open(coco, "val")[0].labels("mask")


@pytest.mark.parametrize("change", [{"height": 0}, {"width": 1e9}, {"file_name": None}, {"id": []}])
def test_wrong_pictures_are_refused(coco: Path, change: dict) -> None:
    table = document()
    table["images"][0] |= change
    write(coco, table)
    with pytest.raises(DataError, match="person_keypoints_val2017"):
        COCO.open(coco, "val")[0]


@pytest.mark.parametrize("value", [[], {}, {"images": [5], "annotations": []}, {"images": [], "annotations": {}}, "a"])
def test_another_json_file_is_refused(coco: Path, value: Any) -> None:
    write(coco, value)
    with pytest.raises(DataError, match="person_keypoints_val2017"):
        COCO.open(coco, "val")


def test_nothing_but_data_errors_come_of_damage(coco: Path) -> None:
    assert survives(COCO, coco, "val", [coco / "annotations" / "person_keypoints_val2017.json"], 120) > 60
