"""MPII, from files that scipy and json write in its two layouts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import survives
from numpy import ndarray
from PIL import Image
from scipy.io import savemat

from nbf.data.catalogue import recognised
from nbf.data.joint_orders import ORDERS
from nbf.data.sets.mpii import MPII, MPII_JSON
from nbf.errors import DataError

EMPTY = np.zeros((0, 0))


def structs(*rows: dict[str, Any]) -> ndarray:
    """Matlab's array of structs, all of which have all fields."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    array = np.empty((1, len(rows)), [(key, object) for key in keys])
    for place, row in enumerate(rows):
        for key in keys:
            array[0, place][key] = row.get(key, EMPTY)
    return array


def point(joint: int, x: float, y: float, visible: Any) -> dict[str, Any]:
    return {"x": x, "y": y, "id": joint, "is_visible": visible}


def image(name: str) -> dict[str, Any]:
    return {"image": structs({"name": name})}


def release() -> dict[str, Any]:
    objpos = structs({"x": 300, "y": 200})
    head = {"x1": 100, "y1": 50, "x2": 130, "y2": 90}
    many = [point(joint, 10.0 + joint, 20.0, ("1", 0, 1, EMPTY)[joint % 4]) for joint in range(15)]
    person = {**head, "annopoints": structs({"point": structs(*many)}), "scale": 1.5, "objpos": objpos}
    # One joint only, which Matlab keeps as a struct of its own.
    wrist = {**head, "annopoints": structs({"point": structs(point(10, 7, 8, "1"))}), "objpos": objpos}
    return {
        "annolist": structs(
            image("000001.jpg") | {"annorect": structs(person, wrist)},
            image("000002.jpg") | {"annorect": structs({"scale": 2.0, "objpos": objpos})},
            image("000003.jpg") | {"annorect": structs({"scale": 1.0})},
            image("000004.jpg") | {"annorect": EMPTY},
        ),
        "img_train": np.array([[1, 0, 1, 1]]),
    }


