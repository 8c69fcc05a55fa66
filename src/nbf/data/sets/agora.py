"""AGORA (Patel et al., CVPR 2021): scans of people in rendered places, with SMPL-X bodies.

    {train,validation}_0_withjv.pkl ...      tables of pandas, a row a picture (SMPL's joints or SMPL-X's)
    {train,validation}/NAME.png              or, of the small pictures, NAME_1280x720.png
    smplx_gt/...                             fits, where the tables' gt_path_smplx says; optional

Columns of a list with an entry for each person: X, Y, Z (centimetres of Unreal's world), Yaw (degrees), gender, kid,
isValid, gt_path_smplx, gt_joints_2d (pixels of 3840 x 2160) and gt_joints_3d (metres, camera); of a picture: imgPath,
camX, camY, camZ, camYaw. What camera took a picture its name says; that and how a fit comes before the camera is as in
pixelite1201/agora_evaluation, projection.py. People who are not valid are hidden by more than 90 %: nobody is asked for
them. Children's bodies need a model that blends in an infant's, so none is given. The SMPL fits of the data set hold
tensors of torch, not arrays, and are not read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
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
from nbf.data.readers.checked import field, numbers
from nbf.data.readers.dataframes import DataFrame, read_dataframe
from nbf.data.readers.pickled import read_pickled
from nbf.errors import DataError

_WIDTH, _HEIGHT, _SMALL = 3840, 2160, 3
# Millimetres; 20.25 high.
_SENSOR = 36.0
# Where the four cameras of its scenes with many people stand (centimetres), and their yaw in degrees.
_FIXED = {
    "cam00": ((400.0, -275.0, 265.0), 135.0),
    "cam01": ((400.0, 225.0, 265.0), -135.0),
    "cam02": ((-490.0, 170.0, 265.0), -45.0),
    "cam03": ((-490.0, -275.0, 265.0), 45.0),
}
_EYES = (0.0, 0.0, 170.0)
# Of other scenes the ground lies so many metres below the camera's zero.
_GROUND = 1.7
_LISTS = ("isValid", "gt_joints_2d", "gt_joints_3d")
_FIT = ("kid", "gender", "X", "Y", "Z", "Yaw", "gt_path_smplx")


@dataclass(frozen=True)
class _View:
    focal: float
    """Millimetres."""
    place: Float64[ndarray, "3"]
    """Metres, OpenCV's axes."""
    yaw: float
    pitch: float

    def camera_from(self, place: Float64[ndarray, "3"], yaw: float) -> Float64[ndarray, "3 4"]:
        """From the axes of a fit that stands at a place, turned by `yaw` (scans face sideways)."""
        turn = _about(0, self.pitch) @ _about(1, -self.yaw)
        rotation = turn @ _about(1, yaw - 90) @ np.diag([1.0, -1, -1])
        return np.concatenate([rotation, (turn @ (place - self.place))[:, None]], axis=1)


def _about(axis: int, degrees: float) -> Float64[ndarray, "3 3"]:
    angle = np.radians(degrees)
    turn = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turn[[first, second], [first, second]] = np.cos(angle)
    turn[second, first], turn[first, second] = np.sin(angle), -np.sin(angle)
    return turn


def _from_unreal(point: tuple[float, ...] | Float64[ndarray, "3"]) -> Float64[ndarray, "3"]:
    """Metres with OpenCV's axes, of centimetres with x forward, y right and z up."""
    return np.array([point[1], -point[2], point[0]]) / 100


