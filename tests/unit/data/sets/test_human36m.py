"""Human3.6M, from files that cdflib and h5py write in its layout."""

from pathlib import Path

import numpy as np
import pytest
from films import damaged, forget, number, write_film
from PIL import Image
from scipy.spatial.transform import Rotation
from studio import FRAMES, LENS, SERIALS, Studio, write_cdf, write_masks, write_studio

from nbf.data.catalogue import recognised
from nbf.data.joint_orders import ORDERS
from nbf.data.labelled import JointLabels, LabelledPicture
from nbf.data.recordings import Recordings
from nbf.data.sets.human36m import SET, SHIFTED, _box, _count, _masks, _poses, _recordings
from nbf.data.sets.human36m_metadata import ACTIONS, euler, read_metadata
from nbf.errors import DataError

# Where each joint of the order stands in metadata.xml's list of 32.
RAW = {
    "pelvis": 0,
    "right_hip": 1,
    "right_knee": 2,
    "right_ankle": 3,
    "left_hip": 6,
    "left_knee": 7,
    "left_ankle": 8,
    "spine": 12,
    "neck": 13,
    "jaw": 14,
    "head": 15,
    "left_shoulder": 17,
    "left_elbow": 18,
    "left_wrist": 19,
    "right_shoulder": 25,
    "right_elbow": 26,
    "right_wrist": 27,
}


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return write_studio(tmp_path / "h36m", ("S9", "S11"))


def joints(picture: LabelledPicture) -> tuple[JointLabels, JointLabels]:
    (person,) = picture.people
    assert person.joints_2d is not None
    assert person.joints_3d is not None
    return person.joints_2d, person.joints_3d


def opened(studio: Studio, split: str = "test") -> Recordings:
    # Not `SET.open`: where types are checked, one of the pictures that it gives is looked at.
    return Recordings(_recordings(studio.folder, split))


def test_joints_arrive_in_camera_metres_and_pixels(studio: Studio) -> None:
    for picture in opened(studio)[::7]:
        assert picture.frame is not None
        assert picture.camera is not None
        subject, name = picture.frame.sequence.split("/")
        take, _, serial = name.rpartition(".")
        in_picture, in_space = joints(picture)
        assert in_picture.order == in_space.order == "human36m17"
        raw = [RAW[joint] for joint in ORDERS["human36m17"]]
        wanted = studio.in_camera(subject, take, serial)[picture.frame.index][raw] / 1000
        np.testing.assert_allclose(in_space.points, wanted, atol=1e-6)
        pixels = studio.in_picture(subject, take, serial)[picture.frame.index][raw]
        np.testing.assert_allclose(in_picture.points, pixels, atol=1e-3)
        np.testing.assert_allclose(picture.camera.project(in_space.points), pixels, atol=1e-3)
        assert in_space.points[:, 2].min() > 3
        assert not picture.people[0].relative


def test_frames_say_what_protocols_choose_by(tmp_path: Path) -> None:
    studio = write_studio(tmp_path, ("S1", "S9", "S11"))
    train, test = opened(studio, "train"), opened(studio)
    assert len(train) == 6 * 4 * FRAMES
    assert len(test) == 2 * len(train)
    frames = [test.frame(i) for i in range(len(test))]
    assert frames == [picture.frame for picture in test]
    order = [(int(f.subject[1:]), ACTIONS.index(f.action), f.trial, SERIALS.index(f.camera), f.index) for f in frames]
    # S9 comes first.
    assert order == sorted(order)
    assert len({picture.name for picture in test}) == len(test)
    assert {(f.action, f.trial) for f in frames} == {
        (action, trial) for action in ("Directions", "SittingDown", "Photo") for trial in (1, 2)
    }
    # Take names differ by subject; actions do not.
    named = {f.sequence.rpartition(".")[0]: (f.action, f.trial) for f in frames}
    assert named["S9/Photo 1"] == ("Photo", 1)
    assert named["S9/SittingDown 1"] == ("SittingDown", 2)
    assert "S9/SittingDown 1" in SHIFTED
    assert train.frame(len(train) - 1).sequence == f"S1/TakingPhoto.{SERIALS[3]}"
    assert train.frame(len(train) - 1).action == "Photo"
    chosen = test.chosen(lambda frame: frame.camera == "60457274" and frame.trial == 1 and frame.index % 2 == 0)
    assert len(chosen) == 2 * 3 * 3
    assert [picture.frame.index for picture in chosen[:4] if picture.frame] == [0, 2, 4, 0]


