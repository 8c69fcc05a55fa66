"""nbf-bench's tracks of people in given crops, as labelled pictures: synthetic people of whom everything is known.

`nbf.evaluate.bench` says what is in the two files of a track; `tools/draw_benchmark.py` draws them.
"""

import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from nbf.data import blobs
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
from nbf.errors import DataError
from nbf.reading import Array, Damaged, read_npz, refusing

ANEW = "fetch it anew from the repository, or draw it with tools/draw_benchmark.py"
"""What to do where a track is damaged."""
DAMAGED = (OSError, EOFError, KeyError, ValueError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error)
"""What reading a damaged track raises."""
NUMBERS, PICTURES = "people.npz", "pictures.zip"
SHAPES: dict[str, tuple[int | str, ...]] = {
    "betas": ("s",), "poses": (72,), "trans": (3,), "focal": (), "center": (2,), "joints": (24, 3),
}  # fmt: skip
"""Arrays of NUMBERS, a row a person."""
_ARRAYS = {
    name: Array(np.float32, ("n", *shape), low=1e-3 if name == "focal" else -1e6, high=1e6)
    for name, shape in SHAPES.items()
}
_LARGEST = 1 << 22
"""Bytes of a picture."""
_SPLITS = ("studio", "wild")


@dataclass(frozen=True)
class Packed:
    """A picture in a track's archive."""

    archive: Path
    name: str

    def read(self) -> UInt8[ndarray, "h w 3"]:
        """RGB. Raises DataError where the archive is missing or damaged."""
        return _unpacked(self.archive, self.name, blobs.decode)


def read_numbers(folder: Path) -> dict[str, ndarray]:
    """The arrays SHAPES of a track. Raises DataError where they are missing or damaged."""
    with refusing(DataError, folder / NUMBERS, "people of nbf-bench", ANEW):
        return read_npz(folder / NUMBERS, _ARRAYS)


def member(file: zipfile.ZipFile, name: str) -> bytes:
    """A picture of a track's archive. Raises what is in DAMAGED."""
    info = file.getinfo(name)
    if info.file_size > _LARGEST or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Damaged(f"{name} has {info.file_size} bytes, and pictures have {_LARGEST} at most")
    return file.read(info)


def _unpacked(
    archive: Path, name: str, decode: Callable[[bytes], UInt8[ndarray, "h w *c"]]
) -> UInt8[ndarray, "h w *c"]:
    try:
        with zipfile.ZipFile(archive) as file:
            return decode(member(file, name))
    except DAMAGED as error:
        raise DataError(f"{archive}: {name} cannot be read ({error}); {ANEW}") from error


def crop_name(index: int) -> str:
    """What a track's archive calls a picture."""
    return f"{index:04}.webp"


def labels_name(index: int) -> str:
    """What a track's archive calls the labels of a picture."""
    return f"{index:04}_labels.webp"


def _bench(folder: Path, split: str) -> Pictures:
    numbers = read_numbers(folder / split)
    return Lazy(len(numbers["focal"]), partial(_picture, folder / split, numbers, split))


def _picture(folder: Path, numbers: dict[str, ndarray], split: str, index: int) -> LabelledPicture:
    row = {name: values[index] for name, values in numbers.items()}
    camera = LensCamera(np.repeat(row["focal"], 2), row["center"])
    weight = np.ones(len(row["joints"]))
    person = LabelledPerson(
        joints_2d=JointLabels("smpl24", camera.project(row["joints"]), weight),
        joints_3d=JointLabels("smpl24", row["joints"], weight),
        body=BodyLabel("anny24", "neutral", row["betas"], row["poses"].reshape(24, 3), row["trans"]),
    )
    return LabelledPicture(
        name=f"{split}/{index:04}",
        source=Packed(folder / PICTURES, crop_name(index)),
        people=(person,),
        split=split,
        camera=camera,
        maps=(LabelMap("parts24", partial(_unpacked, folder / PICTURES, labels_name(index), blobs.decode_labels)),),
        complete=False,
    )


SET = DataSet(
    "nbf-bench",
    "nbf-bench, synthetic people in crops",
    _SPLITS,
    ("studio/people.npz", "wild/pictures.zip"),
    tuple(
        Need(f"{track}/{name}", what)
        for track in _SPLITS
        for name, what in ((NUMBERS, "bodies and cameras"), (PICTURES, "crops and their part maps"))
    ),
    _bench,
)
