"""Leeds Sports Pose and its extended training set (Johnson & Everingham, BMVC 2010 and CVPR 2011): 14 joints of one
person a picture.

    joints.mat          LSP (3, 14, 2000): x, y, hidden; LSP-extended (14, 3, 10000): x, y, visible
    images/im0001.jpg   ... (im00001.jpg in the extended set; im00001.png in HR-LSPET, in the order of their names)

Joints were clicked in Matlab, which counts pixels from 1: half a pixel less is our convention.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nbf.data.kind import DataSet, Need
from nbf.data.labelled import JointLabels, LabelledPerson, LabelledPicture, Lazy, Pictures
from nbf.data.readers.matlab import read_mat
from nbf.errors import DataError

_TRAIN = 1000
_NEEDS = (Need("joints.mat", "the labels"), Need("images/im*", "the pictures"))


def _lsp(folder: Path, split: str) -> Pictures:
    joints = _finite(folder, (3, 14, None))
    if joints.shape[2] < _TRAIN:
        raise DataError(
            f"{folder / 'joints.mat'}: expected joints of 2000 pictures, the first {_TRAIN} for training, got "
            f"{joints.shape[2]}; get the data set anew"
        )
    rows = range(_TRAIN) if split == "train" else range(_TRAIN, joints.shape[2])
    points = joints.transpose(2, 1, 0)
    # Hidden joints were clicked where they must be.
    return Lazy(
        len(rows), lambda i: _picture(folder / "images" / f"im{rows[i] + 1:04}.jpg", points[rows[i]][:, :2], split)
    )


def _lspet(folder: Path, split: str) -> Pictures:
    joints = _finite(folder, (14, 3, None)).transpose(2, 0, 1)
    files = sorted((folder / "images").glob("im*"))
    if len(files) != len(joints):
        raise DataError(f"{folder}: expected {len(joints)} pictures, one for each row of joints.mat, got {len(files)}")
    return Lazy(len(files), lambda i: _picture(files[i], joints[i][:, :2], split, joints[i][:, 2]))


def _finite(folder: Path, shape: tuple[int | None, ...]) -> Float[ndarray, "a b n"]:
    joints = read_mat(folder / "joints.mat", "joints", shape)
    if not np.isfinite(joints).all():
        raise DataError(f"{folder / 'joints.mat'}: expected finite numbers, got nan or infinity; get the data set anew")
    return joints


def _picture(
    path: Path, points: Float[ndarray, "14 2"], split: str, visible: Float[ndarray, " 14"] | None = None
) -> LabelledPicture:
    weight = np.ones(14) if visible is None else (visible > 0).astype(float)
    # What is not labelled is anywhere, most often at 0.
    joints = JointLabels("lsp14", np.where(weight[:, None] > 0, points - 0.5, 0), weight)
    return LabelledPicture(path.stem, path, (LabelledPerson(joints_2d=joints),), split, complete=False)


LSP = DataSet(
    "lsp", "Leeds Sports Pose", ("train", "test"), ("joints.mat", "images/im[0-9][0-9][0-9][0-9].jpg"), _NEEDS, _lsp
)
LSPET = DataSet(
    "lspet",
    "Leeds Sports Pose, extended",
    ("train",),
    ("joints.mat", "images/im[0-9][0-9][0-9][0-9][0-9].*"),
    _NEEDS,
    _lspet,
)
