"""EMDB, from pickles in its layout."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from smpl import tiny_smpl
from spoiling import refuses_or_reads

from nbf.body.model import BodyModel
from nbf.body.smpl import read_smpl
from nbf.data.catalogue import recognised
from nbf.data.placed import in_camera
from nbf.data.sets.emdb import SET
from nbf.errors import DataError
from nbf.geometry.rotations import matrix_from_axis_angle

FRAMES, LENS = 4, np.array([[1450.0, 0, 720], [0, 1450, 960], [0, 0, 1]])


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> BodyModel:
    path = tmp_path_factory.mktemp("smpl") / "smpl.npz"
    np.savez(path, **tiny_smpl())
    return BodyModel(read_smpl(path))


def sequence(body: BodyModel) -> dict[str, Any]:
    """A body posed in the world, seen by a camera that moves."""
    draw = np.random.default_rng(0)
    poses, betas = draw.normal(0, 0.4, (FRAMES, 72)), draw.normal(0, 1, 10)
    shifts, turns = draw.normal(0, 1, (FRAMES, 3)), draw.normal(0, 2, (FRAMES, 3))
    rotations = matrix_from_axis_angle(torch.from_numpy(poses).float().reshape(FRAMES, 24, 3))
    shape = torch.from_numpy(betas).float().expand(FRAMES, 10)
    world = body(shape, rotations, torch.from_numpy(shifts).float()).joints.double().numpy()
    cameras = np.tile(np.eye(4), (FRAMES, 1, 1))
    cameras[:, :3, :3] = matrix_from_axis_angle(torch.from_numpy(turns)).numpy()
    # The pelvis 5 m ahead.
    cameras[:, :3, 3] = np.array([0, 0, 5]) - np.einsum("nij,nj->ni", cameras[:, :3, :3], world[:, 0])
    seen = np.einsum("nij,nkj->nki", cameras[:, :3, :3], world) + cameras[:, None, :3, 3]
    pixels = (seen @ LENS.T)[..., :2] / seen[..., 2:]
    return {
        "gender": "female",
        "name": "P1_05_walk",
        "emdb1": True,
        "emdb2": False,
        "n_frames": FRAMES,
        "good_frames_mask": np.array([True, True, False, True]),
        "camera": {"intrinsics": LENS, "extrinsics": cameras, "width": 1440, "height": 1920},
        "smpl": {"poses_root": poses[:, :3], "poses_body": poses[:, 3:], "trans": shifts, "betas": betas},
        "kp2d": pixels,
        "bboxes": {"bboxes": np.tile([10.0, 20, 30, 40], (FRAMES, 1)), "invalid_idxs": np.array([], int)},
    }


def write(folder: Path, table: dict[str, Any]) -> Path:
    (folder / "P1" / "05_walk" / "images").mkdir(parents=True, exist_ok=True)
    (folder / "P1" / "05_walk" / "images" / "00000.jpg").touch()
    path = folder / "P1" / "05_walk" / "P1_05_walk_data.pkl"
    path.write_bytes(pickle.dumps(table, 4))
    return path


def test_bodies_before_the_camera_meet_the_picture(tmp_path: Path, body: BodyModel) -> None:
    write(tmp_path, sequence(body))
    assert recognised(tmp_path) == [SET]
    pictures = SET.open(tmp_path, "emdb1")
    # Frame 2 is not good.
    assert [picture.frame.index for picture in pictures if picture.frame] == [0, 1, 3]
    for picture in pictures:
        (person,) = picture.people
        assert person.name == "P1"
        assert person.body is not None
        assert person.joints_2d is not None
        assert picture.camera is not None
        _, rotations, translation = in_camera(person.body, body)
        joints = body(torch.from_numpy(person.body.betas), rotations, translation).joints.numpy()
        np.testing.assert_allclose(picture.camera.project(joints), person.joints_2d.points, atol=0.02)


def test_boxes_that_are_not_valid_are_none(tmp_path: Path, body: BodyModel) -> None:
    table = sequence(body)
    table["bboxes"]["invalid_idxs"] = np.array([1])
    write(tmp_path, table)
    boxes = [picture.people[0].box for picture in SET.open(tmp_path, "emdb1")]
    assert boxes[1] is None
    assert boxes[0] is not None
    assert boxes[0].tolist() == [10, 20, 30, 40]


def test_a_benchmark_without_sequences_is_said(tmp_path: Path, body: BodyModel) -> None:
    write(tmp_path, sequence(body))
    with pytest.raises(DataError, match="emdb2"):
        SET.open(tmp_path, "emdb2")


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("gender",), "m"),
        (("good_frames_mask",), np.ones(FRAMES - 1, bool)),
        (("camera", "extrinsics"), np.zeros((FRAMES, 3, 4))),
        (("smpl", "betas"), np.zeros(16)),
        (("smpl", "trans"), np.full((FRAMES, 3), np.inf)),
        (("bboxes", "invalid_idxs"), np.array([FRAMES])),
        (("bboxes",), [1, 2]),
    ],
)
def test_labels_that_contradict_each_other_are_refused(
    tmp_path: Path, body: BodyModel, keys: tuple[str, ...], value: object
) -> None:
    table = sequence(body)
    inner = table if len(keys) == 1 else table[keys[0]]
    inner[keys[-1]] = value
    write(tmp_path, table)
    with pytest.raises(DataError, match=r"P1_05_walk_data\.pkl"):
        SET.open(tmp_path, "emdb1")


def test_a_spoilt_file_is_one_clean_error(tmp_path: Path, body: BodyModel) -> None:
    path = write(tmp_path, sequence(body))
    refuses_or_reads(path, lambda: list(SET.open(tmp_path, "emdb1")))
