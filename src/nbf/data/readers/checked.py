"""Numbers of data sets' files, checked where they come in."""

from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from nbf.errors import DataError
from nbf.reading import Damaged, to_numbers


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
        return to_numbers(value, *shape, dtype=np.float64)
    except Damaged as error:
        raise DataError(f"{where}: {error}; get the data set anew") from error


def field(table: Any, key: str, where: str) -> Any:
    """What a dictionary holds under a key. Raises DataError where it is no dictionary, or lacks the key."""
    if not isinstance(table, dict) or key not in table:
        got = ", ".join(map(str, table))[:200] if isinstance(table, dict) else type(table).__name__
        raise DataError(f"{where}: expected a dictionary with {key!r}, got {got}; get the data set anew")
    return table[key]
