"""AMASS (Mahmood et al., ICCV 2019): motion capture as poses of SMPL+H, or SMPL-X in its newer files. No pictures.

    SUBSET/SUBJECT/NAME_poses.npz      (NAME_stageii.npz for SMPL-X) beside shape.npz, which is none

Arrays: poses (n, 156) or (n, 165), trans, betas, gender as text or bytes, mocap_framerate (mocap_frame_rate for
SMPL-X). The first 66 numbers are the root and 21 joints that SMPL has, too; its two hands are left straight. The world
of the files has z up: a quarter turn about x makes it ours.
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray

from nbf.data.labelled import Lazy
from nbf.data.pose_sequences import PoseSequence
from nbf.data.readers.npz import read_npz
from nbf.errors import DataError
from nbf.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from nbf.reading import Array

# Subsets that its authors keep from training (nghorbani/amass, notebooks; both spellings of its releases).
_VALIDATION = ("HumanEva", "MPI_HDM05", "HDM05", "SFU", "MPI_mosh", "MoSh")
_TEST = ("Transitions_mocap", "Transitions", "SSM_synced", "SSM")
SPLITS = ("train", "validation", "test")
_UPRIGHT = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
_NUMBERS = (156, 165)


def read_amass(folder: Path, split: str) -> Lazy[PoseSequence]:
    """The sequences of a split, each read when it is asked for.

    Raises:
        DataError: there is no such split, or no sequence in it.
    """
    if split not in SPLITS:
        raise DataError(f"amass: expected a split out of {', '.join(SPLITS)}, got {split!r}")
    files = sorted(path for ending in ("poses", "stageii") for path in folder.glob(f"*/*/*_{ending}.npz"))
    files = [path for path in files if _split(path.parent.parent.name) == split]
    if not files:
        raise DataError(
            f"{folder}: expected SUBSET/SUBJECT/*_poses.npz of subsets for {split}, got none; docs/datasets says which"
        )
    return Lazy(len(files), lambda i: _sequence(folder, files[i]))


def _split(subset: str) -> str:
    return "validation" if subset in _VALIDATION else "test" if subset in _TEST else "train"


def _sequence(folder: Path, path: Path) -> PoseSequence:
    arrays = read_npz(
        path,
        {
            "poses": Array(np.float32, ("n", "p")),
            "betas": Array(np.float32, ("s",)),
            "gender": Array(np.str_, ()),
            "mocap_framerate": Array(np.float64, (), optional=True),
            "mocap_frame_rate": Array(np.float64, (), optional=True),
        },
    )
    poses, gender = arrays["poses"], str(arrays["gender"])
    rate = float(arrays.get("mocap_framerate", arrays.get("mocap_frame_rate", 0)))
    if poses.shape[1] not in _NUMBERS or gender not in ("male", "female", "neutral") or rate <= 0:
        raise DataError(
            f"{path}: expected {' or '.join(map(str, _NUMBERS))} numbers a pose, a gender and a frame rate, got "
            f"{poses.shape[1]}, {gender[:20]!r} and {rate}; get the data set anew"
        )
    name = path.relative_to(folder).with_suffix("").as_posix()
    return PoseSequence(name, gender, arrays["betas"], rate, _smpl24(poses))


def _smpl24(poses: ndarray) -> Float32[ndarray, "n 24 3"]:
    smpl = np.zeros((len(poses), 24, 3), np.float32)
    smpl[:, :22] = poses[:, :66].reshape(-1, 22, 3)
    root = _UPRIGHT @ matrix_from_axis_angle(torch.from_numpy(smpl[:, 0]))
    smpl[:, 0] = axis_angle_from_matrix(root).numpy()
    return smpl
