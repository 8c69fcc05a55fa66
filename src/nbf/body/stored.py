"""Arrays out of what `nbf.body.pickles` read: numpy's, scipy's sparse matrices and chumpy's, as SMPL files hold them.

Everything that a file says of an array is checked before anything is allocated: the kind of number is one of a list,
the shape has exactly the bytes that are there, and strides are not read at all. Neither scipy nor chumpy is imported.
"""

import codecs
import math
from pathlib import Path
from typing import Any

import numpy as np

from nbf.body.pickles import Made, Name, Table, Text, read_pickle, word
from nbf.reading import NUMBERS, Damaged, read_header, unpack

MOST_NUMBERS = 1 << 25
"""Numbers in an array. The largest one of SMPL, 300 shapes of 6890 vertices, has 6.2 million."""

_MOST_DIMENSIONS = 4
# Bytes of a pickle file (SMPL's largest has 250 MB), and of NPZ arrays unpacked (three times SMPL's largest).
_MOST_BYTES, _MOST_UNPACKED = 1 << 30, 1 << 28
# A chumpy array in an object array, say; a file that goes deeper goes round in a circle.
_DEEPEST = 6
# Numbers in a sparse matrix, zeros included, which are not in the file: 24 joints of 174,000 vertices.
_MOST_SPARSE = 1 << 22
# Numbers in lists, each of which may be in the file once and in many lists.
_MOST_LISTED = 1 << 20
# The longest spelling of a byte in any of the ways that pickles write strings: \u005c.
_LONGEST_BYTE = 6


def read_pickle_table(path: Path) -> dict[str, Any]:
    """The dictionary in a pickle file, its values as `to_array` takes them; keys that are no text are left out.

    Raises Damaged, Unsafe (see `read_pickle`) and OSError.
    """
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise Damaged(f"it has {size} bytes, and the largest that is read {_MOST_BYTES}")
    table = read_pickle(path.read_bytes())
    if not isinstance(table, Table):
        raise Damaged(f"expected a dictionary of arrays, got {_describe(table)}")
    return {word(key): value for key, value in table.pairs if isinstance(key, Text)}


def read_npz_table(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    """The arrays of an NPZ file under some keys, for `to_array`; of other keys, None.

    Arrays of objects, such as scipy's matrices become in there, are read as pickle files are.

    Raises Damaged, Unsafe (see `read_pickle`) and OSError.
    """
    table: dict[str, Any] = {}
    for key, data in unpack(path, keys, _MOST_UNPACKED).items():
        try:
            table[key] = None if data is None else _read_npy(data)
        except Damaged as error:
            raise Damaged(f"{key!r}: {error}") from error
    return table


def _read_npy(data: bytearray) -> Any:
    """One array of an NPZ file: numbers, or a pickle of an array of objects."""
    shape, by_column, dtype, start = read_header(data)
    rest = memoryview(data)[start:]
    if dtype.hasobject:
        return read_pickle(bytes(rest))
    if dtype.str[1:] not in NUMBERS:
        raise Damaged(f"expected an array of numbers ({', '.join(NUMBERS)}), got {dtype.str[:20]!r}")
    return _numbers(_shape(shape), dtype.str, rest, by_column=by_column)


def to_array(value: Any, depth: int = 0) -> np.ndarray:
    """An array of numbers, dense, of the file's own kind of number; it may share memory with the file's bytes.

    `value` is what `read_pickle` gives, or a numpy array. Lists of numbers count as arrays, and so do object arrays
    that hold one array.

    Raises Damaged where it is no array of numbers, or one whose parts contradict each other.
    """
    if depth > _DEEPEST:
        raise Damaged(f"an array within {_DEEPEST} others")
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, list):
        return _from_list(value)
    if not isinstance(value, Made):
        raise Damaged(f"expected an array, got {_describe(value)}")
    by = _class(value)
    if by.name in ("_frombuffer", "ndarray"):
        return _from_bytes(value, by.name, depth)
    if by.module.startswith("scipy."):
        return _from_sparse(by.name[:3], _fields(value), depth)
    if by.module.split(".")[0] == "chumpy":
        return _from_chumpy(_fields(value), depth)
    raise Damaged(f"expected an array, got {_describe(value)}")


