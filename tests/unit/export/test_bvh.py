"""BVH files give the joints back, to us and to others."""

from pathlib import Path

import numpy as np
import pytest
import torch
from motions import motion, off_origin
from numpy import ndarray

from nbf.body.joints import PARENTS, SMPL24
from nbf.errors import InputError
from nbf.export.bvh import read_bvh, write_bvh
from nbf.export.rig import RIGS
from nbf.export.world import World
from nbf.geometry import matrix_from_axis_angle
from nbf.motion import Motion

MILLIMETRE = 1e-3


def joints(someone: Motion, world: World) -> ndarray:
    return someone.moved(world.from_camera).posed().joints.numpy()


@pytest.mark.parametrize("bend", [0.3, 3.0])  # bent beyond any joint, so that every angle comes up
@pytest.mark.parametrize("ground", [False, True])
def test_what_is_read_is_what_was_written(tmp_path: Path, bend: float, ground: bool) -> None:
    someone = off_origin(motion(frames=20, bend=bend))
    world = World.on_ground([someone]) if ground else World.as_seen()
    write_bvh(tmp_path / "a.bvh", someone, world)
    read = read_bvh(tmp_path / "a.bvh")
    order = [read.names.index(name) for name in SMPL24]
    np.testing.assert_allclose(read.joints()[:, order], joints(someone, world), atol=1e-5)
    turns = someone.moved(world.from_camera).rotations
    np.testing.assert_allclose(read.rotations[:, order], turns, atol=1e-5)
    assert [-1 if read.parents[i] < 0 else SMPL24.index(read.names[read.parents[i]]) for i in order] == list(PARENTS)
    assert read.frame_rate == pytest.approx(25)


def test_angles_where_two_axes_are_one(tmp_path: Path) -> None:
    someone = motion(frames=1)
    quarter = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    turn = torch.tensor([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    nearly = matrix_from_axis_angle(torch.tensor([3e-7, 2e-7, 0.0]))
    someone.rotations[0, 4], someone.rotations[0, 5] = nearly @ turn @ quarter, nearly @ turn @ quarter.T
    write_bvh(tmp_path / "a.bvh", someone, World.as_seen())
    read = read_bvh(tmp_path / "a.bvh")
    order = [read.names.index(name) for name in SMPL24]
    np.testing.assert_allclose(read.rotations[0, order[4:6]], someone.rotations[0, 4:6], atol=1e-5)


def test_the_rest_is_the_t_pose_of_the_persons_shape(tmp_path: Path) -> None:
    someone = motion()
    write_bvh(tmp_path / "a.bvh", someone, World.as_seen())
    read = read_bvh(tmp_path / "a.bvh")
    rest = someone.body.rest_joints(someone.betas).numpy()
    for joint, name in enumerate(SMPL24[1:], 1):
        offset = read.offsets[read.names.index(name)]
        np.testing.assert_allclose(offset, rest[joint] - rest[PARENTS[joint]], atol=1e-6)


def test_the_root_has_six_channels_the_others_three_and_a_file_says_what_it_is(tmp_path: Path) -> None:
    write_bvh(tmp_path / "a.bvh", motion(), World.as_seen(), rig="mixamo")
    text = (tmp_path / "a.bvh").read_text()
    assert text.count("CHANNELS 6 ") == 1
    assert text.count("CHANNELS 3 ") == 23
    read = read_bvh(tmp_path / "a.bvh")
    assert set(read.names) == set(RIGS["mixamo"])
    for word in ("anny24", "metre", "y_up", "Neural_Body_Fitting"):
        assert word in read.remark


def test_bvhio_finds_the_same_joints(tmp_path: Path) -> None:
    bvhio = pytest.importorskip("bvhio", reason="bvhio, a reader of BVH, is not installed")
    someone, world = motion(bend=0.8), World.as_seen()
    write_bvh(tmp_path / "a.bvh", someone, world)
    root = bvhio.readAsHierarchy(str(tmp_path / "a.bvh"))
    for frame, expected in enumerate(joints(someone, world)):
        root.loadPose(frame, recursive=True)
        found = {joint.Name: np.array(joint.PositionWorld) for joint, *_ in root.layout()}
        np.testing.assert_allclose([found[name] for name in SMPL24], expected, atol=MILLIMETRE)


def test_a_line_too_few_or_too_many_is_refused(tmp_path: Path) -> None:
    write_bvh(tmp_path / "a.bvh", motion(), World.as_seen())
    lines = (tmp_path / "a.bvh").read_text().splitlines()
    for changed in (lines[:-1], [*lines, lines[-1]], lines[:40], lines[1:], [*lines[:-1], lines[-1].replace("1", "x")]):
        (tmp_path / "b.bvh").write_text("\n".join(changed))
        with pytest.raises(InputError, match=r"b\.bvh: cannot be read as a BVH file: .*; write it anew"):
            read_bvh(tmp_path / "b.bvh")
