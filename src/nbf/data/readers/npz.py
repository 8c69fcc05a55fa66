"""Arrays of data sets' NPZ files, with their kinds and shapes checked."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray

from nbf.errors import DataError

# Bytes that the arrays asked for may unpack to. BEDLAM's largest file has some hundred MB of them.
_MOST_BYTES = 1 << 32


@dataclass(frozen=True)
class Array:
    """What an array of a file must be like."""

    shape: tuple[int | str, ...]
    """Letters are sizes that all arrays of a file share."""
    text: bool = False
    """Text rather than finite numbers."""
    optional: bool = False
    """The file may lack it."""


def read_npz(path: Path, wanted: Mapping[str, Array]) -> dict[str, ndarray]:
    """Arrays of an NPZ file, those that it has; numbers in the file's own kind, text as str.

    Raises:
        DataError: the file is missing or damaged, or an array is not as wanted.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            held = {info.filename.removesuffix(".npy"): info.file_size for info in archive.infolist()}
            here = [name for name in wanted if name in held]
            if sum(held[name] for name in here) > _MOST_BYTES:
                raise DataError(f"{path}: expected arrays of at most {_MOST_BYTES} bytes; get the data set anew")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in here}
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path}: no such file; docs/datasets says what goes where") from None
    except DataError:
        raise
    # Parsers of damaged files raise whatever they meet.
    except Exception as error:
        raise DataError(f"{path}: cannot be read as an NPZ file ({error}); get the data set anew") from error
    missing = [name for name, want in wanted.items() if name not in arrays and not want.optional]
    if missing:
        raise DataError(f"{path}: expected an array {missing[0]!r}, got {', '.join(sorted(held))[:200]}")
    sizes: dict[str, int] = {}
    return {name: _fitted(array, wanted[name], sizes, f"{path}: {name!r}") for name, array in arrays.items()}


def _fitted(array: ndarray, want: Array, sizes: dict[str, int], where: str) -> ndarray:
    if want.text and array.dtype.kind == "S":
        # As Python 2 wrote names.
        array = np.char.decode(array, "latin1")
    fits = array.ndim == len(want.shape) and all(
        got == (sizes.setdefault(side, got) if isinstance(side, str) else side)
        for side, got in zip(want.shape, array.shape)
    )
    sound = array.dtype.kind == "U" if want.text else array.dtype.kind in "fiub" and bool(np.isfinite(array).all())
    if not fits or not sound:
        what = "text" if want.text else "finite numbers"
        wanted = " x ".join(str(sizes.get(str(side), side)) for side in want.shape) or "one"
        raise DataError(
            f"{where}: expected {what}, {wanted}, got {array.dtype} of shape {array.shape}; get the data set anew"
        )
    return array


def rows_by_name(names: ndarray) -> list[tuple[str, list[int]]]:
    """The different names in their order, each with the rows in which it stands."""
    found: dict[str, list[int]] = {}
    for row, name in enumerate(names.tolist()):
        found.setdefault(name, []).append(row)
    return list(found.items())
