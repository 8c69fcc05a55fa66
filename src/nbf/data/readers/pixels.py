"""Pixels out of files of pictures, and labels out of pictures whose colours mean something."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy import ndarray
from PIL import Image

from nbf.errors import DataError


def read_rgb(path: Path) -> UInt8[ndarray, "h w 3"]:
    """A picture in colour. Raises DataError where the file is missing or damaged."""
    return _read(path, "RGB")


def read_grey(path: Path) -> Shaped[ndarray, "h w"]:
    """The values of a picture of one channel, or of the first of several; palette indices count as values.

    Raises DataError as `read_rgb`.
    """
    values = _read(path, None)
    return values if values.ndim == 2 else values[..., 0]


def read_colours(path: Path, colours: UInt8[ndarray, "n 3"], tolerance: float) -> UInt8[ndarray, "h w"]:
    """The number of the nearest colour at each pixel.

    Raises:
        DataError: the file is missing or damaged, or most of its pixels are further than `tolerance` (RGB distance)
            from all colours.
    """
    picture = read_rgb(path)
    found, at = np.unique(picture.reshape(-1, 3) @ np.array([1 << 16, 1 << 8, 1]), return_inverse=True)
    there = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1)
    distance = np.linalg.norm(there[:, None] - colours[None].astype(float), axis=2)
    strange = (distance.min(axis=1) > tolerance)[at].mean()
    if strange > 0.5:
        raise DataError(f"{path}: expected the colours of parts, got others in {strange:.0%} of the pixels")
    return distance.argmin(axis=1).astype(np.uint8)[at].reshape(picture.shape[:2])


@dataclass(frozen=True)
class TurnedFile:
    """A picture that was taken upright and lies on its side in its file."""

    path: Path

    def read(self) -> UInt8[ndarray, "h w 3"]:
        """RGB, turned clockwise by 90 degrees. Raises DataError where the file is missing or damaged."""
        return np.rot90(read_rgb(self.path), -1)


def _read(path: Path, mode: str | None) -> ndarray:
    try:
        with Image.open(path) as image:
            return np.asarray(image if mode is None else image.convert(mode))
    # Decoders of damaged files raise whatever their parsers happen to meet.
    except Exception as error:
        raise DataError(f"{path}: cannot be read as a picture ({error}); get the data set anew") from error
