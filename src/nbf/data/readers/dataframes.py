"""Tables that pandas pickled, read without pandas and without running anything that the file asks for.

A pickled DataFrame is a BlockManager: the names of its columns, and blocks, each with the values of some columns of one
kind and the places of these columns. Up to pandas 1.2 the blocks are in its state, from 1.3 on in its arguments
(pandas/core/internals/managers.py and blocks.py of those versions).
"""

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nbf.body.pickles import Damaged, Made, Table, Text, Unsafe, read_pickle, word
from nbf.body.stored import to_array
from nbf.data.readers.pickled import plain
from nbf.errors import DataError

_KNOWN = frozenset(
    {
        ("pandas.core.frame", "DataFrame"),
        ("pandas.core.internals.managers", "BlockManager"),
        ("pandas._libs.internals", "_unpickle_block"),
        ("pandas.core.indexes.base", "_new_Index"),
        ("pandas.core.indexes.base", "Index"),
        ("pandas.core.indexes.range", "RangeIndex"),
        ("pandas.core.indexes.numeric", "Int64Index"),
        ("__builtin__", "slice"),
        ("builtins", "slice"),
    }
)
# AGORA's largest have some 10,000 people of a dozen values, each array of which takes some 20 steps.
_MOST_STEPS = 1 << 23
# In all blocks; one block may be in the file once and in a table many times.
_MOST_CELLS = 1 << 22


@dataclass(frozen=True, eq=False)
class DataFrame:
    """A table whose cells are read when they are asked for."""

    path: Path
    columns: dict[str, list[Any]]
    """Of each column its cells, as the file has them."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def cell(self, column: str, row: int) -> Any:
        """A value, as `nbf.data.readers.pickled.read_pickled` gives it.

        Raises:
            DataError: there is no such column, or it holds something else there.
        """
        if column not in self.columns:
            raise DataError(f"{self.path}: expected a column {column!r}, got {', '.join(self.columns)[:200]}")
        try:
            return plain(self.columns[column][row])
        except Damaged as error:
            raise DataError(f"{self.path}: {column!r} cannot be read ({error}); get the data set anew") from error


def read_dataframe(path: Path) -> DataFrame:
    """A pickled DataFrame of pandas (tried with 0.25 to 2.3). The file stays mapped: of large arrays only what is used
    is read.

    Raises:
        DataError: the file is missing, damaged or something else.
    """
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        frame = read_pickle(data, _KNOWN, _MOST_STEPS)
        return DataFrame(path, _columns(frame))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; docs/datasets says what goes where") from None
    # ValueError of an empty file, which cannot be mapped.
    except (Unsafe, Damaged, OSError, ValueError) as error:
        raise DataError(f"{path}: not a pickled table of pandas ({error}); get the data set anew") from error


def _columns(frame: Any) -> dict[str, list[Any]]:
    state = _state(frame, "DataFrame")
    manager = state.get("_mgr", state.get("_data"))
    if not isinstance(manager, Made) or manager.by.name != "BlockManager":
        raise Damaged("expected a DataFrame with a BlockManager")
    if manager.states:
        given = manager.states[0]
        newest = _table(given[3]).get("0.14.1") if isinstance(given, tuple) and len(given) == 4 else None
        held = _table(newest)
        axes, blocks = held.get("axes"), [(each.get("values"), each.get("mgr_locs")) for each in _tables(held)]
    elif len(manager.arguments) == 2:
        notes, axes = manager.arguments
        blocks = [_block(note) for note in (notes if isinstance(notes, tuple | list) else ())]
    else:
        raise Damaged("expected a BlockManager with its blocks")
    if not isinstance(axes, list) or len(axes) != 2:
        raise Damaged("expected a table of columns and rows")
    names = _names(axes[0])
    found: dict[str, list[Any]] = {}
    left = _MOST_CELLS
    for values, places in blocks:
        rows = _grid(values, left)
        left -= sum(map(len, rows))
        where = _places(places, len(names))
        if len(where) != len(rows):
            raise Damaged("expected a place for each column")
        found.update((names[place], cells) for place, cells in zip(where, rows))
    if set(found) != set(names) or len({len(cells) for cells in found.values()}) != 1:
        raise Damaged("expected columns of one length")
    return found


def _state(made: Any, name: str) -> dict[str, Any]:
    if not isinstance(made, Made) or made.by.name != name or not made.states:
        raise Damaged(f"expected a {name}")
    return _table(made.states[0])


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, Table):
        raise Damaged("expected a dictionary")
    return {word(key): held for key, held in value.pairs if isinstance(key, Text)}


def _tables(held: dict[str, Any]) -> list[dict[str, Any]]:
    blocks = held.get("blocks")
    if not isinstance(blocks, list):
        raise Damaged("expected a list of blocks")
    return [_table(block) for block in blocks]


def _block(note: Any) -> tuple[Any, Any]:
    if not isinstance(note, Made) or note.by.name != "_unpickle_block" or len(note.arguments) != 3:
        raise Damaged("expected a block of values")
    return note.arguments[0], note.arguments[1]


def _names(index: Any) -> list[str]:
    """Of an Index made by `_new_Index(class, {"data": array of objects, ...})`."""
    if not isinstance(index, Made) or index.by.name != "_new_Index" or len(index.arguments) != 2:
        raise Damaged("expected an Index of columns")
    names = [word(cell) for row in _grid(_table(index.arguments[1]).get("data"), _MOST_CELLS) for cell in row]
    if not names or len(set(names)) != len(names):
        raise Damaged("expected columns of different names")
    return names


def _places(value: Any, count: int) -> list[int]:
    """Of the columns of a block: a slice, or an array of numbers."""
    if isinstance(value, Made) and value.by.name == "slice":
        ends = value.arguments
        if len(ends) != 3 or not all(end is None or type(end) is int for end in ends) or ends[2] == 0:
            raise Damaged("expected the places of columns")
        return list(range(count)[slice(*ends)])
    places = to_array(value)
    if places.dtype.kind not in "iu" or places.ndim != 1 or places.min(initial=0) < 0:
        raise Damaged("expected the places of columns")
    if places.max(initial=0) >= count:
        raise Damaged("expected the places of columns")
    return places.tolist()


def _grid(value: Any, most: int) -> list[list[Any]]:
    """Rows of an array of two dimensions, or the one row of an array of one: objects as in the file, or numbers."""
    objects = _objects(value)
    if objects is None:
        array = np.atleast_2d(to_array(value))
        if array.ndim != 2 or not 0 < array.size <= most:
            raise Damaged(f"expected blocks of columns and rows, at most {_MOST_CELLS} cells")
        return array.tolist()
    shape, cells = objects
    if not isinstance(shape, tuple) or len(shape) not in (1, 2) or not all(type(side) is int for side in shape):
        raise Damaged("expected a block of columns and rows")
    rows, width = (1, *shape)[-2:]
    if rows < 1 or rows * width != len(cells) or not 0 < len(cells) <= most:
        raise Damaged(f"expected blocks of columns and rows, at most {_MOST_CELLS} cells")
    return [cells[row * width : (row + 1) * width] for row in range(rows)]


def _objects(value: Any) -> tuple[Any, list[Any]] | None:
    """Shape and cells, row by row, of an array of objects (its state: version, shape, dtype, order, list)."""
    if not isinstance(value, Made) or value.by.name != "_reconstruct" or not value.states:
        return None
    state = value.states[0]
    if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[4], list):
        return None
    return state[1], state[4]
