"""JSON files of data sets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from nbf.errors import DataError

# No pixel and no metre is as far away.
_HUGE = 1e12


def read_json(path: Path, make: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The value in a JSON file.

    Args:
        path: the file.
        make: what becomes of each object as soon as it is read; the largest files would not fit into memory as lists.

    Raises:
        DataError: the file is missing or no JSON.
    """
    try:
        return json.loads(path.read_bytes(), object_hook=make)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; docs/datasets says what goes where") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}); get the data set anew") from error


def numbers(value: Any, shape: tuple[int | None, ...], where: str) -> Float64[ndarray, "..."]:
    """Numbers of a JSON file as an array; None in the shape is any number.

    Raises:
        DataError: they are no finite numbers of that shape; `where` says in which file, and what they should be.
    """
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.array(np.nan)
    fits = array.ndim == len(shape) and all(want in (None, got) for want, got in zip(shape, array.shape))
    if not fits or not (np.abs(array) < _HUGE).all():
        wanted = " x ".join("n" if side is None else str(side) for side in shape) or "one"
        raise DataError(f"{where}: expected {wanted} finite numbers, got {str(value)[:60]}; get the data set anew")
    return array
