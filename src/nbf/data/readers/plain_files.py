"""Files of data sets that are nothing but lines, or nothing but numbers."""

from pathlib import Path

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from nbf.errors import DataError
from nbf.reading import Array, refusing
from nbf.reading import read_npy as read


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without space around them, and without empty ones.

    Raises DataError where the file is missing or no text.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as text ({error}); docs/datasets says what goes where") from error
    return [line for line in lines if line]


def read_npy(path: Path, want: Array) -> ndarray:
    """The array in a file of numpy's. Raises DataError where the file is missing, damaged, or not as wanted."""
    with refusing(DataError, path, "an array of numbers", "get the file anew"):
        return read(path, want)


def read_doubles(path: Path, count: int) -> Float64[ndarray, " {count}"]:
    """The numbers of a file that has nothing else, 8 bytes each, the lowest first.

    Raises DataError where the file is missing, or holds another number of them, or infinite ones.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}); docs/datasets says what goes where") from error
    numbers = np.frombuffer(data[: len(data) // 8 * 8], "<f8").astype(np.float64)
    if len(data) != 8 * count or not np.isfinite(numbers).all():
        raise DataError(f"{path}: expected {count} finite numbers, got {len(data) / 8:g}; get the data set anew")
    return numbers
