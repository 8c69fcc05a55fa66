"""EMDB (Kaufmann et al., ICCV 2023): one person a film, with SMPL bodies from body-worn sensors.

    P0/SEQUENCE/P0_SEQUENCE_data.pkl
    P0/SEQUENCE/images/00000.jpg ...

A pickle holds gender, emdb1 and emdb2 (which of the two benchmarks it is part of), good_frames_mask (n),
camera {intrinsics, extrinsics (n, 4, 4) world to camera}, smpl {poses_root (n, 3), poses_body (n, 69), trans (n, 3),
betas (10)}, kp2d (n, 24, 2) and bboxes {bboxes (n, 4), invalid_idxs} (eth-ait/emdb, dataset.md). Frames that are not
good are left out, as its evaluation does.
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
)
from nbf.data.readers.checked import field, numbers
from nbf.data.readers.pickled import read_pickled
from nbf.errors import DataError


@dataclass(frozen=True, eq=False)
class _Sequence:
    subject: str
    name: str
    pictures: Path
    good: Bool[ndarray, " n"]
    cameras: Float64[ndarray, "n 3 4"]
    lens: LensCamera
    gender: str
    betas: Float32[ndarray, "10"]
    poses: Float32[ndarray, "n 24 3"]
    translations: Float32[ndarray, "n 3"]
    joints: Float32[ndarray, "n 24 2"]
    boxes: Float32[ndarray, "n 4"]
    boxed: Bool[ndarray, " n"]

    def picture(self, index: int, split: str) -> LabelledPicture:
        body = BodyLabel(
            "smpl", self.gender, self.betas, self.poses[index], self.translations[index], self.cameras[index]
        )
        person = LabelledPerson(
            self.boxes[index] if self.boxed[index] else None,
            JointLabels("smpl24", self.joints[index], np.ones(24, np.float32)),
            body=body,
            name=self.subject,
        )
        return LabelledPicture(
            f"{self.subject}/{self.name}/{index:05}",
            self.pictures / f"{index:05}.jpg",
            (person,),
            split,
            self.lens,
            frame=Frame(f"{self.subject}/{self.name}", index, self.subject),
            complete=False,
        )


def _read(folder: Path, split: str) -> Pictures:
    tables = ((path, read_pickled(path)) for path in sorted(folder.glob("P*/*/*_data.pkl")))
    sequences = [
        _sequence(path, table)
        for path, table in tables
        if numbers(field(table, split, str(path)), (), f"{path}: {split!r}") > 0
    ]
    if not sequences:
        raise DataError(f"{folder}: expected sequences of {split}, got only others; docs/datasets says which are")
    rows = [(sequence, int(index)) for sequence in sequences for index in np.flatnonzero(sequence.good)]
    return Lazy(len(rows), lambda i: rows[i][0].picture(rows[i][1], split))


def _sequence(path: Path, table: object) -> _Sequence:
    where = str(path)

    def array(given: object, key: str, *shape: int | None) -> Float64[ndarray, "..."]:
        return numbers(field(given, key, where), shape, f"{path}: {key!r}")

    good = array(table, "good_frames_mask", None) > 0
    n = len(good)
    camera, smpl, boxes = (field(table, key, where) for key in ("camera", "smpl", "bboxes"))
    lens = array(camera, "intrinsics", 3, 3)
    # numpy makes an empty list an array of float64.
    invalid = array(boxes, "invalid_idxs", None)
    if not ((invalid >= 0) & (invalid < n) & (invalid == np.floor(invalid))).all():
        raise DataError(f"{path}: expected 'invalid_idxs' from 0 to {n - 1}; get the data set anew")
    gender = field(table, "gender", where)
    if gender not in ("male", "female", "neutral"):
        raise DataError(f"{path}: expected male, female or neutral, got {str(gender)[:20]!r}; get the data set anew")
    boxed = np.ones(n, bool)
    boxed[invalid.astype(int)] = False
    poses = np.concatenate([array(smpl, "poses_root", n, 3), array(smpl, "poses_body", n, 69)], axis=1)
    return _Sequence(
        path.parent.parent.name,
        path.parent.name,
        path.parent / "images",
        good,
        array(camera, "extrinsics", n, 4, 4)[:, :3],
        LensCamera(lens[[0, 1], [0, 1]], lens[:2, 2]),
        gender,
        array(smpl, "betas", 10).astype(np.float32),
        poses.reshape(n, 24, 3).astype(np.float32),
        array(smpl, "trans", n, 3).astype(np.float32),
        array(table, "kp2d", n, 24, 2).astype(np.float32),
        array(boxes, "bboxes", n, 4).astype(np.float32),
        boxed,
    )


SET = DataSet(
    "emdb",
    "EMDB",
    ("emdb1", "emdb2"),
    ("P*/*/P*_data.pkl", "P*/*/images"),
    (Need("P*/*/P*_data.pkl", "the labels"), Need("P*/*/images/*.jpg", "the pictures")),
    _read,
)
