"""Files of data sets that are nothing but lines, or nothing but numbers."""

from pathlib import Path

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from nbf.errors import DataError


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without space around them, and without empty ones.

    Raises DataError where the file is missing or no text.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as text ({error}); docs/datasets says what goes where") from error
    return [line for line in lines if line]


def read_npy(path: Path, shape: tuple[int, ...]) -> Float64[ndarray, "..."]:
    """The array in a file of numpy's.

    Raises DataError where the file is missing, damaged, or holds no finite numbers of that shape.
    """
    try:
        # Mapped, a file is as long as it says before anything is allocated.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        fits = array.shape == shape and array.dtype.kind in "fiu"
    # Parsers of damaged files raise whatever they meet.
    except Exception as error:
        raise DataError(f"{path}: cannot be read as an array ({error}); get the data set anew") from error
    if not fits or not np.isfinite(array).all():
        raise DataError(
            f"{path}: expected finite numbers of shape {shape}, got {array.dtype} of shape {array.shape}; get the data "
            "set anew"
        )
    return np.array(array, np.float64)


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
