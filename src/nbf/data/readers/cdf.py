"""CDF files of data sets (NASA's Common Data Format), by cdflib."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from nbf.errors import DataError

# Variables, attributes and dimensions of a file: cdflib runs through as many as a damaged one claims.
_MOST = 1000
# Of version 3, not compressed as a whole ("CDF Internal Format Description", NASA): where the record of the file
# follows that of its copyright, in it counts of variables, attributes and dimensions, and where the first variable is;
# in that its dimensions.
_VERSION_3 = bytes.fromhex("cdf300010000ffff")
_FIRST, _COUNTS, _VARIABLE, _DIMENSIONS = 8, (44, 48, 56, 60), 20, 340


def count_numbers(path: Path, variable: str) -> int:
    """How many numbers a variable has, by the head of the file. Raises DataError as `read_cdf`."""
    try:
        about = _open(path).varinq(variable)
        return (about.Last_Rec + 1) * int(np.prod(about.Dim_Sizes))
    except DataError:
        raise
    # Parsers of damaged files raise whatever they meet.
    except Exception as error:
        raise _damaged(path, error) from error


def read_cdf(path: Path, variable: str) -> Float32[ndarray, "..."]:
    """The numbers of a variable.

    Raises:
        DataError: the file is missing or damaged, or has no such numbers; or cdflib is not installed.
    """
    try:
        return np.asarray(_open(path).varget(variable), np.float32)
    except DataError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error


def _open(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: no such file; docs/datasets says what goes where")
    try:
        import cdflib
    except ImportError as error:
        raise DataError(
            f"{path}: reading CDF files needs cdflib; install it with: pip install 'neural-body-fitting[datasets]'"
        ) from error
    _check_counts(path)
    return cdflib.CDF(path)


def _check_counts(path: Path) -> None:
    """Raises where a file claims more than a data set has, before anything runs through it."""

    def number(place: int, layout: str) -> int:
        raw.seek(place)
        return struct.unpack(layout, raw.read(struct.calcsize(layout)))[0]

    with path.open("rb") as raw:
        if raw.read(8) != _VERSION_3:
            return
        file = _FIRST + number(_FIRST, ">q")
        counts = [number(file + place, ">i") for place in _COUNTS]
        variable = number(file + _VARIABLE, ">q")
        if variable > 0:
            counts.append(number(variable + _DIMENSIONS, ">i"))
    if not all(0 <= count <= _MOST for count in counts):
        raise ValueError(f"it claims to have {max(counts)} variables, attributes or dimensions")


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: cannot be read as a CDF file ({error}); get the data set anew")
