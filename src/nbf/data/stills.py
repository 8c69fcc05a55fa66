"""Single pictures out of files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from nbf.errors import DataError


def read_still(path: Path) -> UInt8[ndarray, "h w 3"]:
    """RGB. Raises DataError where the file is missing or damaged."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    # Decoders of damaged files raise whatever their parsers happen to meet.
    except Exception as error:
        raise DataError(f"{path}: cannot be read as a picture ({error}); get the data set anew") from error


@dataclass(frozen=True)
class TurnedFile:
    """A picture that was taken upright and lies on its side in its file."""

    path: Path

    def read(self) -> UInt8[ndarray, "h w 3"]:
        """RGB, turned clockwise by 90 degrees. Raises DataError where the file is missing or damaged."""
        return np.rot90(read_still(self.path), -1)