def _class(made: Made) -> Name:
    """What a note is of; in the old protocols a helper is called with the class as its first argument."""
    if made.by.name in ("_reconstruct", "_reconstructor"):
        if not made.arguments or not isinstance(made.arguments[0], Name):
            raise Damaged("an object without a class")
        return made.arguments[0]
    return made.by


def _describe(value: Any) -> str:
    """Never a value's own text, which a file can make as long as it likes."""
    if isinstance(value, Made):
        return f"{value.by.module}.{value.by.name}"[:80]
    return {Text: "text", Table: "a dictionary"}.get(type(value), type(value).__name__)


def _fields(made: Made) -> dict[str, Any]:
    """The attributes that the file gives an object: a dictionary, or a pair of one and of what is in slots."""
    state = made.states[0] if made.states else Table()
    tables = state if isinstance(state, tuple) and len(state) == 2 else (state,)
    fields: dict[str, Any] = {}
    for table in tables:
        if isinstance(table, Table):
            fields.update((word(key), value) for key, value in table.pairs)
        elif table is not None:
            raise Damaged(f"expected the attributes of {_describe(made)}, got {_describe(state)}")
    return fields


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MOST_NUMBERS:
        raise Damaged("expected a shape of whole numbers")
    return value


def _shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)) or len(value) > _MOST_DIMENSIONS:
        raise Damaged(f"expected a shape of up to {_MOST_DIMENSIONS} numbers")
    shape = tuple(_whole(item) for item in value)
    if math.prod(shape) > MOST_NUMBERS:
        raise Damaged(f"expected an array of at most {MOST_NUMBERS} numbers, got one of {math.prod(shape)}")
    return shape


def _from_bytes(made: Made, by: str, depth: int) -> np.ndarray:
    """numpy's own: up to protocol 4 a state (version, shape, dtype, by column, bytes), in 5 also a call."""
    given = made.states[0] if by == "ndarray" and made.states else made.arguments
    if not isinstance(given, tuple) or len(given) != (5 if by == "ndarray" else 4):
        raise Damaged("a numpy array without its parts")
    if by == "ndarray":
        _, shape, kind, by_column, data = given
    else:
        data, kind, shape, order = given
        by_column = word(order) == "F"
    shape, layout = _shape(shape), _kind(kind)
    if layout == "O":
        if not isinstance(data, list) or len(data) != 1 or math.prod(shape) != 1:
            raise Damaged("expected numbers, got an array of objects")
        return to_array(data[0], depth + 1)
    raw = _bytes(data, math.prod(shape) * np.dtype(layout).itemsize)
    return _numbers(shape, layout, raw, by_column=by_column == 1)


def _numbers(shape: tuple[int, ...], layout: str, raw: bytes | memoryview, *, by_column: bool) -> np.ndarray:
    size = math.prod(shape) * np.dtype(layout).itemsize
    if len(raw) != size:
        raise Damaged(f"expected {size} bytes for an array of {shape}, got {len(raw)}")
    return np.frombuffer(raw, layout).reshape(shape, order="F" if by_column else "C")


def _kind(made: Any) -> str:
    """A kind of number as numpy spells it, or O for objects."""
    if not isinstance(made, Made) or made.by.name != "dtype" or not made.arguments:
        raise Damaged("an array without a dtype")
    kind = word(made.arguments[0])
    state = made.states[0] if made.states else None
    if kind in ("O", "O4", "O8"):
        return "O"
    if kind not in NUMBERS or not isinstance(state, tuple) or len(state) < 2:
        raise Damaged(f"expected an array of numbers ({', '.join(NUMBERS)}), got {kind[:20]!r}")
    order = word(state[1])
    if order not in ("<", ">", "|"):
        raise Damaged(f"expected the byte order <, > or |, got {order[:20]!r}")
    return order + kind


def _bytes(data: Any, size: int) -> bytes | memoryview:
    """Bytes as any protocol writes them, where they may be `size` bytes."""
    if isinstance(data, Made) and data.by.name in ("encode", "bytearray", "bytes") and data.arguments:
        data = data.arguments[0]
    if isinstance(data, Made) and data.by.name == "encode" and data.arguments:
        data = data.arguments[0]
    if not isinstance(data, Text) or len(data.raw) > _LONGEST_BYTE * size:
        raise Damaged(f"expected {size} bytes of numbers")
    if data.coding == "bytes":
        return data.raw
    try:
        if data.coding == "escape":
            return codecs.escape_decode(data.raw)[0]
        return str(data.raw, data.coding).encode("latin1")
    except (ValueError, DeprecationWarning) as error:  # the latter of an unknown escape, where a caller wants errors
        raise Damaged("numbers in a string that is no latin1") from error


