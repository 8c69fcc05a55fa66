"""SURREAL, from files that scipy and PyAV write in its layout."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from scipy.io import savemat
from spoiling import refuses_or_reads

from nbf.body.joints import MIRROR_SMPL24, SMPL24
from nbf.body.model import BodyModel
from nbf.data.catalogue import recognised
from nbf.data.placed import in_camera
from nbf.data.sets.surreal import SET
from nbf.errors import DataError
from nbf.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle

FRAMES = 3


def clip(body: BodyModel, frames: int = FRAMES, seed: int = 0) -> dict[str, Any]:
    """What its makers wrote: a body posed in Blender's world, drawn by a camera that mirrors."""
    draw = np.random.default_rng(seed)
    pose = draw.normal(0, 0.4, (frames, 72))
    zrot, place = draw.uniform(-3, 3, (frames, 1)), np.array([7.0, -1, 0])
    vectors = pose.reshape(frames, 24, 3).copy()
    about_z = np.zeros((frames, 3))
    about_z[:, 2] = zrot[:, 0]
    turns = [matrix_from_axis_angle(torch.from_numpy(each)).numpy() for each in (about_z, vectors[:, 0])]
    upright = matrix_from_axis_angle(torch.tensor([np.pi / 2, 0, 0]).double()).numpy()
    vectors[:, 0] = axis_angle_from_matrix(torch.from_numpy(upright @ turns[0] @ turns[1])).numpy()
    rotations = matrix_from_axis_angle(torch.from_numpy(vectors).float())
    joints = body(torch.zeros(frames, body.shape_count), rotations, torch.zeros(frames, 3)).joints.numpy()
    # Ahead of the camera, which looks along -x, with the picture's right along -z.
    x, y, z = np.moveaxis(joints, -1, 0)
    depth = place[0] - x
    pixels = np.stack([600 * (place[2] - z) / depth + 160, 600 * (y - place[1]) / depth + 120])
    return {
        "pose": pose.T.astype(np.float32),
        "shape": np.zeros((10, frames), np.float32),
        "joints2D": np.round(pixels).transpose(0, 2, 1).astype(np.float32),
        "joints3D": joints.transpose(2, 1, 0).astype(np.float32),
        "gender": np.ones((frames, 1), np.uint8),
        "zrot": zrot.astype(np.float32),
        "camLoc": place[:, None].astype(np.float32),
        "clipNo": 1.0,
        "source": "cmu",
    }


def write(folder: Path, info: dict[str, Any]) -> Path:
    clips = folder / "cmu" / "val" / "run0" / "01_01"
    clips.mkdir(parents=True, exist_ok=True)
    frames = info["pose"].reshape(72, -1).shape[1]
    savemat(clips / "01_01_c0001_info.mat", info, do_compression=True)
    segments = {f"segm_{index + 1}": np.zeros((240, 320), np.uint8) for index in range(frames)}
    for index, parts in enumerate(segments.values()):
        parts[index, :25] = np.arange(25)
    savemat(clips / "01_01_c0001_segm.mat", segments, do_compression=True)
    with av.open(str(clips / "01_01_c0001.mp4"), "w") as film:
        stream: Any = film.add_stream("mpeg4", rate=15)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((240, 320, 3), 50 * index, np.uint8), format="rgb24")
            film.mux(stream.encode(picture))
        film.mux(stream.encode())
    return clips / "01_01_c0001_info.mat"


def test_joints_in_space_meet_those_in_the_picture(tmp_path: Path, small_body: BodyModel) -> None:
    info = clip(small_body)
    write(tmp_path, info)
    assert recognised(tmp_path) == [SET]
    pictures = SET.open(tmp_path, "val")
    assert len(pictures) == FRAMES
    for index, picture in enumerate(pictures):
        assert picture.frame is not None
        assert (picture.frame.sequence, picture.frame.index) == ("run0/01_01_c0001", index)
        assert abs(int(picture.pixels().mean()) - 50 * index) < 6
        joints, space = picture.people[0].joints_2d, picture.people[0].joints_3d
        assert joints is not None
        assert space is not None
        assert picture.camera is not None
        # Theirs are rounded to whole pixels.
        np.testing.assert_allclose(picture.camera.project(space.points), joints.points, atol=0.501)
        left, right = SMPL24.index("left_wrist"), SMPL24.index("right_wrist")
        np.testing.assert_array_equal(joints.points[left], info["joints2D"][:, right, index])


def test_the_mirrored_body_stands_where_the_joints_are(tmp_path: Path, small_body: BodyModel) -> None:
    write(tmp_path, clip(small_body))
    rest = small_body.joint_template
    mirror = torch.tensor([-1.0, 1, 1])
    asymmetry = float((rest[list(MIRROR_SMPL24)] * mirror - rest).norm(dim=1).max())
    for picture in SET.open(tmp_path, "val"):
        person = picture.people[0]
        assert person.body is not None
        assert person.body.gender == "male"
        _, rotations, translation = in_camera(person.body, small_body)
        torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(24))
        joints = small_body(torch.zeros(small_body.shape_count), rotations, translation).joints.numpy()
        assert person.joints_3d is not None
        np.testing.assert_allclose(joints[0], person.joints_3d.points[0], atol=1e-5)
        np.testing.assert_allclose(joints, person.joints_3d.points, atol=1e-4 + 8 * asymmetry)


def test_parts_change_sides(tmp_path: Path, small_body: BodyModel) -> None:
    write(tmp_path, clip(small_body))
    labels = SET.open(tmp_path, "val")[1].labels("smpl24")
    assert labels.shape == (240, 320)
    assert not labels[0].any()
    assert labels[1, 1 + SMPL24.index("left_wrist")] == 1 + SMPL24.index("right_wrist")
    assert labels[1, 1 + SMPL24.index("head")] == 1 + SMPL24.index("head")


def test_a_clip_of_one_frame(tmp_path: Path, small_body: BodyModel) -> None:
    """Matlab keeps no third dimension of 1."""
    info = clip(small_body, 1)
    squeezed = {key: info[key][..., 0] for key in ("joints2D", "joints3D")}
    write(tmp_path, info | squeezed)
    assert len(list(SET.open(tmp_path, "val"))) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shape", np.zeros((10, FRAMES + 1))),
        ("joints3D", np.full((3, 24, FRAMES), np.nan)),
        ("gender", "male"),
        ("camLoc", np.zeros((2, 1))),
    ],
)
def test_labels_of_another_kind_are_refused(tmp_path: Path, small_body: BodyModel, key: str, value: object) -> None:
    write(tmp_path, clip(small_body) | {key: value})
    with pytest.raises(DataError, match=r"c0001_info\.mat"):
        list(SET.open(tmp_path, "val"))


def test_spoilt_labels_are_one_clean_error(tmp_path: Path, small_body: BodyModel) -> None:
    path = write(tmp_path, clip(small_body))
    refuses_or_reads(path, lambda: list(SET.open(tmp_path, "val")), 30)


def test_spoilt_parts_are_one_clean_error(tmp_path: Path, small_body: BodyModel) -> None:
    path = write(tmp_path, clip(small_body))
    picture = SET.open(tmp_path, "val")[1]
    refuses_or_reads(path.with_name("01_01_c0001_segm.mat"), lambda: picture.labels("smpl24"), 30)
