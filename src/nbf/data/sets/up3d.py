"""UP-3D of Unite the People (Lassner et al., CVPR 2017), the main data set of Neural Body Fitting: SMPL bodies that
people found to fit, in photos of other data sets.

All in one folder, for each picture (classner/up):

    00123_image.png            the photo
    00123_joints.npy           (3, 14) x, y, visible: LSP's joints
    00123_body.pkl             neutral SMPL (pose, betas, trans), and the camera of the fit (rt, t, f)
    00123_fit_crop_info.txt    height and width of the picture that was fitted, y0 y1 x0 x1 of it in the photo
    00123_render.png           the body in the colours of 31 parts (`UP31`), white around it; render_light.png shaded
    train.txt val.txt trainval.txt test.txt    lines such as /00123_image.png
    namesUPlsp.txt             the 639 pictures of test that are LSP's (nkolot/GraphCMR): the split `lsp`

The fit looks through the middle of its own picture, which was a part of the photo, resized. Joints are taken as they
are: the bodies were fitted to them as they are.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from numpy import ndarray
from PIL import Image

from nbf.data.kind import DataSet, Need
from nbf.data.labelled import (
    BodyLabel,
    JointLabels,
    LabelledPerson,
    LabelledPicture,
    LabelMap,
    Lazy,
    LensCamera,
    Pictures,
)
from nbf.data.readers.pickled import read_pickled
from nbf.data.readers.pixels import read_colours, read_rgb
from nbf.data.readers.plain_files import read_lines, read_npy
from nbf.errors import DataError
from nbf.geometry.rotations import matrix_from_axis_angle
from nbf.reading import Array

UP31: dict[str, tuple[int, int, int]] = {
    "background": (255, 255, 255),
    "right_hand": (253, 107, 0),
    "right_wrist": (253, 90, 97),
    "right_lower_arm": (249, 178, 3),
    "right_elbow": (79, 22, 30),
    "right_upper_arm": (255, 218, 0),
    "right_shoulder": (84, 81, 17),
    "right_upper_body": (211, 228, 94),
    "right_lower_body": (154, 165, 46),
    "right_upper_leg": (110, 43, 84),
    "right_knee": (66, 28, 43),
    "right_lower_leg": (165, 72, 26),
    "right_ankle": (249, 111, 72),
    "right_foot": (219, 155, 60),
    "left_hand": (82, 104, 125),
    "left_wrist": (98, 233, 115),
    "left_lower_arm": (3, 165, 122),
    "left_elbow": (28, 28, 48),
    "left_upper_arm": (38, 159, 36),
    "left_shoulder": (35, 67, 48),
    "left_upper_body": (253, 228, 94),
    "left_lower_body": (181, 151, 103),
    "left_upper_leg": (45, 49, 72),
    "left_knee": (84, 28, 37),
    "left_lower_leg": (249, 153, 86),
    "left_ankle": (102, 229, 66),
    "left_foot": (248, 206, 74),
    "left_upper_head": (225, 22, 23),
    "right_upper_head": (149, 1, 23),
    "right_lower_head": (10, 77, 22),
    "left_lower_head": (38, 26, 24),
    "neck": (167, 207, 29),
}
"""Labels of the scheme `up31` in their order, and their colours in renderings (classner/up, up_tools/model.py)."""
_CROTCH = (191, 175, 95)  # what the authors could not colour; they count it as right lower body

UP6 = ("background", "head", "torso", "right_arm", "left_arm", "right_leg", "left_leg")
"""Labels of the scheme `up6`, six regions of the 31: the neck and shoulders are the torso's."""
_LIMBS = {
    "arm": ("upper_arm", "elbow", "lower_arm", "wrist", "hand"),
    "leg": ("upper_leg", "knee", "lower_leg", "ankle"),
}

# RGB distance to the nearest colour within which it is that colour (classner/up: renderings are inexact).
_TOLERANCE = 3.0
_LISTS = {split: f"{split}.txt" for split in ("train", "val", "trainval", "test")} | {"lsp": "namesUPlsp.txt"}


def _up3d(folder: Path, split: str) -> Pictures:
    names = [line[1:6] for line in read_lines(folder / _LISTS[split])]
    if not all(name.isdecimal() and len(name) == 5 for name in names):
        raise DataError(f"{folder / _LISTS[split]}: expected lines such as /00123_image.png; get the data set anew")
    return Lazy(len(names), lambda i: _picture(folder, names[i], split))


