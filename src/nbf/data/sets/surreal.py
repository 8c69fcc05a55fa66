"""SURREAL (Varol et al., CVPR 2017): clips of synthetic people in SMPL bodies, 320 x 240 pixels.

    cmu/{train,val,test}/run{0,1,2}/SEQUENCE/SEQUENCE_c0001.mp4, _info.mat, _segm.mat

Its Blender camera mirrors: the matrix from world to camera has determinant -1, so that the person in the picture is the
mirror image of the body in the file, whose left hand is the picture's person's right (gulvarol/surreal,
datageneration/misc/smpl_relations/smpl_relations.py: "left/right are swapped"). Labels here are the picture's
person's: joints and parts change sides, and the body is mirrored. Before that the body is turned by `zrot` about z and
by a quarter about x, as in the same file; where the pelvis is, `joints3D` says.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from numpy import ndarray

from nbf.body.joints import MIRROR_SMPL24
from nbf.data.kind import DataSet, Need
from nbf.data.labelled import (
    BodyLabel,
    Frame,
    JointLabels,
    LabelledPerson,
    LabelledPicture,
    LabelMap,
    Lazy,
    LensCamera,
    Pictures,
)
from nbf.data.readers.checked import numbers
from nbf.data.readers.films import VideoFrame
from nbf.data.readers.matlab import load_mat
from nbf.errors import DataError
from nbf.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle

_HEIGHT, _WIDTH = 240, 320
_LENS = LensCamera(np.array([600.0, 600.0]), np.array([_WIDTH / 2, _HEIGHT / 2]))
# Blender's camera (matrix_world of main_part1.py, transposed) with its axes turned to OpenCV's.
_CAMERA_FROM_WORLD = np.diag([1.0, -1, -1]) @ np.array([[0.0, 0, 1], [0, -1, 0], [-1, 0, 0]]).T
_MIRROR = np.diag([-1.0, 1, 1])
_UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
_SIDES = list(MIRROR_SMPL24)
_PARTS = np.array([0, *(part + 1 for part in MIRROR_SMPL24)], np.uint8)
# Clips kept: as many as are read side by side.
_CLIPS = 16
_KEYS = ("pose", "shape", "joints2D", "joints3D", "gender", "camLoc", "zrot")


@dataclass(frozen=True, eq=False)
class _Clip:
    poses: Float32[ndarray, "t 24 3"]
    betas: Float32[ndarray, "t 10"]
    genders: tuple[str, ...]
    joints_2d: Float32[ndarray, "t 24 2"]
    joints_3d: Float32[ndarray, "t 24 3"]
    """Camera."""

    def person(self, index: int) -> LabelledPerson:
        known = np.ones(24, np.float32)
        space = self.joints_3d[index]
        body = BodyLabel(
            "smpl", self.genders[index], self.betas[index], self.poses[index], translation=None, pelvis=space[0]
        )
        return LabelledPerson(
            None,
            JointLabels("smpl24", self.joints_2d[index], known),
            JointLabels("smpl24", space, known),
            body=body,
        )


def _read(folder: Path, split: str) -> Pictures:
    root = folder / "cmu" / split
    clips = sorted(root.glob("run[0-2]/*/*_info.mat"))
    if not clips:
        raise DataError(f"{root}: expected run[0-2]/*/*_info.mat, got none; docs/datasets says what goes where")
    rows = [(path, index) for path in clips for index in range(_frames(path))]
    read = lru_cache(maxsize=_CLIPS)(_clip)
    return Lazy(len(rows), lambda i: _picture(read(rows[i][0]), *rows[i], split))


def _frames(path: Path) -> int:
    """Of a clip, from the heads of its variables alone."""
    try:
        from scipy.io import whosmat
    except ImportError as error:
        raise DataError(
            f"{path}: reading Matlab files needs scipy; install it with: pip install 'neural-body-fitting[datasets]'"
        ) from error
    try:
        shapes = {name: shape for name, shape, _ in whosmat(path)}
    # Parsers of damaged files raise whatever they meet.
    except Exception as error:
        raise DataError(f"{path}: cannot be read as a Matlab file ({error}); get the data set anew") from error
    shape = shapes.get("pose", ())
    if len(shape) != 2 or shape[0] != 72:
        raise DataError(f"{path}: expected numbers 72 x n called 'pose', got {shape or 'none'}; get the data set anew")
    return shape[1]


def _picture(clip: _Clip, info: Path, index: int, split: str) -> LabelledPicture:
    stem = info.name.removesuffix("_info.mat")
    run, sequence = info.parent.parent.name, info.parent.name
    return LabelledPicture(
        f"{run}/{stem}/{index:03}",
        VideoFrame(info.with_name(f"{stem}.mp4"), index),
        (clip.person(index),),
        split,
        _LENS,
        (LabelMap("smpl24", partial(_parts, info.with_name(f"{stem}_segm.mat"), index)),),
        Frame(f"{run}/{stem}", index, action=sequence),
    )


def _clip(path: Path) -> _Clip:
    table = load_mat(path, *_KEYS)

    def array(key: str, *shape: int | None) -> Float64[ndarray, "..."]:
        value = table.get(key)
        # Matlab keeps no last dimension of 1.
        value = value[..., None] if isinstance(value, ndarray) and value.ndim == len(shape) - 1 else value
        return numbers(value, shape, f"{path}: {key!r}")

    pose = array("pose", 72, None)
    count = pose.shape[1]
    genders, turn = array("gender", count, 1)[:, 0], array("zrot", count, 1)[:, 0]
    shift = -_CAMERA_FROM_WORLD @ array("camLoc", 3, 1)[:, 0]
    points = array("joints3D", 3, 24, count).transpose(2, 1, 0) @ _CAMERA_FROM_WORLD.T + shift
    return _Clip(
        _mirrored(pose.T.reshape(count, 24, 3), turn),
        array("shape", 10, count).T.astype(np.float32),
        tuple("male" if each else "female" for each in genders),
        array("joints2D", 2, 24, count).transpose(2, 1, 0)[:, _SIDES].astype(np.float32),
        points[:, _SIDES].astype(np.float32),
    )


def _mirrored(poses: Float64[ndarray, "t 24 3"], turn: Float64[ndarray, " t"]) -> Float32[ndarray, "t 24 3"]:
    """Poses of the mirror images, their roots in the camera's frame."""
    mirrored = poses[:, _SIDES] * np.array([1.0, -1, -1])
    cosine, sine, zero = np.cos(turn), np.sin(turn), np.zeros_like(turn)
    about_z = np.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, zero + 1], -1).reshape(-1, 3, 3)
    root = matrix_from_axis_angle(torch.from_numpy(poses[:, 0])).numpy()
    root = _CAMERA_FROM_WORLD @ _UPRIGHT @ about_z @ root @ _MIRROR
    mirrored[:, 0] = axis_angle_from_matrix(torch.from_numpy(root)).numpy()
    return mirrored.astype(np.float32)


def _parts(path: Path, index: int) -> UInt8[ndarray, "240 320"]:
    """Label 1 + the joint of SMPL that moves the part; 0 is background."""
    name = f"segm_{index + 1}"
    parts = numbers(load_mat(path, name).get(name), (_HEIGHT, _WIDTH), f"{path}: {name!r}")
    if parts.min() < 0 or parts.max() > 24:
        raise DataError(f"{path}: expected parts from 0 to 24 in {name!r}; get the data set anew")
    return _PARTS[parts.astype(np.uint8)]


SET = DataSet(
    "surreal",
    "SURREAL",
    ("train", "val", "test"),
    ("cmu/*/run[0-2]",),
    (
        Need("cmu/*/run[0-2]/*/*_info.mat", "the labels"),
        Need("cmu/*/run[0-2]/*/*.mp4", "the films"),
        Need("cmu/*/run[0-2]/*/*_segm.mat", "the parts", optional=True),
    ),
    _read,
)
