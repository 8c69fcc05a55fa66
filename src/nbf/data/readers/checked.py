"""Numbers of data sets' files, checked where they come in."""

from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from nbf.errors import DataError


def numbers(value: Any, shape: tuple[int | None, ...], where: str) -> Float64[ndarray, "..."]:
    """Finite numbers of a shape.

    Args:
        value: an array, a number or nested lists of them.
        shape: that it must have; None is any number.
        where: which file they are from, and what they should be.

    Raises:
        DataError: they are something else.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # rows of several lengths
        array = np.array(None)
    fits = len(shape) == array.ndim and all(want in (None, got) for want, got in zip(shape, array.shape))
    if array.dtype.kind not in "fiub" or not fits or not np.isfinite(array).all():
        wanted = " x ".join("n" if side is None else str(side) for side in shape) or "one"
        got = f"{array.dtype} of shape {array.shape}" if array.dtype.kind in "fiub" else type(value).__name__
        raise DataError(f"{where}: expected finite numbers, {wanted}, got {got}; get the data set anew")
    return array.astype(np.float64)


def field(table: Any, key: str, where: str) -> Any:
    """What a dictionary holds under a key. Raises DataError where it is no dictionary, or lacks the key."""
    if not isinstance(table, dict) or key not in table:
        got = ", ".join(map(str, table))[:200] if isinstance(table, dict) else type(table).__name__
        raise DataError(f"{where}: expected a dictionary with {key!r}, got {got}; get the data set anew")
    return table[key]