@dataclass(frozen=True, eq=False)
class _Row:
    folder: Path
    table: DataFrame
    row: int

    def picture(self, split: str) -> LabelledPicture:
        name = self.table.cell("imgPath", self.row)
        if not isinstance(name, str):
            raise DataError(f"{self.table.path}: expected names in 'imgPath', got {type(name).__name__}")
        view = self._view(name)
        file, scale = _file(self.folder / split, name)
        focal = view.focal / _SENSOR * _WIDTH / scale
        lens = LensCamera(np.full(2, focal), np.array([_WIDTH, _HEIGHT]) / 2 / scale)
        people = tuple(self._person(who, given, view, scale) for who, given in enumerate(self._people()))
        frame = Frame(self.table.path.stem, self.row)
        return LabelledPicture(Path(name).stem, file, people, split, lens, frame=frame)

    def _view(self, name: str) -> _View:
        if "hdri" in name:
            return _View(50.0, _from_unreal(_EYES), 0.0, 0.0)
        for camera, (place, yaw) in _FIXED.items():
            if camera in name:
                return _View(18.0, _from_unreal(place), yaw, 30.0)
        if "ag2" in name:
            return _View(28.0, _from_unreal(_EYES), 0.0, 15.0)
        *place, yaw = (self._number(self.table.cell(key, self.row), key) for key in ("camX", "camY", "camZ", "camYaw"))
        return _View(28.0, _from_unreal(np.array(place)) - np.array([0, _GROUND, 0]), yaw, 0.0)

    def _people(self) -> list[dict[str, Any]]:
        """Of each person the cells of the columns in `_LISTS`, and of `_FIT` where the table has them all."""
        has_fits = all(key in self.table.columns for key in _FIT)
        lists = {key: self.table.cell(key, self.row) for key in (*_LISTS, *(_FIT if has_fits else ()))}
        for key, value in lists.items():
            if not isinstance(value, list | ndarray) or np.shape(value)[:1] != np.shape(lists["isValid"])[:1]:
                raise DataError(f"{self.table.path}: expected lists of one length, got another in {key!r}")
        return [dict(zip(lists, each)) for each in zip(*lists.values())]

    def _person(self, who: int, given: dict[str, Any], view: _View, scale: float) -> LabelledPerson:
        seen, space = self._points(given, "gt_joints_2d", 2), self._points(given, "gt_joints_3d", 3)
        joints = JointLabels(seen.order, seen.points / scale, seen.weight)
        body = self._body(given, view) if "gt_path_smplx" in given and not given["kid"] else None
        return LabelledPerson(None, joints, space, body=body, name=str(who), ignore=not given["isValid"])

    def _points(self, given: dict[str, Any], key: str, axes: int) -> JointLabels:
        points = numbers(given[key], (None, axes), f"{self.table.path}: {key!r}")
        # SMPL has 24 joints, and its usual 45 start with them; of SMPL-X's the first 22 are SMPL's.
        count = 24 if len(points) in (24, 45) else 22
        if len(points) < count:
            raise DataError(f"{self.table.path}: expected at least 22 joints in {key!r}, got {len(points)}")
        known = np.zeros((24, axes))
        known[:count] = points[:count]
        return JointLabels("smpl24", known, (np.arange(24) < count).astype(float))

    def _body(self, given: dict[str, Any], view: _View) -> BodyLabel | None:
        path, gender = given["gt_path_smplx"], given["gender"]
        if not isinstance(path, str) or gender not in ("male", "female", "neutral"):
            raise DataError(f"{self.table.path}: expected paths and genders, got {path!r:.40} and {gender!r:.20}")
        file = (self.folder / path).with_suffix(".pkl")
        if not file.is_file():
            return None
        fit = read_pickled(file)
        pose = np.zeros((24, 3), np.float32)
        pose[0], pose[1:22] = _flat(fit, "global_orient", 3, file), _flat(fit, "body_pose", 63, file).reshape(21, 3)
        place = _from_unreal(np.array([self._number(given[key], key) for key in ("X", "Y", "Z")]))
        camera = view.camera_from(place, self._number(given["Yaw"], "Yaw"))
        betas, translation = (_flat(fit, key, count, file) for key, count in (("betas", 10), ("transl", 3)))
        return BodyLabel(
            "smplx", gender, betas.astype(np.float32), pose, translation.astype(np.float32), camera_from_world=camera
        )

    def _number(self, value: Any, key: str) -> float:
        return float(numbers(value, (), f"{self.table.path}: {key!r}"))


def _flat(fit: Any, key: str, count: int, path: Path) -> Float64[ndarray, " n"]:
    """The first numbers of an array of one person's."""
    value = field(fit, key, str(path))
    return numbers(value.reshape(-1)[:count] if isinstance(value, ndarray) else value, (count,), f"{path}: {key!r}")


def _file(folder: Path, name: str) -> tuple[Path, float]:
    """The picture that is there, and by how much it is smaller than the labels' one."""
    small = folder / f"{Path(name).stem}_1280x720.png"
    return (small, float(_SMALL)) if small.is_file() else (folder / name, 1.0)


def _read(folder: Path, split: str) -> Pictures:
    files = sorted(folder.glob(f"{split}_*_withjv.pkl"))
    if not files:
        raise DataError(f"{folder}: expected {split}_*_withjv.pkl, got none; docs/datasets says what goes where")
    rows = [_Row(folder, table, row) for table in map(read_dataframe, files) for row in range(len(table))]
    return Lazy(len(rows), lambda i: rows[i].picture(split))


SET = DataSet(
    "agora",
    "AGORA",
    ("train", "validation"),
    ("*_withjv.pkl",),
    (
        Need("*_*_withjv.pkl", "the labels, tables with joints and vertices"),
        Need("*/*.png", "the pictures, in train and validation"),
        Need("smplx_gt", "the fits", optional=True),
    ),
    _read,
)
