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


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "b.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"b\.npz"):
        SetBodies.load(path)
    with pytest.raises(DataError, match="nbf data bodies"):
        SetBodies.load(tmp_path / "missing.npz")
