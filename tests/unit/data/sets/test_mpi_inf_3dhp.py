"""MPI-INF-3DHP, from files that scipy and h5py write in its layout."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from films import damaged, forget, number, write_film
from PIL import Image
from scipy.io import savemat

from nbf.data.catalogue import recognised
from nbf.data.joint_orders import ORDERS
from nbf.data.labelled import JointLabels, LabelledPicture
from nbf.data.recordings import Recordings
from nbf.data.sets.mpi_inf_3dhp import CAMERAS, SET, _annotations, _cameras, _recordings, _test_annotations
from nbf.errors import DataError

FRAMES = 6
# Where each joint of the order stands in util/mpii_get_joint_set.m's list of 28, counted from 0.
RAW = {
    **{"spine": 3, "pelvis": 4, "neck": 5, "jaw": 6, "head": 7},
    **{"left_shoulder": 9, "left_elbow": 10, "left_wrist": 11, "right_shoulder": 14, "right_elbow": 15},
    **{"right_wrist": 16, "left_hip": 18, "left_knee": 19, "left_ankle": 20, "right_hip": 23, "right_knee": 24},
    **{"right_ankle": 25},
}


def intrinsics(camera: int) -> np.ndarray:
    return np.array([[1500.0 + camera, 0, 1024, 0], [0, 1498.0 + camera, 1050 - camera, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def write_sequence(folder: Path) -> np.ndarray:
    """Returns the joints in space: mm, (14, n, 28, 3)."""
    folder.mkdir(parents=True)
    space = np.random.default_rng(0).uniform((-900, -900, 3000), (900, 900, 5000), (14, FRAMES, 28, 3))
    cells = {name: np.empty((14, 1), object) for name in ("annot2", "annot3", "univ_annot3", "cameras", "frames")}
    lines = ["Skeletool Camera Calibration File V1.0"]
    for camera in range(14):
        seen = space[camera] @ intrinsics(camera)[:3, :3].T
        cells["annot2"][camera, 0] = (seen[..., :2] / seen[..., 2:]).reshape(FRAMES, -1)
        cells["annot3"][camera, 0] = space[camera].reshape(FRAMES, -1)
        cells["univ_annot3"][camera, 0] = 0.9 * space[camera].reshape(FRAMES, -1)
        cells["cameras"][camera, 0], cells["frames"][camera, 0] = float(camera), np.arange(FRAMES, dtype=float)[:, None]
        lines += [f"name          {camera}", "  sensor      10 10", "  size        2048 2048", "  animated    0"]
        lines.append("  intrinsic   " + " ".join(map(str, intrinsics(camera).ravel())) + " ")
        lines += ["  extrinsic   " + " ".join(map(str, np.eye(4).ravel())) + " ", "  radial      0"]
    savemat(folder / "annot.mat", cells, do_compression=True)
    (folder / "camera.calibration").write_text("\n".join(lines) + "\n")
    return space


def write_test(folder: Path) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True)
    generator = np.random.default_rng(1)
    arrays = {
        "annot2": generator.uniform(0, 2048, (FRAMES, 1, 17, 2)),
        "annot3": generator.uniform(-1000, 4000, (FRAMES, 1, 17, 3)),
        "univ_annot3": generator.uniform(-900, 3600, (FRAMES, 1, 17, 3)),
        "valid_frame": np.array([[1], [1], [0], [1], [0], [1]], float),
        "activity_annotation": np.array([[2], [2], [2], [1], [1], [2]], float),
    }
    with h5py.File(folder / "annot_data.mat", "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        crop = file.create_group("#refs#").create_dataset("a", data=np.zeros((4, 1)))
        file.create_dataset("bb_crop", data=np.array([[crop.ref] * FRAMES], h5py.ref_dtype))
    return arrays


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_sequence(tmp_path / "S2" / "Seq1")
    return tmp_path


def opened(folder: Path, split: str = "train") -> Recordings:
    # Not `SET.open`: where types are checked, one of the pictures that it gives is looked at.
    return Recordings(_recordings(folder, split))


def joints(picture: LabelledPicture) -> tuple[JointLabels, JointLabels]:
    (person,) = picture.people
    assert person.joints_2d is not None
    assert person.joints_3d is not None
    return person.joints_2d, person.joints_3d


def test_joints_arrive_in_camera_metres_and_meet_in_the_picture(tmp_path: Path) -> None:
    space = write_sequence(tmp_path / "S1" / "Seq2")
    pictures = opened(tmp_path)
    assert len(pictures) == len(CAMERAS) * FRAMES
    for i, picture in enumerate(pictures):
        assert picture.frame is not None
        assert picture.camera is not None
        assert picture.frame == pictures.frame(i)
        assert (picture.frame.subject, picture.frame.trial) == ("S1", 2)
        camera = int(picture.frame.camera)
        in_picture, in_space = joints(picture)
        raw = [RAW[joint] for joint in ORDERS[in_space.order]]
        np.testing.assert_allclose(in_space.points, space[camera, picture.frame.index, raw] / 1000, atol=1e-6)
        np.testing.assert_allclose(picture.camera.project(in_space.points), in_picture.points, atol=1e-2)
    assert sorted({pictures.frame(i).camera for i in range(len(pictures))}) == [str(number) for number in CAMERAS]


def test_pictures_come_out_of_films_or_folders(folder: Path) -> None:
    sequence = folder / "S2" / "Seq1"
    write_film(sequence / "imageSequence" / "video_0.avi", FRAMES, "mpeg4")
    stills = sequence / "imageFrames" / "video_2"
    stills.mkdir(parents=True)
    for k in (2, 5, 77):
        Image.new("RGB", (20, 20), (k, 0, 0)).save(stills / f"frame_{k:06}.jpg", quality=100)
    pictures = opened(folder)
    assert [number(picture.pixels()) for picture in pictures[:FRAMES]] == list(range(FRAMES))
    chosen = pictures.chosen(lambda frame: frame.camera == "2")
    assert [picture.frame.index for picture in chosen if picture.frame] == [1, 4]
    assert abs(int(chosen[1].pixels()[5, 5, 0]) - 5) <= 1
    with pytest.raises(DataError, match=r"video_1\.avi"):
        pictures.chosen(lambda frame: frame.camera == "1")[0].pixels()


def test_the_test_set_is_what_its_protocol_scores(tmp_path: Path) -> None:
    arrays = write_test(tmp_path / "mpi_inf_3dhp_test_set" / "TS3")
    pictures = opened(tmp_path, "test")
    # By activity, then in their order.
    assert [(pictures.frame(i).action, pictures.frame(i).index) for i in range(FRAMES)] == [
        *(("1", 3), ("1", 4)),
        *(("2", 0), ("2", 1), ("2", 2), ("2", 5)),
    ]
    for picture in pictures:
        assert picture.frame is not None
        index = picture.frame.index
        in_picture, in_space = joints(picture)
        np.testing.assert_allclose(in_picture.points, arrays["annot2"][index, 0])
        np.testing.assert_allclose(in_space.points, arrays["univ_annot3"][index, 0] / 1000)
        assert in_space.order == "mpi_inf_3dhp17"
        assert in_space.weight.tolist() == in_picture.weight.tolist() == [arrays["valid_frame"][index, 0]] * 17
        assert picture.people[0].relative
        assert picture.camera is None
        assert str(picture.source).endswith(f"TS3/imageSequence/img_{index + 1:06}.jpg")


def test_a_folder_is_recognised_and_opened(folder: Path) -> None:
    assert [each.name for each in recognised(folder)] == ["mpi_inf_3dhp"]
    assert len(SET.open(folder, "train")) == len(CAMERAS) * FRAMES
    with pytest.raises(DataError, match="got none"):
        SET.open(folder, "test")


@pytest.mark.parametrize("wrong", ["text", "missing", "other size", "one camera less", "nan", "numbers"])
def test_wrong_annotations_are_one_clean_error(folder: Path, wrong: str) -> None:
    cells = np.empty((13 if wrong == "one camera less" else 14, 1), object)
    for camera in range(len(cells)):
        cells[camera, 0] = np.full((FRAMES, 55 if wrong == "other size" else 56), np.nan if wrong == "nan" else 1.0)
    if wrong == "text":
        cells[3, 0] = "text"
    values = {"annot2": np.zeros((14, 56)) if wrong == "numbers" else cells}
    path = folder / "S2" / "Seq1" / "annot.mat"
    savemat(path, {"other": np.zeros(3)} if wrong == "missing" else values)
    with pytest.raises(DataError, match=r"annot\.mat"):
        opened(folder)


def test_fewer_poses_in_space_than_in_the_picture_are_said(folder: Path) -> None:
    cells = {name: np.empty((14, 1), object) for name in ("annot2", "annot3")}
    for camera in range(14):
        # Films differ in their lengths.
        count = FRAMES + camera
        cells["annot2"][camera, 0], cells["annot3"][camera, 0] = np.ones((count, 56)), np.ones((count - 1, 84))
    savemat(folder / "S2" / "Seq1" / "annot.mat", cells)
    assert len(opened(folder)) == sum(FRAMES + camera for camera in CAMERAS)
    with pytest.raises(DataError, match=r"annot\.mat"):
        _ = opened(folder)[FRAMES - 1]


@pytest.mark.parametrize(
    "text", ["", "name 0\nintrinsic 1 2 3", "name x", "intrinsic 1", "name 0\nintrinsic " + "0 " * 16]
)
def test_wrong_cameras_are_one_clean_error(folder: Path, text: str) -> None:
    (folder / "S2" / "Seq1" / "camera.calibration").write_text(text)
    with pytest.raises(DataError, match=r"camera\.calibration"):
        opened(folder)


def test_damaged_files_are_read_or_one_clean_error(folder: Path) -> None:
    write_test(folder / "mpi_inf_3dhp_test_set" / "TS1")
    readers = {
        folder / "S2" / "Seq1" / "annot.mat": _annotations,
        folder / "S2" / "Seq1" / "camera.calibration": _cameras,
        folder / "mpi_inf_3dhp_test_set" / "TS1" / "annot_data.mat": _test_annotations,
    }
    for file, read in readers.items():
        errors = 0
        for path in damaged(file, 60):
            forget(_annotations, _test_annotations)
            try:
                read(path)
            except DataError:
                errors += 1
        assert errors > 10
