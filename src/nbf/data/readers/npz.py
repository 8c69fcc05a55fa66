"""Arrays of data sets' NPZ files: the reader of `nbf.reading`, whose refusals become errors of data."""

from collections.abc import Mapping
from pathlib import Path

from numpy import ndarray

from nbf.errors import DataError
from nbf.reading import Array, refusing
from nbf.reading import read_npz as read

# Bytes that the arrays asked for may unpack to. SPIN's largest file has 1 GB of them, BEDLAM's some hundred MB.
_MOST_BYTES = 1 << 32


def read_npz(path: Path, wanted: Mapping[str, Array]) -> dict[str, ndarray]:
    """Arrays of an NPZ file, as wanted, those that it has.

    Raises:
        DataError: the file is missing or damaged, or an array is not as wanted.
    """
    with refusing(
        DataError, path, "an NPZ file of labels", "get the data set anew; docs/datasets says what goes where"
    ):
        return read(path, wanted, _MOST_BYTES)


def rows_by_name(names: ndarray) -> list[tuple[str, list[int]]]:
    """The different names in their order, each with the rows in which it stands."""
    found: dict[str, list[int]] = {}
    for row, name in enumerate(names.tolist()):
        found.setdefault(name, []).append(row)
    return list(found.items())