def _picture(folder: Path, name: str, split: str) -> LabelledPicture:
    rows = read_npy(folder / f"{name}_joints.npy", Array(np.float64, (3, 14))).T
    render, shaded = (folder / f"{name}_{kind}.png" for kind in ("render", "render_light"))
    body = _body(folder / f"{name}_body.pkl")
    focal = _value(body, "f", 1, folder / f"{name}_body.pkl")[0]
    person = LabelledPerson(
        box=_drawn_box(shaded) if shaded.is_file() else None,
        joints_2d=JointLabels("lsp14", rows[:, :2], rows[:, 2].clip(0, 1)),
        body=_label(body, folder / f"{name}_body.pkl"),
    )
    return LabelledPicture(
        name=name,
        source=folder / f"{name}_image.png",
        people=(person,),
        split=split,
        camera=_camera(folder / f"{name}_fit_crop_info.txt", focal),
        maps=(LabelMap("up31", partial(_up31, render)), LabelMap("up6", partial(_up6, render)))
        if render.is_file()
        else (),
        complete=False,
    )


def _body(path: Path) -> dict[Any, Any]:
    body = read_pickled(path)
    if not isinstance(body, dict):
        raise DataError(f"{path}: expected a dictionary of a body's parameters; get the data set anew")
    return body


def _label(body: dict[Any, Any], path: Path) -> BodyLabel:
    turn = matrix_from_axis_angle(torch.from_numpy(_value(body, "rt", 3, path))).numpy()
    return BodyLabel(
        model="smpl",
        gender="neutral",
        betas=_value(body, "betas", 10, path).astype(np.float32),
        pose=_value(body, "pose", 72, path).astype(np.float32).reshape(24, 3),
        translation=_value(body, "trans", 3, path).astype(np.float32),
        camera_from_world=np.concatenate([turn, _value(body, "t", 3, path)[:, None]], axis=1),
    )


def _value(body: dict[Any, Any], key: str, count: int, path: Path) -> Float[ndarray, " n"]:
    try:
        value = np.array(body.get(key), np.float64).ravel()
    except (TypeError, ValueError):
        value = np.zeros(0)
    if len(value) != count or not (np.abs(value) < 1e6).all():
        raise DataError(
            f"{path}: expected {count} numbers as {key!r}, got {len(value)} or huge ones; get the data set anew"
        )
    return value


def _camera(path: Path, focal: float) -> LensCamera:
    numbers = " ".join(read_lines(path)).split()
    if len(numbers) != 6 or not all(number.isdecimal() and len(number) < 6 for number in numbers):
        raise DataError(f"{path}: expected six whole numbers, got {' '.join(numbers)[:60]!r}; get the data set anew")
    height, width, y0, y1, x0, x1 = map(int, numbers)
    if min(height, width, y1 - y0, x1 - x0) <= 0 or focal <= 0:
        raise DataError(f"{path}: expected sizes of pictures and a focal length above 0; get the data set anew")
    resized = (height / (y1 - y0) + width / (x1 - x0)) / 2
    return LensCamera(np.full(2, focal / resized), np.array([width, height]) / 2 / resized + [x0, y0])


def _drawn_box(path: Path) -> Float32[ndarray, " 4"] | None:
    """Around all that is not white."""
    box = Image.fromarray(255 - read_rgb(path)).getbbox()
    return None if box is None else np.array(box, np.float32)


def _up31(path: Path) -> UInt8[ndarray, "h w"]:
    labels = read_colours(path, np.array([*UP31.values(), _CROTCH], np.uint8), _TOLERANCE)
    return np.where(labels == len(UP31), list(UP31).index("right_lower_body"), labels).astype(np.uint8)


def _up6(path: Path) -> UInt8[ndarray, "h w"]:
    return np.array([UP6.index(_region(part)) for part in UP31], np.uint8)[_up31(path)]


def _region(part: str) -> str:
    side, _, rest = part.partition("_")
    for limb, parts in _LIMBS.items():
        if rest in parts or (limb, rest) == ("leg", "foot"):
            return f"{side}_{limb}"
    return part if part == "background" else "head" if rest.endswith("head") else "torso"


UP3D = DataSet(
    "up3d",
    "UP-3D of Unite the People",
    tuple(_LISTS),
    ("[0-9][0-9][0-9][0-9][0-9]_body.pkl", "[0-9][0-9][0-9][0-9][0-9]_fit_crop_info.txt"),
    (
        Need("*_image.png", "the pictures"),
        Need("*_joints.npy", "joints"),
        Need("*_body.pkl", "bodies"),
        Need("*_fit_crop_info.txt", "where the fitted picture lies in the photo"),
        Need("train.txt", "which pictures are for training; so val.txt, trainval.txt and test.txt", optional=True),
        Need("*_render.png", "parts", optional=True),
        Need("*_render_light.png", "boxes", optional=True),
        Need("namesUPlsp.txt", "the split lsp: data/namesUPlsp.txt of nkolot/GraphCMR", optional=True),
    ),
    _up3d,
)
