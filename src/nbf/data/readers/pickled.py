"""Pickles of data sets -> plain values, by the reader that executes nothing (`nbf.body.pickles`)."""

from pathlib import Path
from typing import Any

import numpy as np

from nbf.body.pickles import MOST_STEPS, Damaged, Made, Table, Text, Unsafe, read_pickle, word
from nbf.body.stored import to_array
from nbf.errors import DataError

_MOST_BYTES = 1 << 30
# Values unfolded, and containers within containers: a file may hold one list in many places, or in itself.
_MOST_VALUES, _DEEPEST = MOST_STEPS, 32


def read_pickled(path: Path) -> Any:
    """The value in a pickle: dict, list, str, numbers, None, and numpy arrays; tuples become lists.

    Strings that Python 2 wrote are taken for latin1. Dictionaries keep the keys that are text or whole numbers.

    Raises:
        DataError: the file is missing, damaged, too large, or holds what no data set has a use for.
    """
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise Damaged(f"it has {size} bytes, and the largest that is read {_MOST_BYTES}")
        return plain(read_pickle(path.read_bytes()))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; docs/datasets says what goes where") from None
    except (Unsafe, Damaged, OSError) as error:
        raise DataError(f"{path}: not a pickle of plain values ({error}); get the data set anew") from error


def plain(value: Any) -> Any:
    """What `read_pickle` made, as `read_pickled` gives it. Raises Damaged where it holds anything else."""
    return _Plain().value(value, 0)


class _Plain:
    def __init__(self) -> None:
        self._count = 0

    def value(self, value: Any, depth: int) -> Any:
        self._count += 1
        if depth > _DEEPEST or self._count > _MOST_VALUES:
            raise Damaged(f"it has over {_MOST_VALUES} values, or lists within lists over {_DEEPEST} deep")
        if isinstance(value, Table):
            keys = ((word(key) if isinstance(key, Text) else key, held) for key, held in value.pairs)
            return {key: self.value(held, depth + 1) for key, held in keys if isinstance(key, str | int)}
        if isinstance(value, list | tuple):
            return [self.value(item, depth + 1) for item in value]
        if isinstance(value, Text):
            return word(value)
        if isinstance(value, Made):
            if value.by.name == "scalar":
                return _scalar(value)
            if value.by.name == "encode" or value.by.name in ("bytes", "bytearray"):
                raise Damaged("expected plain values, got bytes")
            return to_array(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        raise Damaged(f"expected plain values, got {type(value).__name__}")


def _scalar(made: Made) -> float | int | bool:
    """One of numpy's numbers: a kind and its bytes, which make an array of one."""
    kind, raw = made.arguments if len(made.arguments) == 2 else (None, None)
    one = Made(type(made.by)("numpy.core.numeric", "_frombuffer"), (raw, kind, (1,), Text(memoryview(b"C"), "bytes")))
    return np.asarray(to_array(one)).item()
