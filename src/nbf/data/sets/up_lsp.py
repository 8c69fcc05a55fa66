"""UPi-S1h, the outlines and parts that people drew over Leeds Sports Pose for Unite the People (Lassner et al., CVPR
2017): what silhouettes and parts are scored on.

    data/lsp/im0001_segmentation.png         0 nobody, else the person
    data/lsp/im0001_part_segmentation.png    0 nobody, 1..6 parts (`LSP6`), 255 unsure
    lsp/joints.mat  lsp/images/im0001.jpg    the folder of Leeds Sports Pose itself, put or linked here
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from nbf.data.kind import DataSet, Need
from nbf.data.labelled import IGNORE, LabelledPicture, LabelMap, Lazy, Pictures
from nbf.data.readers.pixels import read_grey
from nbf.data.sets.lsp import LSP
from nbf.errors import DataError

LSP6 = ("background", "head", "torso", "right_arm", "left_arm", "right_leg", "left_leg")
"""Labels of the scheme `lsp6`, with IGNORE: the six regions of Unite the People (classner/up, up_tools/model.py), in
whose order its evaluation merges left and right."""
_UNSURE = 255


def _up_lsp(folder: Path, split: str) -> Pictures:
    pictures = LSP.open(folder / "lsp", split)
    return Lazy(len(pictures), lambda i: _with_maps(pictures[i], folder / "data" / "lsp"))


def _with_maps(picture: LabelledPicture, folder: Path) -> LabelledPicture:
    mask, parts = (folder / f"{picture.name}_{kind}.png" for kind in ("segmentation", "part_segmentation"))
    maps = (LabelMap("mask", partial(_mask, mask)), LabelMap("lsp6", partial(_parts, parts)))
    there = tuple(each for each, file in zip(maps, (mask, parts)) if file.is_file())
    return replace(picture, maps=there, clean_mask=mask.is_file())


def _mask(path: Path) -> UInt8[ndarray, "h w"]:
    return (read_grey(path) > 0).astype(np.uint8)


def _parts(path: Path) -> UInt8[ndarray, "h w"]:
    labels = read_grey(path)
    wrong = np.setdiff1d(labels, [*range(len(LSP6)), _UNSURE])
    if wrong.size:
        raise DataError(f"{path}: expected labels 0 to 6 and 255, got {wrong[0]}; get the data set anew")
    return np.where(labels == _UNSURE, IGNORE, labels).astype(np.uint8)


UP_LSP = DataSet(
    "up-lsp",
    "UPi-S1h's outlines and parts of Leeds Sports Pose",
    LSP.splits,
    ("data/lsp/im*_segmentation.png",),
    (
        Need("data/lsp/im*_segmentation.png", "outlines and parts"),
        Need("lsp/joints.mat", "Leeds Sports Pose, whose folder belongs here as lsp/"),
        Need("lsp/images/im*.jpg", "its pictures"),
    ),
    _up_lsp,
)
