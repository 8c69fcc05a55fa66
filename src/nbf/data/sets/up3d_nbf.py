"""UP-3D as Neural Body Fitting trains on it (Omran et al., 3DV 2018; mohomran/neural_body_fitting,
experiments/config/template/preprocessor.py): crops of 512 pixels, seen by one fixed camera.

    lists/train_latent.txt             lines of a name and of whether it has a body (1) or joints alone (0)
    images/NAME_image.png              the crop
    colours/NAME_colours.png           12 parts (`NBF12`) in the first colours of the colour map
    smplparams/NAME_smplparams.bin     float64: 10 betas, 72 pose, 3 translation; neutral SMPL
    joints/NAME_joints.bin             float64: 24 joints unposed (x, y, z), posed (x, y, z), projected (x, y)
    cm_400_corrected.png               the colour map, helper_data/ there

In training each name of the list stands for all pictures whose names begin with it, crops of one photo. Posed joints
are without the translation. Projected ones are pixels of a picture of 224: the fitter's input, with whose projections
its losses compare them.
"""

from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

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
from nbf.data.readers.pixels import read_colours, read_rgb
from nbf.data.readers.plain_files import read_doubles, read_lines
from nbf.errors import DataError

NBF12 = (
    *("background", "head", "upper_torso", "left_lower_arm", "right_upper_arm", "left_upper_leg", "right_upper_leg"),
    *("neck", "lower_torso", "left_upper_arm", "right_lower_arm", "left_lower_leg", "right_lower_leg"),
)
"""Labels of the scheme `nbf12`, Neural Body Fitting's own 12 parts: hands are the lower arms', feet the lower legs'.
Read off mohomran/neural_body_fitting, models/smpl/template-bodyparts-corrected-labeled-split12.ply."""

_COLOURS_FILE = "cm_400_corrected.png"
# RGB distance; colours are exact.
_TOLERANCE = 3.0
_SIZE, _FOCAL = 512.0, 5000.0
_JOINTS_SIZE = 224.0


def _nbf(folder: Path, split: str) -> Pictures:
    path = folder / "lists" / f"{split}_latent.txt"
    listed = [line.split() for line in read_lines(path)]
    if not all(len(words) == 2 and words[1] in ("0", "1") for words in listed):
        raise DataError(f"{path}: expected lines of a name and of 0 or 1 (whether it has a body), got others")
    flags = {name: flag == "1" for name, flag in listed}
    if split == "train":
        ending = "_image.png"
        there = sorted(
            file.relative_to(folder / "images").as_posix().removesuffix(ending)
            for file in (folder / "images").rglob(f"*{ending}")
        )
        flags = {name: flags[of] for name in there if (of := _beginning(name, flags)) is not None}
    names = list(flags)
    colours = _colours(folder / _COLOURS_FILE)
    return Lazy(len(names), lambda i: _picture(folder, names[i], flags[names[i]], split, colours))


def _beginning(name: str, known: dict[str, bool]) -> str | None:
    """The longest beginning of a name that is known."""
    return next((name[:end] for end in range(len(name), 0, -1) if name[:end] in known), None)


def _colours(path: Path) -> UInt8[ndarray, "13 3"]:
    """The colours of background and parts: the first of a colour map, which is a picture of one row or column."""
    colours = read_rgb(path).reshape(-1, 3)
    if len(colours) < len(NBF12):
        raise DataError(f"{path}: expected at least {len(NBF12)} colours, got {len(colours)}")
    return colours[: len(NBF12)]


def _picture(folder: Path, name: str, has_body: bool, split: str, colours: UInt8[ndarray, "13 3"]) -> LabelledPicture:
    joints = read_doubles(folder / "joints" / f"{name}_joints.bin", 24 * 8)
    posed, seen = joints[72:144].reshape(24, 3), joints[144:].reshape(24, 2)
    person = LabelledPerson(joints_2d=JointLabels("smpl24", seen * (_SIZE / _JOINTS_SIZE), np.ones(24)))
    if has_body:
        numbers = read_doubles(folder / "smplparams" / f"{name}_smplparams.bin", 85)
        body = BodyLabel(
            model="smpl",
            gender="neutral",
            betas=numbers[:10].astype(np.float32),
            pose=numbers[10:82].astype(np.float32).reshape(24, 3),
            translation=numbers[82:].astype(np.float32),
        )
        placed = JointLabels("smpl24", posed + numbers[82:], np.ones(24))
        person = LabelledPerson(joints_2d=person.joints_2d, joints_3d=placed, body=body)
    return LabelledPicture(
        name=name,
        source=folder / "images" / f"{name}_image.png",
        people=(person,),
        split=split,
        camera=LensCamera(np.full(2, _FOCAL), np.full(2, _SIZE / 2)),
        maps=(
            LabelMap("nbf12", partial(read_colours, folder / "colours" / f"{name}_colours.png", colours, _TOLERANCE)),
        ),
        complete=False,
    )


UP3D_NBF = DataSet(
    "up3d-nbf",
    "UP-3D as Neural Body Fitting packs it",
    ("train", "val", "test"),
    ("smplparams/*_smplparams.bin", "lists/*_latent.txt"),
    (
        Need("lists/*_latent.txt", "names of a split, and whether each has a body"),
        Need("images/*", "pictures of 512 pixels"),
        Need("colours/*", "part maps in colours"),
        Need("joints/*", "joints"),
        Need("smplparams/*", "bodies"),
        Need(_COLOURS_FILE, "the colours: helper_data/cm_400_corrected.png of mohomran/neural_body_fitting"),
    ),
    _nbf,
)
