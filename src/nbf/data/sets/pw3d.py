"""3D Poses in the Wild (von Marcard et al., ECCV 2018): one or two people followed through a film, with SMPL bodies.

    imageFiles/SEQUENCE/image_00000.jpg ...
    sequenceFiles/{train,validation,test}/SEQUENCE.pkl      pickles of Python 2

A pickle holds lists with an entry for each person: poses (n, 72), trans (n, 3) and jointPositions (n, 72) in metres of
the world, betas, genders, poses2d (n, 3, 18) as OpenPose found them, campose_valid (n); and for all of them
cam_intrinsics and cam_poses (n, 4, 4), world to camera (the data set's readme.txt). Bodies and joints of frames whose
camera is unknown are left out. OpenPose's coordinates are indices of pixels, whose centres are half a pixel further.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64
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
    extent,
)
from nbf.data.readers.checked import field, numbers
from nbf.data.readers.pickled import read_pickled
from nbf.errors import DataError

_GENDERS = {"m": "male", "f": "female"}


@dataclass(frozen=True, eq=False)
class _Actor:
    gender: str
    betas: Float32[ndarray, "10"]
    poses: Float32[ndarray, "n 24 3"]
    translations: Float32[ndarray, "n 3"]
    joints: Float32[ndarray, "n 24 3"]
    detected: Float32[ndarray, "n 18 3"]
    valid: Bool[ndarray, " n"]


@dataclass(frozen=True, eq=False)
class _Sequence:
    name: str
    pictures: Path
    cameras: Float64[ndarray, "n 3 4"]
    lens: LensCamera
    actors: list[_Actor]

    def picture(self, index: int, split: str) -> LabelledPicture:
        return LabelledPicture(
            f"{self.name}/image_{index:05}",
            self.pictures / f"image_{index:05}.jpg",
            tuple(_person(actor, index, str(who), self.cameras[index]) for who, actor in enumerate(self.actors)),
            split,
            self.lens,
            frame=Frame(self.name, index),
            complete=False,
        )


def _read(folder: Path, split: str) -> Pictures:
    files = sorted((folder / "sequenceFiles" / split).glob("*.pkl"))
    if not files:
        raise DataError(f"{folder}: expected sequenceFiles/{split}/*.pkl, got none; docs/datasets says what goes where")
    sequences = [_sequence(folder, file) for file in files]
    rows = [(sequence, index) for sequence in sequences for index in range(len(sequence.cameras))]
    return Lazy(len(rows), lambda i: rows[i][0].picture(rows[i][1], split))


def _sequence(folder: Path, path: Path) -> _Sequence:
    table = read_pickled(path)
    cameras = numbers(field(table, "cam_poses", str(path)), (None, 4, 4), f"{path}: 'cam_poses'")[:, :3]
    lens = numbers(field(table, "cam_intrinsics", str(path)), (3, 3), f"{path}: 'cam_intrinsics'")
    lists = {key: field(table, key, str(path)) for key in _PER_PERSON}
    count = len(lists["poses"]) if isinstance(lists["poses"], list) else 0
    if not all(isinstance(each, list) and len(each) == count for each in lists.values()):
        raise DataError(f"{path}: expected lists of one entry a person, got others; get the data set anew")
    actors = [_actor({key: each[who] for key, each in lists.items()}, len(cameras), path) for who in range(count)]
    camera = LensCamera(lens[[0, 1], [0, 1]], lens[:2, 2])
    return _Sequence(path.stem, folder / "imageFiles" / path.stem, cameras, camera, actors)


_PER_PERSON = ("poses", "trans", "jointPositions", "betas", "genders", "poses2d", "campose_valid")


def _actor(given: dict[str, object], frames: int, path: Path) -> _Actor:
    def array(key: str, *shape: int | None) -> Float32[ndarray, "..."]:
        return numbers(given[key], shape, f"{path}: {key!r}").astype(np.float32)

    betas = array("betas", None)
    if len(betas) < 10 or given["genders"] not in _GENDERS:
        raise DataError(
            f"{path}: expected 10 betas or more and a gender out of {', '.join(_GENDERS)}, got {len(betas)} and "
            f"{str(given['genders'])[:20]!r}; get the data set anew"
        )
    return _Actor(
        _GENDERS[str(given["genders"])],
        betas[:10],
        array("poses", frames, 72).reshape(frames, 24, 3),
        array("trans", frames, 3),
        array("jointPositions", frames, 72).reshape(frames, 24, 3),
        array("poses2d", frames, 3, 18).transpose(0, 2, 1),
        array("campose_valid", frames) > 0,
    )


def _person(actor: _Actor, index: int, name: str, camera: Float64[ndarray, "3 4"]) -> LabelledPerson:
    found = actor.detected[index]
    seen = JointLabels("coco18", found[:, :2] + np.float32(0.5), found[:, 2].clip(0, 1))
    box = extent(seen)
    if not actor.valid[index]:
        return LabelledPerson(box, seen, name=name)
    joints = (actor.joints[index] @ camera[:, :3].T + camera[:, 3]).astype(np.float32)
    body = BodyLabel(
        "smpl", actor.gender, actor.betas, actor.poses[index], actor.translations[index], camera_from_world=camera
    )
    return LabelledPerson(box, seen, JointLabels("smpl24", joints, np.ones(24, np.float32)), body=body, name=name)


SET = DataSet(
    "3dpw",
    "3D Poses in the Wild",
    ("train", "validation", "test"),
    ("sequenceFiles/*/*.pkl", "imageFiles/*"),
    (
        Need("sequenceFiles/*/*.pkl", "the labels, sequenceFiles.zip"),
        Need("imageFiles/*", "the pictures, imageFiles.zip"),
    ),
    _read,
)
