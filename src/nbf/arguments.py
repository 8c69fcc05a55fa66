"""What callers pass as numbers, arrays and paths -> plain values, or an InputError that names the argument.

Knows nothing of torch but the methods of its tensors, so that checking costs no import.
"""

import math
import os
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from nbf.errors import InputError

_MOST = 1_000_000
"""Numbers in one argument: of more people than a picture has pixels for."""


def number(value: Any) -> float:
    """A real number, also as an array or a tensor without axes; nan for all else, such as text, truth values, and what
    is too large for a float."""
    if getattr(value, "ndim", None) == 0 and not is_masked(value):
        try:
            value = value.item()
        except Exception:  # of tensors without values, such as meta: whatever their kind raises
            return math.nan
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def whole(value: Any, name: str, others: str = "") -> int:
    """A whole number of 1 or more.

    Raises:
        InputError: it is none; begins with `name` and says what `others` there are.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InputError(f"{name}: expected a whole number of 1 or more{others}, got {shown(value)}")
    return int(value)


def numbers(values: Any, name: str, expected: str, nan: bool = False) -> Float32[np.ndarray, "..."]:
    """Real numbers (or, where `nan`, unknown ones) in nested lists, an array or a tensor on any device, as a new array.

    Raises:
        InputError: they are not that, or not finite, or some are masked; begins with `name` and what was `expected`.
    """
    try:
        if is_masked(values):
            raise InputError(f"{name}: expected {expected}, got some that are masked; leave those out, or fill them in")
        # Before anything is copied: broadcasting makes endless arrays of nothing.
        if math.prod(getattr(values, "shape", ())) > _MOST:
            raise InputError(f"{name}: expected {expected}, got {shown(values)}; give at most {_MOST} numbers")
        if hasattr(values, "detach"):
            values = values.detach().cpu().double().numpy()
        array = np.asarray(values)
    except InputError:
        raise
    # Arrays that are ragged raise ValueError; tensors without plain values (sparse, meta ...) whatever their kind does.
    except Exception as error:
        raise InputError(f"{name}: expected {expected}, got {shown(values)} ({first_line(error)})") from error
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name}: expected {expected}, got values of type {array.dtype}")
    with np.errstate(over="ignore"):
        array = np.array(array, np.float32, order="C")
    if not (np.isfinite(array) | (nan & np.isnan(array))).all():
        raise InputError(f"{name}: expected {expected}, got some that are nan, infinite or far too large")
    return array


def path(value: Any, name: str) -> Path:
    """A path given as text, bytes or anything that has one (os.PathLike).

    Raises:
        InputError: it is none.
    """
    text = None
    try:
        text = os.fsdecode(value)
        if not text or "\0" in text:
            raise ValueError("no file can be called that")
        return Path(text)
    # A stranger's __fspath__ may raise anything.
    except Exception as error:
        given = shown(value if text is None else text)
        raise InputError(f"{name}: expected a path (str or Path), got {given}") from error


def is_masked(values: Any) -> bool:
    """Whether a masked array hides some of its values, or one in nested lists does."""
    return bool(np.ma.is_masked(values)) or (isinstance(values, list | tuple) and any(map(is_masked, values)))


def shown(value: Any) -> str:
    """A value as messages show it: small ones as they are written, others by their type and shape."""
    try:
        shape = value.shape
    except Exception:  # nested tensors have none, and say so by a RuntimeError
        shape = None
    if isinstance(shape, tuple) and not isinstance(value, np.generic):
        return f"{type(value).__name__} of shape {tuple(shape)}"
    if value is None or isinstance(value, bool | int | float | complex | str | np.generic):
        written = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "a huge whole number"
        return written if len(written) <= 60 else f"{written[:60]}..."
    return type(value).__name__


def first_line(error: Exception) -> str:
    """The first sentence of what others' errors say, without a trace."""
    return str(error).partition("\n")[0].split(". ")[0]
