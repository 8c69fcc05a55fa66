"""The field's exchange files: NPZ as SPIN (Kolotouros et al., ICCV 2019) packs the labels of data sets, also mmpose's.

    DIR/NAME.npz                     imgname (n), center (n, 2), scale (n), and some of: part (n, 24, 3), openpose
                                     (n, 25, 3), pose (n, 72), shape (n, 10), has_smpl (n), S (n, 24, 4), gender (n)
    DIR/h36m, DIR/3dpw, ...          the pictures of each data set, or links to them; imgname starts there
    DIR/static_fits/NAME_fits.npy    optional (n, 82): pose and shape of fits by SPIN's own optimisation

The root's rotation in `pose` is the camera's; where the body stands is not said. `scale` * 200 is the side of the box
around `center`, already enlarged, so that it is the crop that the networks of this family see. `S` is in metres, from
the pelvis, but absolute in mmpose's files; joints all of which lie before the camera are taken for absolute.

`part` has the pixels of the data set: LSP's and MPII's count from 1, COCO's are indices of pixels, those of the others
are projected. OpenPose's are indices of pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from nbf.data.kind import DataSet, Need
from nbf.data.labelled import BodyLabel, Frame, JointLabels, LabelledPerson, LabelledPicture, Lazy, Pictures
from nbf.data.origins import origin
from nbf.data.readers.npz import read_npz, rows_by_name
from nbf.data.readers.plain_files import read_npy
from nbf.errors import DataError
from nbf.reading import Array

_GENDERS = {"m": "male", "f": "female", "male": "male", "female": "female", "neutral": "neutral"}
_ARRAYS = {
    "imgname": Array(np.str_, ("n",)),
    "center": Array(np.float32, ("n", 2)),
    "scale": Array(np.float32, ("n",)),
    "part": Array(np.float32, ("n", 24, 3), optional=True),
    "openpose": Array(np.float32, ("n", 25, 3), optional=True),
    "pose": Array(np.float32, ("n", 72), optional=True),
    "shape": Array(np.float32, ("n", 10), optional=True),
    "has_smpl": Array(np.float32, ("n",), optional=True),
    "S": Array(np.float32, ("n", 24, 4), optional=True),
    "gender": Array(np.str_, ("n",), optional=True),
}


@dataclass(frozen=True)
class _Pack:
    pictures: str
    """Folder."""
    shift: float = 0.0
    """Of `part`, to our pixels."""
    fits: str = ""
    """NAME of its static fits."""


_PACKS = {
    "h36m_train": _Pack("h36m", fits="h36m"),
    "h36m_valid_protocol1": _Pack("h36m"),
    "h36m_valid_protocol2": _Pack("h36m"),
    "3dpw_test": _Pack("3dpw"),
    "mpi_inf_3dhp_train": _Pack("mpi_inf_3dhp", fits="mpi-inf-3dhp"),
    "mpi_inf_3dhp_valid": _Pack("mpi_inf_3dhp"),
    "lsp_dataset_test": _Pack("lsp", -0.5),
    "lsp_dataset_original_train": _Pack("lsp_original", -0.5, "lsp-orig"),
    "hr-lspet_train": _Pack("lspet", -0.5, "lspet"),
    "mpii_train": _Pack("mpii", -0.5, "mpii"),
    "coco_2014_train": _Pack("coco", 0.5, "coco"),
}


def box_around(center: Float32[ndarray, "2"], side: float | Float32[ndarray, "2"]) -> Float32[ndarray, "4"]:
    """A box by its centre and side, or width and height."""
    half = np.asarray(side, np.float32) / 2
    return np.concatenate([center - half, center + half]).astype(np.float32)


def grouped(names: ndarray, folder: Path, split: str, person: Callable[[int], LabelledPerson]) -> Pictures:
    """One picture for each name, with a person for each row that has it; only these are labelled in it."""
    rows = rows_by_name(names)

    def picture(index: int) -> LabelledPicture:
        name, here = rows[index]
        frame = origin(name) or Frame(split, index)
        return LabelledPicture(
            name, folder / name, tuple(person(row) for row in here), split, frame=frame, complete=False
        )

    return Lazy(len(rows), picture)


def _read(folder: Path, split: str) -> Pictures:
    path, pack = folder / f"{split}.npz", _PACKS[split]
    arrays = read_npz(path, _ARRAYS)
    genders = arrays.get("gender", np.array(["neutral"]))
    if strange := set(genders.tolist()) - set(_GENDERS):
        raise DataError(f"{path}: expected genders out of {', '.join(_GENDERS)}, got {min(strange)[:20]!r}")
    fits = folder / "static_fits" / f"{pack.fits}_fits.npy"
    if pack.fits and fits.is_file():
        arrays["fits"] = read_npy(fits, Array(np.float32, (len(arrays["imgname"]), 82)))
    person = partial(_person, {name: each for name, each in arrays.items() if name != "imgname"}, pack.shift)
    return grouped(arrays["imgname"], folder / pack.pictures, split, person)


def _person(arrays: dict[str, ndarray], shift: float, row: int) -> LabelledPerson:
    here = {name: np.asarray(each[row], np.float32) for name, each in arrays.items() if name != "gender"}
    joints = _joints_2d(here, shift)
    space = here.get("S")
    relative = space is not None and not _in_front(space)
    joints_3d = None if space is None else JointLabels("spin24", space[:, :3], space[:, 3].clip(0, 1))
    gender = _GENDERS[str(arrays["gender"][row])] if "gender" in arrays else "neutral"
    box = box_around(here["center"], 200 * float(here["scale"]))
    return LabelledPerson(box, joints, joints_3d, relative, _body(here, gender))


def _joints_2d(here: dict[str, ndarray], shift: float) -> JointLabels | None:
    half = np.array([0.5, 0.5, 0], np.float32)
    if "part" in here and "openpose" in here:
        order, rows = "spin49", np.concatenate([here["openpose"] + half, here["part"] + 2 * shift * half])
    elif "part" in here:
        order, rows = "spin24", here["part"] + 2 * shift * half
    elif "openpose" in here:
        order, rows = "body25", here["openpose"] + half
    else:
        return None
    return JointLabels(order, rows[:, :2], rows[:, 2].clip(0, 1))


def _in_front(space: Float32[ndarray, "j 4"]) -> bool:
    return bool((space[space[:, 3] > 0, 2] > 0).all())


def _body(here: dict[str, ndarray], gender: str) -> BodyLabel | None:
    if "pose" in here and "shape" in here and here.get("has_smpl", 1) > 0:
        return BodyLabel("smpl", gender, here["shape"], here["pose"].reshape(24, 3), None)
    if "fits" in here:
        return BodyLabel("smpl", "neutral", here["fits"][72:], here["fits"][:72].reshape(24, 3), None)
    return None


SET = DataSet(
    "spin",
    "labels as SPIN packs them",
    tuple(_PACKS),
    ("h36m_valid_protocol?.npz",),
    tuple(Need(f"{name}.npz", f"labels, with pictures in {pack.pictures}", True) for name, pack in _PACKS.items()),
    _read,
)
