"""Files of bodies for the people of a data set."""

from pathlib import Path

import numpy as np
import pytest
import torch
from packs import small
from unit.train.test_labelled import label

from nbf.data.bodies import SetBodies
from nbf.data.labelled import BodyLabel, JointLabels, LabelledPerson, LabelledPicture, Lazy
from nbf.data.placed import in_camera
from nbf.errors import DataError
from nbf.train.set_bodies import Maker


def picture(index: int) -> LabelledPicture:
    """Somebody with a body, somebody with joints of it, and somebody of whom nothing is known."""
    if index == 1:
        raise DataError("broken.txt: cut short")
    person = label(turned=True)
    posed = small()(*(value[None] for value in in_camera(person, small())))
    joints = JointLabels("smpl24", posed.joints[0].numpy(), np.ones(24))
    foreign = BodyLabel("smplx", "male", person.betas, person.pose, person.translation)
    people = (
        LabelledPerson(body=person),
        LabelledPerson(joints_3d=joints),
        LabelledPerson(),
        LabelledPerson(body=foreign),
    )
    return LabelledPicture(f"p{index}", Path("none.png"), people)


def maker() -> Maker:
    return Maker(small(), "anny24", {("anny24", "neutral"): small()})


def test_everybody_with_a_body_or_joints_gets_one(tmp_path: Path) -> None:
    made = maker().bodies("mine", Lazy(3, picture))
    made.save(tmp_path / "bodies.npz")
    file = SetBodies.load(tmp_path / "bodies.npz")
    assert sorted(file.rows) == [("p0", 0), ("p0", 1), ("p2", 0), ("p2", 1)]
    assert (file.data, file.body_name) == ("mine", "anny24")
    assert file.kept.all()
    true = in_camera(label(turned=True), small()).translation
    for who, row in file.rows.items():
        torch.testing.assert_close(
            torch.from_numpy(file.translation[row]), true, atol=0.03 if who[1] else 0.005, rtol=0
        )


def test_nobody_is_an_error_that_says_what_is_missing() -> None:
    nobody = LabelledPicture("a", Path("a.png"), (LabelledPerson(),))
    with pytest.raises(DataError, match="anny24 neutral"):
        maker().bodies("mine", [nobody])


def file(**changed: np.ndarray) -> SetBodies:
    arrays = {
        "names": np.array(["a", "b"]),
        "person": np.array([0, 0]),
        "betas": np.zeros((2, 3), np.float32),
        "pose": np.zeros((2, 24, 3), np.float32),
        "translation": np.ones((2, 3), np.float32),
        "error": np.zeros(2, np.float32),
        "kept": np.array([True, False]),
    }
    return SetBodies("mine", "anny24", **(arrays | changed))


def test_fits_that_ran_away_are_in_the_file_and_not_among_its_people(tmp_path: Path) -> None:
    file(betas=np.array([[1, 2, 3], [np.inf, 1e30, np.nan]], np.float32)).save(tmp_path / "b.npz")
    loaded = SetBodies.load(tmp_path / "b.npz")
    np.testing.assert_array_equal(loaded.betas, [[1, 2, 3], [np.nan] * 3])
    assert loaded.rows == {("a", 0): 0}


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("names", np.array([1, 2])),
        ("names", np.array(["a"])),
        ("names", np.array(["a", {}], object)),
        ("person", np.array([0.5, 0])),
        ("person", np.array([-1, 0])),
        ("betas", np.zeros((3, 3))),
        ("betas", np.array([[np.nan, 0, 0], [0, 0, 0]])),
        ("pose", np.zeros((2, 72))),
        ("pose", np.zeros((2, 24, 3), complex)),
        ("translation", np.full((2, 3), np.inf)),
        ("error", np.zeros((2, 1))),
        ("kept", np.array([1, 0])),
        ("data", np.array(["a"])),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, name: str, array: np.ndarray) -> None:
    good = tmp_path / "good.npz"
    file().save(good)
    with np.load(good) as arrays:
        np.savez(tmp_path / "b.npz", **(dict(arrays) | {name: array}))  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match=r"b\.npz: cannot be read as bodies for a data set"):
        SetBodies.load(tmp_path / "b.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"b\.npz"):
        SetBodies.load(path)
    with pytest.raises(DataError, match="nbf data bodies"):
        SetBodies.load(tmp_path / "missing.npz")
