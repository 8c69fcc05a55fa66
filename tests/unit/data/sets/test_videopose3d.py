"""VideoPose3D's file, as numpy writes it there, against the same poses in Human3.6M's own files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from films import damaged, number, write_film
from scipy.spatial.transform import Rotation
from studio import FRAMES, SERIALS, Studio, write_studio

from nbf.data.catalogue import recognised
from nbf.data.labelled import LabelledPicture
from nbf.data.sets.human36m import JOINTS
from nbf.data.sets.human36m import SET as HUMAN36M
from nbf.data.sets.videopose3d import SET
from nbf.errors import DataError


def write_npz(studio: Studio, folder: Path, change: Callable[[dict], None] = lambda _: None) -> Path:
    table: dict = {}
    for (subject, take), poses in studio.poses.items():
        if (subject, take) != ("S11", "Directions"):
            called = take.replace("TakingPhoto", "Photo").replace("WalkingDog", "WalkDog")
            table.setdefault(subject, {})[called] = (poses / 1000).astype("float32")
    change(table)
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / "data_3d_h36m", positions_3d=np.array(table, object))
    (folder / "metadata.xml").write_bytes((studio.folder / "metadata.xml").read_bytes())
    return folder


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return write_studio(tmp_path / "h36m", ("S1", "S5", "S6", "S7", "S8", "S9", "S11"))


@pytest.fixture
def folder(studio: Studio, tmp_path: Path) -> Path:
    return write_npz(studio, tmp_path / "vp3d")


@pytest.mark.parametrize("split", ["train", "test"])
def test_it_says_what_the_files_of_human36m_say(studio: Studio, folder: Path, split: str) -> None:
    theirs = [picture for picture in HUMAN36M.read(studio.folder, split) if "S11/Directions." not in picture.name]
    ours = SET.read(folder, split)
    assert len(ours) == len(theirs) == (100 * 6 if split == "train" else 2 * 120 - 20)
    for a, b in zip(ours, theirs):
        assert (a.name, a.frame, a.split) == (b.name, b.frame, b.split)
        for joint in ("joints_2d", "joints_3d"):
            one, other = getattr(a.people[0], joint), getattr(b.people[0], joint)
            np.testing.assert_allclose(one.points, other.points, atol=1e-3 if joint == "joints_2d" else 1e-6)


def test_its_orientation_turns_the_camera_into_the_world(studio: Studio, folder: Path) -> None:
    picture: LabelledPicture = SET.read(folder, "test")[FRAMES]
    assert picture.frame is not None
    camera, person = SERIALS.index(picture.frame.camera), int(picture.frame.subject[1:]) - 1
    # As VideoPose3D's code keeps it: the inverse of what metadata.xml says, and the camera's place.
    orientation = Rotation.from_euler("XYZ", studio.angles[camera, person]).inv()
    world = studio.poses["S9", "Directions 1"][0][list(JOINTS)] / 1000
    wanted = orientation.inv().apply(world - studio.positions[camera, person] / 1000)
    labels = picture.people[0].joints_3d
    assert labels is not None
    np.testing.assert_allclose(labels.points, wanted, atol=1e-6)


def test_films_may_lie_beside_it(folder: Path) -> None:
    write_film(folder / "S9" / "Videos" / f"Directions 1.{SERIALS[0]}.mp4", FRAMES)
    assert number(SET.open(folder, "test")[3].pixels()) == 3
    assert [each.name for each in recognised(folder)] == ["videopose3d"]


def test_the_take_that_is_left_out_is_read_where_it_is_there(studio: Studio, tmp_path: Path) -> None:
    poses = (studio.poses["S11", "Directions"] / 1000).astype("float32")
    folder = write_npz(studio, tmp_path / "vp3d", lambda table: table["S11"].update(Directions=poses))
    assert len(SET.read(folder, "test")) == 2 * 120


CHANGES: dict[str, Callable[[dict], object]] = {
    "a subject is missing": lambda table: table.pop("S11"),
    "a take is missing": lambda table: table["S9"].pop("Photo 1"),
    "joints are missing": lambda table: table["S9"].update({"Photo 1": np.zeros((5, 31, 3), np.float32)}),
    "a number is nan": lambda table: table["S9"].update({"Photo 1": np.full((5, 32, 3), np.nan, np.float32)}),
    "whole numbers": lambda table: table["S9"].update({"Photo 1": np.zeros((5, 32, 3), int)}),
    "a list of takes": lambda table: table.update(S9=[np.zeros((5, 32, 3), np.float32)]),
    "text": lambda table: table["S9"].update({"Photo 1": "poses"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_wrong_tables_are_one_clean_error(studio: Studio, tmp_path: Path, change: str) -> None:
    def apply(table: dict) -> None:
        CHANGES[change](table)

    with pytest.raises(DataError, match=r"data_3d_h36m\.npz"):
        SET.read(write_npz(studio, tmp_path / "vp3d", apply), "test")


@pytest.mark.parametrize("wrong", [{"positions_3d": np.zeros((3, 3))}, {"poses": np.zeros(3)}])
def test_other_archives_are_one_clean_error(folder: Path, wrong: dict) -> None:
    np.savez(folder / "data_3d_h36m", **wrong)
    with pytest.raises(DataError, match=r"data_3d_h36m\.npz"):
        SET.read(folder, "test")


def test_damaged_archives_are_read_or_one_clean_error(folder: Path) -> None:
    errors = 0
    for _ in damaged(folder / "data_3d_h36m.npz", 60):
        try:
            SET.read(folder, "test")
        except DataError:
            errors += 1
    assert errors > 40
