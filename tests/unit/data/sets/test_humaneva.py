"""HumanEva-I, from files that scipy writes as ConvertHumanEva.m does, and text files in the toolbox's layout."""

from pathlib import Path

import numpy as np
import pytest
from films import damaged, forget, number, write_film
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from nbf.data.catalogue import recognised
from nbf.data.labelled import JointLabels, LabelledPicture
from nbf.data.recordings import Recordings
from nbf.data.sets.humaneva import ENDS, SET, _camera, _first_frames, _poses, _recordings
from nbf.errors import DataError

COUNTS = {"Validate": {"Walking": 585, "Box": 380}, "Train": {"Walking": 613, "Box": 404}}
# Film, motion capture, frames a frame: as in the toolbox's files.
OFFSETS = {
    **{"C1": (90, 700, 1.99), "C2": (89.3, 699, 1.99), "C3": (91, 701.5, 2.0)},
    **{"BW1": (20, 560, 2.0), "BW2": (25, 571, 1.98), "BW3": (22, 560, 2.0), "BW4": (20, 559, 2.0)},
}
LENS = np.array([500.0, 502.0, 320.0, 240.0, 0.0, -0.2, 0.1, 0.001, -0.002, 0.01])


def placed(camera: int) -> tuple[Rotation, np.ndarray]:
    return Rotation.from_euler("xyz", [1.4 + camera / 10, 0.1 * camera, 0.05]), np.array([50.0 * camera, 900, 4000])