def test_choosing_frames_reads_no_labels(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, read = opened(studio), []
    monkeypatch.setattr("nbf.data.sets.human36m._row", lambda *args: read.append(args) or np.ones((17, args[1])))
    assert len(pictures.chosen(lambda frame: frame.subject == "S11")) == len(pictures) // 2
    assert len(read) <= 2  # where types are checked, one picture is looked at


def test_joints_in_the_cameras_frame_say_the_same_as_those_in_the_world(studio: Studio) -> None:
    world = list(opened(studio))
    for (subject, take), poses in studio.poses.items():
        for serial in SERIALS:
            name = f"MyPoseFeatures/D3_Positions_mono/{take}.{serial}.cdf"
            write_cdf(studio.folder / subject / name, studio.in_camera(subject, take, serial))
            assert len(poses) == FRAMES
        (studio.folder / subject / "MyPoseFeatures" / "D3_Positions" / f"{take}.cdf").unlink()
    for before, after in zip(world, opened(studio), strict=True):
        assert before.frame == after.frame
        np.testing.assert_allclose(joints(before)[1].points, joints(after)[1].points, atol=1e-6)


def test_2d_joints_are_taken_as_they_are(studio: Studio) -> None:
    pixels = np.arange(FRAMES * 64, dtype=float).reshape(FRAMES, 32, 2)
    write_cdf(studio.folder / "S9" / "MyPoseFeatures" / "D2_Positions" / f"Directions 1.{SERIALS[0]}.cdf", pixels)
    labels, _ = joints(opened(studio)[2])
    np.testing.assert_array_equal(labels.points[ORDERS["human36m17"].index("neck")], pixels[2, 13])


def test_folders_of_h36m_fetch(studio: Studio) -> None:
    extracted = studio.folder / "extracted"
    for subject in ("S9", "S11"):
        (extracted / subject).mkdir(parents=True)
        (studio.folder / subject / "MyPoseFeatures" / "D3_Positions").rename(extracted / subject / "Poses_D3_Positions")
        (studio.folder / subject / "MyPoseFeatures").rmdir()
        (studio.folder / subject).rmdir()
    write_film(extracted / "S9" / "Videos" / f"Photo.{SERIALS[1]}.mp4", FRAMES)
    # Of a film that is not there, pictures 1, 4 and one that nobody labelled were extracted.
    stills = studio.folder / "processed" / "S9" / "TakingPhoto-1" / "imageSequence" / SERIALS[3]
    stills.mkdir(parents=True)
    for k in (4, 1, 99):
        Image.new("RGB", (25, 20), (k, 0, 0)).save(stills / f"img_{k:06}.jpg", quality=100, subsampling=0)
    pictures = opened(studio)
    assert len(pictures) == 2 * 6 * 4 * FRAMES - (FRAMES - 2)
    first, second = pictures.chosen(lambda frame: frame.sequence == f"S9/Photo 1.{SERIALS[3]}")
    assert [each.frame.index for each in (first, second) if each.frame] == [0, 3]
    assert abs(int(second.pixels()[10, 10, 0]) - 4) <= 1
    (film,) = pictures.chosen(lambda frame: frame.sequence == f"S9/Photo.{SERIALS[1]}" and frame.index == 3)
    assert number(film.pixels()) == 3


def test_boxes_are_the_rectangles_of_the_masks(studio: Studio) -> None:
    path = studio.folder / "S9" / "MySegmentsMat" / "ground_truth_bb" / f"Directions 1.{SERIALS[0]}.mat"
    write_masks(path, [(10, 20, 60, 180), (0, 0, 250, 254), None, (3, 4, 5, 6)])
    boxes = [picture.people[0].box for picture in opened(studio)[: FRAMES + 1]]
    assert [None if box is None else box.tolist() for box in boxes] == [
        [10, 20, 60, 180],
        [0, 0, 250, 254],
        None,
        [3, 4, 5, 6],
        None,  # fewer masks than poses
        None,  # no file
    ]


def test_pictures_come_out_of_films(tmp_path: Path) -> None:
    studio = write_studio(tmp_path, ("S9", "S11"), films=True)
    pictures = opened(studio)
    assert [number(picture.pixels()) for picture in pictures[: 2 * FRAMES]] == [*range(FRAMES)] * 2


def test_a_film_that_is_missing_is_said_when_it_is_wanted(studio: Studio) -> None:
    with pytest.raises(DataError, match=rf"Directions 1\.{SERIALS[0]}\.mp4"):
        opened(studio)[0].pixels()


def test_cameras_are_those_of_metadata(studio: Studio) -> None:
    metadata = read_metadata(studio.folder / "metadata.xml")
    assert len(metadata.cameras) == 44
    camera = metadata.cameras["S11", SERIALS[2]]
    fx, fy, cx, cy, k1, k2, k3, p1, p2 = LENS
    assert camera.lens.focal.tolist() == [fx, fy]
    assert camera.lens.center.tolist() == [cx, cy]
    assert camera.lens.distortion.tolist() == [k1, k2, p1, p2, k3]
    at = camera.from_world(studio.positions[2, 10] / 1000)
    np.testing.assert_allclose(at, 0, atol=1e-12)


def test_euler_angles_turn_about_the_turned_axes() -> None:
    for angles in np.random.default_rng(0).uniform(-3, 3, (20, 3)):
        np.testing.assert_allclose(euler(*angles), Rotation.from_euler("XYZ", angles).as_matrix(), atol=1e-12)


def test_a_folder_is_recognised_and_opened(studio: Studio) -> None:
    assert [each.name for each in recognised(studio.folder)] == ["human36m"]
    assert len(SET.open(studio.folder, "test")) == 2 * 6 * 4 * FRAMES


def test_a_test_subject_that_is_missing_is_said(tmp_path: Path) -> None:
    studio = write_studio(tmp_path, ("S9",))
    with pytest.raises(DataError, match="S9, S11, got S9"):
        opened(studio)
    with pytest.raises(DataError, match="got none"):
        opened(studio, "train")


def test_a_take_that_is_missing_is_said(studio: Studio) -> None:
    (studio.folder / "S11" / "MyPoseFeatures" / "D3_Positions" / "Photo.cdf").unlink()
    with pytest.raises(DataError, match=r"Photo\.cdf"):
        opened(studio)


@pytest.mark.parametrize(
    "poses", [np.zeros((3, 33, 3)), np.full((FRAMES, 32, 3), np.nan), np.full((FRAMES, 32, 3), np.inf)]
)
def test_wrong_poses_are_one_clean_error(studio: Studio, poses: np.ndarray) -> None:
    write_cdf(studio.folder / "S9" / "MyPoseFeatures" / "D3_Positions" / "Directions 1.cdf", poses)
    with pytest.raises(DataError, match=r"Directions 1\.cdf"):
        _ = opened(studio)[0]


def test_fewer_2d_poses_than_poses_in_space_are_said(studio: Studio) -> None:
    write_cdf(
        studio.folder / "S9" / "MyPoseFeatures" / "D2_Positions" / f"Directions 1.{SERIALS[0]}.cdf",
        np.zeros((FRAMES - 1, 32, 2)),
    )
    pictures = opened(studio)
    _ = pictures[FRAMES - 2]
    with pytest.raises(DataError, match=f"{FRAMES - 1} poses"):
        _ = pictures[FRAMES - 1]


def test_damaged_files_are_read_or_one_clean_error(studio: Studio) -> None:
    masks = studio.folder / "masks.mat"
    write_masks(masks, [(10, 20, 60, 180)] * FRAMES)
    cdf = studio.folder / "S9" / "MyPoseFeatures" / "D3_Positions" / "Directions 1.cdf"
    readers = {
        cdf: lambda path: (_count(path), _poses(path, 3)),
        masks: lambda path: _box(path, 1),
        studio.folder / "metadata.xml": read_metadata,
    }
    for file, read in readers.items():
        errors = 0
        for path in damaged(file, 60):
            forget(_count, _poses, _masks)
            try:
                read(path)
            except DataError:
                errors += 1
        assert errors > 10
    forget(_count, _poses, _masks)


def test_metadata_that_is_no_metadata_is_one_clean_error(studio: Studio) -> None:
    path = studio.folder / "metadata.xml"
    text = path.read_text()
    for wrong in ("", "<a/>", text.replace("[", "[nan ").replace(" ", "  "), text.replace("td>", "th>")[:-400]):
        path.write_text(wrong)
        with pytest.raises(DataError, match=r"metadata\.xml"):
            opened(studio)