def _from_list(value: list[Any]) -> np.ndarray:
    shape: list[int] = []
    first: Any = value
    while isinstance(first, (list, tuple)) and len(first) > 0 and len(shape) < _MOST_DIMENSIONS:
        shape.append(len(first))
        first = first[0]
    if not shape or math.prod(shape) > _MOST_LISTED:
        raise Damaged(f"expected a list of 1 to {_MOST_LISTED} numbers")
    rows: list[Any] = [value]
    for size in shape:
        if not all(isinstance(row, (list, tuple)) and len(row) == size for row in rows):
            raise Damaged("expected rows of one length")
        rows = [item for row in rows for item in row]
    if all(type(item) is int and -(1 << 63) <= item < 1 << 63 for item in rows):
        return np.array(rows, np.int64).reshape(shape)
    if not all(type(item) is float or (type(item) is int and abs(item) < 1 << 63) for item in rows):
        raise Damaged("expected a list of numbers")
    return np.array(rows, np.float64).reshape(shape)


def _from_sparse(kind: str, kept: dict[str, Any], depth: int) -> np.ndarray:
    """Compressed rows (csr) or columns (csc), or coordinates (coo; in `row` and `col` before scipy 1.13)."""
    shape = _shape(kept.get("_shape", kept.get("shape")))
    if len(shape) != 2 or math.prod(shape) > _MOST_SPARSE:
        raise Damaged(f"expected a sparse matrix of 2 dimensions and at most {_MOST_SPARSE} numbers, got {shape}")
    data = _line(kept.get("data"), depth)
    if kind == "coo":
        coords = kept.get("coords", (kept.get("row"), kept.get("col")))
        if not isinstance(coords, tuple) or len(coords) != 2:
            raise Damaged("expected rows and columns of a sparse matrix")
        row, column = _indices(coords[0], shape[0], depth), _indices(coords[1], shape[1], depth)
    else:
        lines, across = shape if kind == "csr" else shape[::-1]
        starts, inner = _indices(kept.get("indptr"), len(data) + 1, depth), _indices(kept.get("indices"), across, depth)
        counts = np.diff(starts)
        if len(starts) != lines + 1 or starts[0] != 0 or starts[-1] != len(data) or (counts < 0).any():
            raise Damaged("a sparse matrix whose lines do not follow each other")
        outer = np.repeat(np.arange(lines), counts)
        row, column = (outer, inner) if kind == "csr" else (inner, outer)
    if not len(row) == len(column) == len(data):
        raise Damaged("a sparse matrix with more places than values, or fewer")
    # Values at one place are summed; bincount adds in float64.
    places = row * shape[1] + column
    return np.bincount(places, data.astype(np.float64), shape[0] * shape[1]).reshape(shape)


def _line(value: Any, depth: int) -> np.ndarray:
    line = to_array(value, depth + 1)
    if line.ndim != 1:
        raise Damaged(f"expected a row of numbers, got {line.ndim} dimensions")
    return line


def _indices(value: Any, limit: int, depth: int) -> np.ndarray:
    line = _line(value, depth)
    if line.dtype.kind not in "iu" or (line.size and (line.min() < 0 or line.max() >= limit)):
        raise Damaged(f"expected indices from 0 to {limit - 1}")
    return line.astype(np.int64)


def _from_chumpy(kept: dict[str, Any], depth: int) -> np.ndarray:
    if "x" in kept:
        return to_array(kept["x"], depth + 1)
    # chumpy.reordering.Select: a choice of another array's entries.
    if "a" in kept and "idxs" in kept:
        source = to_array(kept["a"], depth + 1).ravel()
        chosen = source[_indices(kept["idxs"], source.size, depth)]
        if "preferred_shape" not in kept:
            return chosen
        shape = _shape(kept["preferred_shape"])
        if math.prod(shape) != chosen.size:
            raise Damaged(f"expected {math.prod(shape)} entries for {shape}, got {chosen.size}")
        return chosen.reshape(shape)
    raise Damaged("a chumpy array without values")