def project(points: np.ndarray, camera: int) -> np.ndarray:
    """As the toolbox does (Bouguet's project_points2): mm in the world to pixels from the first one's centre."""
    turn, shift = placed(camera)
    x, y, z = (turn.apply(points.reshape(-1, 3)) + shift).T
    fx, fy, cx, cy, _, k1, k2, p1, p2, k3 = LENS
    x, y = x / z, y / z
    r2 = x**2 + y**2
    grown = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = x * grown + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    v = y * grown + 2 * p2 * x * y + p1 * (r2 + 2 * y**2)
    return np.stack([fx * u + cx, fy * v + cy], axis=-1).reshape(*points.shape[:-1], 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for part, counts in COUNTS.items():
        for action, count in counts.items():
            poses = generator.uniform(-500, 500, (count, 15, 3))
            poses[7] = np.nan
            file = tmp_path / "converted_15j" / part / "S1" / f"{action}_1.mat"
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.stack([project(poses, camera) for camera in range(3)])
            savemat(file, {"poses_3d": poses, "poses_2d": pixels})
            (tmp_path / "S1" / "Sync_Data").mkdir(parents=True, exist_ok=True)
            for camera, offsets in OFFSETS.items():
                text = "\n".join(map(str, offsets))
                (tmp_path / "S1" / "Sync_Data" / f"{action}_1_({camera}).ofs").write_text(text)
    (tmp_path / "S1" / "Calibration_Data").mkdir()
    for camera in range(3):
        turn, shift = placed(camera)
        numbers = [*LENS, *turn.as_matrix().ravel(), *shift]
        lines = "\n".join(" ".join(map(repr, map(float, numbers[i : i + 3]))) for i in range(0, 22, 3))
        (tmp_path / "S1" / "Calibration_Data" / f"C{camera + 1}.cal").write_text(lines + "\n")
    return tmp_path


def opened(folder: Path, split: str = "validate") -> Recordings:
    # Not `SET.open`: where types are checked, one of the pictures that it gives is looked at.
    return Recordings(_recordings(folder, split))


def joints(picture: LabelledPicture) -> tuple[JointLabels, JointLabels]:
    (person,) = picture.people
    assert person.joints_2d is not None
    assert person.joints_3d is not None
    return person.joints_2d, person.joints_3d


def test_joints_meet_in_the_picture(folder: Path) -> None:
    for picture in opened(folder)[::97]:
        assert picture.camera is not None
        in_picture, in_space = joints(picture)
        assert in_picture.order == in_space.order == "humaneva15"
        if in_space.weight.all():
            assert in_space.points[:, 2].min() > 2
            np.testing.assert_allclose(picture.camera.project(in_space.points), in_picture.points, atol=1e-6)


def test_numbers_arrive_in_metres_and_our_pixels(folder: Path) -> None:
    pictures = opened(folder, "train")
    picture = pictures[COUNTS["Train"]["Walking"] + 3]
    assert picture.frame is not None
    assert (picture.frame.subject, picture.frame.action, picture.frame.trial) == ("S1", "Walking", 1)
    assert picture.frame.camera == "C2"
    poses, pixels = _poses(folder / "converted_15j" / "Train" / "S1" / "Walking_1.mat", 613)
    turn, shift = placed(1)
    np.testing.assert_allclose(joints(picture)[1].points, (turn.apply(poses[3]) + shift) / 1000, atol=1e-9)
    np.testing.assert_allclose(joints(picture)[0].points, pixels[1, 3] + 0.5)


def test_frames_in_which_a_marker_was_lost_have_no_weight(folder: Path) -> None:
    pictures = opened(folder)
    weights = [joints(picture)[1].weight.sum() for picture in pictures[:20]]
    assert [k for k, weight in enumerate(weights) if weight == 0] == [7]
    assert np.isfinite(joints(pictures[7])[1].points).all()


def test_frames_are_those_of_the_two_parts(folder: Path) -> None:
    validate, train = opened(folder), opened(folder, "train")
    assert len(validate) == 3 * (585 + 380)
    assert len(train) == 3 * (613 + 404)
    first = _first_frames(folder / "S1" / "Sync_Data", "Walking_1")
    # Counted from 1 and where all films begin, validation is the frames 6 to 590, training 591 to 1203.
    assert (validate.frame(0).index, validate.frame(584).index) == (first["C1"] + 5, first["C1"] + 589)
    assert (train.frame(0).index, train.frame(612).index) == (first["C1"] + 590, first["C1"] + 1202)
    assert [validate.frame(i) for i in range(0, 2000, 50)] == [validate[i].frame for i in range(0, 2000, 50)]
    assert {validate.frame(i).sequence for i in range(len(validate))} == {
        f"S1/{action}_1_({camera})" for action in ("Walking", "Box") for camera in ("C1", "C2", "C3")
    }


def test_published_ends_leave_room_for_both_parts() -> None:
    for actions in ENDS.values():
        assert list(actions) == ["Walking", "Jog", "ThrowCatch", "Gestures", "Box"]
        assert all(5 < a < b for a, b in actions.values())


def test_films_begin_together(folder: Path) -> None:
    """The law that offsets must keep: frames of one number are of one moment, and it is the first that all have."""
    first = _first_frames(folder / "S1" / "Sync_Data", "Walking_1")
    assert set(first) == set(OFFSETS)
    moments = {c: mocap + (first[c] + 1 - film) * rate for c, (film, mocap, rate) in OFFSETS.items()}
    assert max(moments.values()) - min(moments.values()) <= 2 + 1e-9
    # Here the motion capture began first: some film begins with its very first frame.
    assert min(first.values()) == 0


def test_films_wait_for_the_motion_capture(tmp_path: Path) -> None:
    for camera in OFFSETS:
        film = {"C1": 82, "C2": 81, "C3": 82}.get(camera, 90)
        (tmp_path / f"Jog_1_({camera}).ofs").write_text(f"{film} 1 2.0")
    first = _first_frames(tmp_path, "Jog_1")
    # What prepare_data_humaneva.py of VideoPose3D cuts off of such films.
    assert [first[camera] for camera in ("C1", "C2", "C3")] == [81, 80, 81]


def test_pictures_come_out_of_films(folder: Path) -> None:
    first = _first_frames(folder / "S1" / "Sync_Data", "Walking_1")["C1"]
    write_film(folder / "S1" / "Image_Data" / "Walking_1_(C1).avi", 110, "mpeg4")
    pictures = opened(folder)
    assert [number(pictures[k].pixels()) for k in (0, 9, 3)] == [first + 5, first + 14, first + 8]


def test_a_folder_is_recognised_and_opened(folder: Path) -> None:
    assert [each.name for each in recognised(folder)] == ["humaneva"]
    assert len(SET.open(folder, "train")) == 3 * (613 + 404)


def test_what_is_missing_is_said(folder: Path) -> None:
    sync, calibration = folder / "S1" / "Sync_Data" / "Box_1_(BW2).ofs", folder / "S1" / "Calibration_Data" / "C3.cal"
    for path in (sync, calibration):
        text = path.read_text()
        path.unlink()
        with pytest.raises(DataError, match="no such file"):
            opened(folder)
        path.write_text(text)
    for file in folder.glob("converted_15j/Train/S1/*.mat"):
        file.unlink()
    with pytest.raises(DataError, match=r"Walking_1\.mat, got none"):
        opened(folder, "train")


@pytest.mark.parametrize("text", ["", "1 2 3", "a b c", "nan " * 22, "0 " * 22, "500 500 320 240 0.1 " + "0 " * 17])
def test_wrong_cameras_are_one_clean_error(folder: Path, text: str) -> None:
    (folder / "S1" / "Calibration_Data" / "C1.cal").write_text(text)
    with pytest.raises(DataError, match=r"C1\.cal"):
        opened(folder)


@pytest.mark.parametrize("text", ["", "1 2", "a b c", "nan 1 2", "1 1 0", "1 1 -2", "1e300 1 1e-300"])
def test_wrong_offsets_are_one_clean_error(folder: Path, text: str) -> None:
    (folder / "S1" / "Sync_Data" / "Walking_1_(C1).ofs").write_text(text)
    with pytest.raises(DataError, match=r"\.ofs"):
        opened(folder)


def test_other_numbers_of_poses_are_said(folder: Path) -> None:
    savemat(
        folder / "converted_15j" / "Validate" / "S1" / "Walking_1.mat",
        {"poses_3d": np.zeros((584, 15, 3)), "poses_2d": np.zeros((3, 584, 15, 2))},
    )
    with pytest.raises(DataError, match=r"585 x 15 x 3"):
        _ = opened(folder)[0]


def test_damaged_files_are_read_or_one_clean_error(folder: Path) -> None:
    readers = {
        folder / "converted_15j" / "Validate" / "S1" / "Walking_1.mat": lambda path: _poses(path, 585),
        folder / "S1" / "Calibration_Data" / "C1.cal": _camera,
        folder / "S1" / "Sync_Data" / "Walking_1_(C1).ofs": lambda path: _first_frames(path.parent, "Walking_1"),
    }
    for file, read in readers.items():
        errors = 0
        for path in damaged(file, 60):
            forget(_poses)
            try:
                read(path)
            except DataError:
                errors += 1
        assert errors > 10
    forget(_poses)