def write_mat(folder: Path, table: Any) -> None:
    savemat(folder / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": table})


def write_pictures(folder: Path) -> None:
    (folder / "images").mkdir()
    for number in range(1, 5):
        Image.new("RGB", (40, 30)).save(folder / "images" / f"{number:06}.jpg")


@pytest.fixture
def mat(tmp_path: Path) -> Path:
    write_pictures(tmp_path)
    write_mat(tmp_path, release())
    return tmp_path


def entries() -> list[dict[str, Any]]:
    def entry(name: str, shift: float) -> dict[str, Any]:
        joints = [[10.0 + joint + shift, 20.0] for joint in range(16)]
        return {
            "image": name,
            "joints": joints,
            "joints_vis": [1] * 15 + [0],
            "center": [300.0, 200.0],
            "scale": 1.5,
        }

    return [entry("000001.jpg", 0), entry("000002.jpg", 0), entry("000001.jpg", 100)]


@pytest.fixture(params=[("annot", "valid", "gt_valid.mat"), ("annotations", "mpii_val", "mpii_gt_val.mat")])
def as_json(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder, name, heads = request.param
    write_pictures(tmp_path)
    (tmp_path / folder).mkdir()
    (tmp_path / folder / f"{name}.json").write_text(json.dumps(entries()))
    (tmp_path / folder / f"{name.replace('val', 'train').replace('id', '')}.json").write_text(json.dumps(entries()[:1]))
    corners = np.zeros((2, 2, 3))
    corners[1] = [[30, 3, 0], [40, 4, 10]]
    savemat(tmp_path / folder / heads, {"headboxes_src": corners})
    return tmp_path


def test_the_authors_file(mat: Path) -> None:
    first, third, fourth = MPII.open(mat, "train")
    assert [first.name, third.name, fourth.name] == ["000001", "000003", "000004"]
    assert first.pixels().shape == (30, 40, 3)
    person, wrist = first.people
    assert person.joints_2d is not None
    np.testing.assert_array_equal(person.joints_2d.points[:15], [[9.5 + joint, 19.5] for joint in range(15)])
    assert person.joints_2d.weight.tolist() == [1.0] * 15 + [0.0]
    assert person.box is not None
    assert person.box.tolist() == [149.5, 49.5, 449.5, 349.5]
    assert person.head == pytest.approx(0.6 * 50)
    assert wrist.joints_2d is not None
    assert ORDERS["mpii16"][int(wrist.joints_2d.weight.argmax())] == "right_wrist"
    assert wrist.joints_2d.weight.sum() == 1
    assert wrist.box is None
    assert (len(third.people), third.people[0].joints_2d, fourth.people) == (1, None, ())


def test_labels_of_the_test_are_withheld(mat: Path) -> None:
    (picture,) = MPII.open(mat, "test")
    (person,) = picture.people
    assert (person.joints_2d, person.head) == (None, None)
    assert person.box is not None
    assert not picture.complete


def test_a_joint_that_there_is_not_is_refused(mat: Path) -> None:
    table = release()
    strange = structs({"annopoints": structs({"point": structs(point(16, 7, 8, 1))})})
    table["annolist"] = structs(image("000001.jpg") | {"annorect": strange})
    table["img_train"] = np.array([[1]])
    write_mat(mat, table)
    with pytest.raises(DataError, match="joint 0 to 15"):
        MPII.open(mat, "train")[0]


@pytest.mark.parametrize("change", [{"img_train": np.ones((1, 3))}, {"annolist": EMPTY}, {"img_train": "abcd"}])
def test_a_release_that_contradicts_itself_is_refused(mat: Path, change: dict) -> None:
    write_mat(mat, release() | change)
    with pytest.raises(DataError, match=r"img_train|annolist|for training"):
        MPII.open(mat, "train")


@pytest.mark.parametrize("value", [{"a": 1}, np.zeros(3), "text"])
def test_another_matlab_file_is_refused(mat: Path, value: Any) -> None:
    write_mat(mat, value)
    with pytest.raises(DataError, match="mpii_human_pose"):
        MPII.open(mat, "train")


def test_people_of_one_picture_come_together(as_json: Path) -> None:
    first, second = MPII_JSON.open(as_json, "valid")
    assert (first.name, len(first.people), len(second.people)) == ("000001", 2, 1)
    one, other = first.people
    assert one.joints_2d is not None
    assert other.joints_2d is not None
    np.testing.assert_array_equal(other.joints_2d.points[:15] - one.joints_2d.points[:15], [[100, 0]] * 15)
    assert one.joints_2d.points[0].tolist() == [9.5, 19.5]
    assert one.joints_2d.weight.tolist() == [1.0] * 15 + [0.0]
    assert one.box is not None
    assert one.box.tolist() == [149.5, 49.5, 449.5, 349.5]


def test_head_boxes_are_those_of_the_entries(as_json: Path) -> None:
    first, second = MPII_JSON.open(as_json, "valid")
    heads = [person.head for person in (first.people[0], second.people[0], first.people[1])]
    np.testing.assert_allclose(np.array(heads, float), [0.6 * 50, 0.6 * 5, 0.6 * 10])
    assert MPII_JSON.open(as_json, "train")[0].people[0].head is None


def test_too_few_head_boxes_are_refused(as_json: Path) -> None:
    (file,) = as_json.glob("annot*/*.mat")
    savemat(file, {"headboxes_src": np.zeros((2, 2, 2))})
    with pytest.raises(DataError, match="3 people"):
        MPII_JSON.open(as_json, "valid")


def test_the_folder_is_recognised(mat: Path) -> None:
    assert recognised(mat) == [MPII]


def test_the_folder_of_json_is_recognised(as_json: Path) -> None:
    assert recognised(as_json) == [MPII_JSON]


@pytest.mark.parametrize(
    "change",
    [{"joints": [[1, 2]] * 15}, {"scale": None}, {"center": [1, float("nan")]}, {"joints_vis": 1}, {"image": 5}],
)
def test_wrong_entries_are_refused(as_json: Path, change: dict) -> None:
    (file,) = as_json.glob("annot*/*val*.json")
    file.write_text(json.dumps([entries()[0] | change]))
    for heads in as_json.glob("annot*/*.mat"):
        heads.unlink()
    with pytest.raises(DataError, match=r"annot.*json"):
        MPII_JSON.open(as_json, "valid")[0]


def test_nothing_but_data_errors_come_of_damage(mat: Path) -> None:
    assert survives(MPII, mat, "train", [mat / "mpii_human_pose_v1_u12_1.mat"], 80) > 20


def test_nothing_but_data_errors_come_of_damaged_json(as_json: Path) -> None:
    assert survives(MPII_JSON, as_json, "valid", [*as_json.glob("annot*/*val*")], 40) > 20
