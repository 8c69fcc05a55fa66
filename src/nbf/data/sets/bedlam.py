"""BEDLAM and BEDLAM2 (Black et al., CVPR 2023): synthetic people in SMPL-X bodies, labels as its own tools pack them.

    processed_labels/SCENE.npz
    images/SCENE/png/seq_000000/seq_000000_0000.png ...

Arrays of a row a person: imgname, center, scale (times 200 the side of a box, 1.2 times the joints'), pose_world,
trans_world, shape, cam_int, cam_ext (world to camera, metres), gtkps, sub (who it is). pixelite1201/BEDLAM,
data_processing/ReadMe.md and df_full_body.py, from which two traps are known as well: bodies are of the *neutral*
model, whatever `gender` says of the person; and scenes called closeup (BEDLAM2: portrait) lie on their side in their
files, while labels are for the picture turned clockwise, which is how it is given here. The cameras of such scenes are
taller than wide.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from numpy import ndarray

from nbf.data.kind import DataSet, Need
from nbf.data.labelled import (
    BodyLabel,
    Frame,
    JointLabels,
    LabelledPerson,
    LabelledPicture,
    Lazy,
    LensCamera,
    Pictures,
)
from nbf.data.readers.npz import read_npz, rows_by_name
from nbf.data.readers.pixels import TurnedFile
from nbf.data.sets.spin import box_around
from nbf.errors import DataError
from nbf.reading import Array

_ARRAYS = {
    "imgname": Array(np.str_, ("n",)),
    "center": Array(np.float32, ("n", 2)),
    "scale": Array(np.float32, ("n",)),
    "pose_world": Array(np.float32, ("n", "p")),
    "trans_world": Array(np.float32, ("n", 3)),
    "shape": Array(np.float32, ("n", "s")),
    "cam_int": Array(np.float32, ("n", 3, 3)),
    "cam_ext": Array(np.float32, ("n", 4, 4)),
    "gtkps": Array(np.float32, ("n", "j", "d")),
    "sub": Array(np.str_, ("n",)),
    # What tells BEDLAM2.
    "lh_s": Array(np.float32, ("n",), optional=True),
}
_SMPL, _SMPLX = 72, 165
# Joints of SMPL-X that are SMPL's, too.
_SHARED = 22


@dataclass(frozen=True, eq=False)
class _Scene:
    path: Path
    pictures: Path

    @cached_property
    def arrays(self) -> dict[str, ndarray]:
        arrays = read_npz(self.path, _ARRAYS)
        numbers, joints, axes = arrays["pose_world"].shape[1], *arrays["gtkps"].shape[1:]
        least = 25 if "lh_s" in arrays else 24
        if numbers not in (_SMPL, _SMPLX) or joints < least or axes not in (2, 3):
            raise DataError(
                f"{self.path}: expected {_SMPL} or {_SMPLX} numbers of pose and at least {least} joints of 2 or 3, got "
                f"{numbers}, {joints} and {axes}; get the data set anew"
            )
        return arrays

    def picture(self, name: str, rows: list[int], index: int, split: str) -> LabelledPicture:
        lens = self.arrays["cam_int"][rows[0]].astype(np.float64)
        camera = LensCamera(lens[[0, 1], [0, 1]], lens[:2, 2])
        file = self.pictures / name
        sequence, _, number = PurePosixPath(name).stem.rpartition("_")
        return LabelledPicture(
            f"{self.path.stem}/{name}",
            file if camera.center[0] > camera.center[1] else TurnedFile(file),
            tuple(self._person(row) for row in rows),
            split,
            camera,
            frame=Frame(f"{self.path.stem}/{sequence}", int(number) if number.isdecimal() else index),
            # People with few joints in the picture are left out of the labels.
            complete=False,
        )

    def _person(self, row: int) -> LabelledPerson:
        here = {name: each[row] for name, each in self.arrays.items()}
        pose = np.zeros((24, 3), np.float32)
        smpl = len(here["pose_world"]) == _SMPL
        count = 24 if smpl else _SHARED
        pose[:count] = here["pose_world"][: 3 * count].reshape(-1, 3)
        body = BodyLabel(
            "smpl" if smpl else "smplx",
            "neutral",
            here["shape"],
            pose,
            here["trans_world"],
            here["cam_ext"][:3].astype(np.float64),
        )
        box = box_around(here["center"], 200 * float(here["scale"]))
        return LabelledPerson(box, self._joints(here["gtkps"], count), body=body, name=str(here["sub"]))

    def _joints(self, points: ndarray, count: int) -> JointLabels:
        if "lh_s" in self.arrays:
            return JointLabels("body25", points[:25, :2], np.ones(25, np.float32))
        weight = (np.arange(24) < count).astype(np.float32)
        return JointLabels("smpl24", points[:24, :2] * weight[:, None], weight)


def _read(folder: Path, split: str) -> Pictures:
    rows: list[tuple[_Scene, str, list[int]]] = []
    for path in sorted((folder / "processed_labels").glob("*.npz")):
        scene = _Scene(path, folder / "images" / path.stem / "png")
        names = read_npz(path, {"imgname": _ARRAYS["imgname"]})["imgname"]
        rows += [(scene, name, here) for name, here in rows_by_name(names)]

    def picture(index: int) -> LabelledPicture:
        scene, name, here = rows[index]
        return scene.picture(name, here, index, split)

    return Lazy(len(rows), picture)


SET = DataSet(
    "bedlam",
    "BEDLAM",
    ("train",),
    ("processed_labels/*.npz", "images/*/png"),
    (
        Need("processed_labels/*.npz", "the labels, which BEDLAM's data_processing makes"),
        Need("images/*/png", "the pictures"),
    ),
    _read,
)
