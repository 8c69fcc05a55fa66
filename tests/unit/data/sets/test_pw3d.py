"""3DPW, from pickles as Python 2 wrote them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from smpl import python2_pickle
from spoiling import refuses_or_reads

from nbf.data.catalogue import recognised
from nbf.data.sets.pw3d import SET
from nbf.errors import DataError
from nbf.geometry.rotations import matrix_from_axis_angle

FRAMES, LENS = 3, np.array([[1960.0, 0, 540], [0, 1970, 960], [0, 0, 1]])


def sequence(seed: int = 0) -> dict[str, Any]:
    """Two people before a camera that moves; OpenPose sees the limbs where they are, as indices of pixels."""
    draw = np.random.default_rng(seed)
    cameras = np.tile(np.eye(4), (FRAMES, 1, 1))
    cameras[:, :3, :3] = matrix_from_axis_angle(torch.from_numpy(draw.normal(0, 0.5, (FRAMES, 3)))).numpy()
    cameras[:, :3, 3] = draw.normal(0, 0.3, (FRAMES, 3))
    table: dict[str, Any] = {"sequence": "street_00", "cam_poses": cameras, "cam_intrinsics": LENS}
    for key in ("poses", "trans", "jointPositions", "betas", "genders", "poses2d", "campose_valid"):
        table[key] = []
    for gender in "mf":
        seen = draw.uniform(-0.5, 0.5, (FRAMES, 24, 3)) + np.array([0, 0, 4])
        world = (seen - cameras[:, None, :3, 3]) @ cameras[:, :3, :3]
        pixels = seen[..., :2] / seen[..., 2:] * LENS[[0, 1], [0, 1]] + LENS[:2, 2]
        found = np.zeros((FRAMES, 3, 18))
        # OpenPose's right and left shoulder, SMPL's joints 17 and 16.
        for theirs, ours in ((2, 17), (5, 16)):
            found[:, :2, theirs], found[:, 2, theirs] = pixels[:, ours] - 0.5, 0.8
        table["poses"].append(draw.normal(0, 1, (FRAMES, 72)))
        table["trans"].append(draw.normal(0, 1, (FRAMES, 3)))
        table["jointPositions"].append(world.reshape(FRAMES, 72))
        table["betas"].append(draw.normal(0, 1, 12))
        table["genders"].append(gender)
        table["poses2d"].append(found)
        table["campose_valid"].append(np.array([1, 1, 0] if gender == "m" else [1, 0, 1]))
    return table


def write(folder: Path, table: dict[str, Any]) -> Path:
    for name in ("sequenceFiles/test", "imageFiles/street_00"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    path = folder / "sequenceFiles" / "test" / "street_00.pkl"
    path.write_bytes(python2_pickle(table, 2))
    return path


def test_bodies_joints_and_cameras(tmp_path: Path) -> None:
    table = sequence()
    write(tmp_path, table)
    pictures = SET.open(tmp_path, "test")
    assert recognised(tmp_path) == [SET]
    assert [picture.name for picture in pictures] == [f"street_00/image_{index:05}" for index in range(FRAMES)]
    assert pictures[1].source == tmp_path / "imageFiles" / "street_00" / "image_00001.jpg"
    for index, picture in enumerate(pictures):
        assert picture.frame is not None
        assert (picture.frame.sequence, picture.frame.index, picture.complete) == ("street_00", index, False)
        assert [person.name for person in picture.people] == ["0", "1"]
        for who, person in enumerate(picture.people):
            if not table["campose_valid"][who][index]:
                assert person.body is None
                assert person.joints_3d is None
                continue
            assert person.body is not None
            assert person.body.gender == ("male", "female")[who]
            np.testing.assert_allclose(person.body.betas, table["betas"][who][:10], rtol=1e-6)
            np.testing.assert_allclose(person.body.pose.ravel(), table["poses"][who][index], rtol=1e-6)
            np.testing.assert_array_equal(person.body.camera_from_world, table["cam_poses"][index][:3])


def test_joints_of_the_world_meet_the_picture(tmp_path: Path) -> None:
    write(tmp_path, sequence())
    picture = SET.open(tmp_path, "test")[0]
    assert picture.camera is not None
    for person in picture.people:
        assert person.joints_2d is not None
        assert person.joints_3d is not None
        pixels = picture.camera.project(person.joints_3d.points)
        for name, joint in (("right_shoulder", 17), ("left_shoulder", 16)):
            theirs = person.joints_2d.to("smpl24")
            assert theirs.weight[joint] > 0, name
            np.testing.assert_allclose(theirs.points[joint], pixels[joint], atol=2e-3)
        assert np.count_nonzero(person.joints_2d.weight) == 2
        assert person.box is not None
        np.testing.assert_allclose(person.box[:2], pixels[[16, 17]].min(0), atol=2e-3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("poses", [np.zeros((FRAMES, 72))]),
        ("poses", np.zeros((2, FRAMES, 72))),
        ("trans", [np.zeros((FRAMES - 1, 3))] * 2),
        ("genders", ["m", "x"]),
        ("betas", [np.zeros(9)] * 2),
        ("cam_poses", np.full((FRAMES, 4, 4), np.nan)),
        ("cam_intrinsics", "none"),
        ("campose_valid", None),
    ],
)
def test_labels_that_contradict_each_other_are_refused(tmp_path: Path, key: str, value: object) -> None:
    write(tmp_path, sequence() | {key: value})
    with pytest.raises(DataError, match=r"street_00\.pkl"):
        SET.open(tmp_path, "test")


def test_a_spoilt_file_is_one_clean_error(tmp_path: Path) -> None:
    path = write(tmp_path, sequence())
    refuses_or_reads(path, lambda: list(SET.open(tmp_path, "test")))


def test_a_split_without_files_is_said(tmp_path: Path) -> None:
    write(tmp_path, sequence())
    with pytest.raises(DataError, match="sequenceFiles/train"):
        SET.open(tmp_path, "train")
