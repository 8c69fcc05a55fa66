"""Files that anybody may have written, read so that the worst that one can do is to be refused: NPZ, NPY, JSON and
text.

What a file claims about itself (sizes, shapes, kinds of number) is checked before memory is set aside for it, nothing
in it is ever run, and what comes out is what the caller asked for, in shape, kind and range.
"""

import io
import json
import math
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nbf.arguments import shown
from nbf.errors import NbfError

T = TypeVar("T")

NUMBERS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
"""Kinds of number in arrays, as numpy spells them, without the order of bytes."""
MOST_JSON = 1 << 25
"""Bytes of a JSON file; values take some twenty times as much memory."""

# An archive may unpack to so many bytes, or to so many times its own size, whichever is more: part maps of drawn people
# pack twentyfold, and zeros a thousandfold.
_LEAST_UNPACKED, _MOST_RATIO = 1 << 28, 64
# Bytes of an array in a file of its own.
_MOST_NPY = 1 << 30
# Texts in an array, each of which may become an object of 50 bytes and more; and letters in all of them.
_MOST_TEXTS, _MOST_LETTERS = 1 << 23, 1 << 28
# Bytes of an archive's directory, each entry of which becomes an object ten times its size.
_MOST_DIRECTORY = 1 << 20
_MOST_DIMENSIONS = 5
# Bytes of a member that are unpacked in one go.
_CHUNK = 1 << 20
# Of an array, and what is in there: numbers, letters or objects.
_LONGEST_HEADER = 4096
_HEADER = {
    "descr": r"'([<>|=]?[fiubOSU]\d{0,9})'",
    "fortran_order": "(True|False)",
    "shape": r"\(([\dL, ]*)\)",
}
# What Python's zipfile raises on damaged archives; RuntimeError where one is encrypted.
_ZIP_FAULTS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
    *(KeyError, IndexError, ValueError, struct.error, OverflowError),
)
_KINDS_FOR = {"f": "fiub", "i": "iu", "u": "iu", "b": "b", "U": "U"}


class Damaged(ValueError):  # noqa: N818
    """The file is cut short, of another kind, or holds a value that contradicts itself or what was asked for."""


@contextmanager
def refusing(kind: type[NbfError], path: str | Path, what: str, remedy: str) -> Iterator[None]:
    """Damaged files and those that cannot be opened, as an error of `kind` with their name, what was expected and what
    to do."""
    try:
        yield
    except FileNotFoundError as error:
        raise kind(f"{path}: no such file; expected {what}; {remedy}") from error
    except (Damaged, OSError) as error:
        raise kind(f"{path}: cannot be read as {what}: {error}; {remedy}") from error


@dataclass(frozen=True)
class Array:
    """What an array of a file must be like."""

    dtype: Any
    """What it becomes: whole numbers, and yes and no, may become floating-point ones; nothing else changes its kind."""
    shape: tuple[int | str, ...]
    """Letters are sizes that all arrays of a file share."""
    low: float = -math.inf
    high: float = math.inf
    nan: bool = False
    """Whether numbers may be unknown."""
    optional: bool = False
    """Whether a file may lack it (`read_npz`)."""


def read_npz(path: str | Path, wanted: Mapping[str, Array], most: int | None = None) -> dict[str, np.ndarray]:
    """Arrays of an NPZ file, as wanted; others are not looked at. Text of one byte a letter is taken for latin1, as
    Python 2 wrote names.

    `most` is what they may unpack to together, as `unpack` takes it.

    Raises Damaged, which says what was expected and got, and OSError.
    """
    members = unpack(path, wanted, most)
    missing = [name for name, want in wanted.items() if name not in members and not want.optional]
    if missing:
        held = ", ".join(name[:40] for name in sorted(members)[:20]) or "nothing"
        raise Damaged(f"expected more arrays than {held!a}, got one without {', '.join(missing)}")
    arrays = {name: _array(name, data) for name, data in members.items() if data is not None}
    return fitted(arrays, {name: want for name, want in wanted.items() if name in arrays})


def read_npy(path: str | Path, want: Array) -> np.ndarray:
    """The array in a file of its own, as wanted. Raises Damaged and OSError."""
    path = Path(path)
    size = _regular(path)
    if size > _MOST_NPY:
        raise Damaged(f"it has {size} bytes, and the most that is read are {_MOST_NPY}")
    data = bytearray(size)
    with path.open("rb") as file:
        file.readinto(data)
    return fitted({path.stem: _array(path.stem, data)}, {path.stem: want})[path.stem]


def read_any_npz(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of an NPZ file that holds nothing but finite numbers (and nan, where floating-point).

    Raises Damaged and OSError.
    """
    return {name: _array(name, data) for name, data in unpack(path, None).items() if data is not None}


def unpack(path: str | Path, names: Iterable[str] | None, most: int | None = None) -> dict[str, bytearray | None]:
    """The members of an NPZ file without their ending: bytes of those named (None: of all), None for the others.

    What they may unpack to together depends on the file's size; `most` is a limit beyond that, in bytes.

    Raises Damaged and OSError.
    """
    path = Path(path)
    size = _regular(path)
    bound = max(_LEAST_UNPACKED, _MOST_RATIO * size)
    most = bound if most is None else min(most, bound)
    try:
        with path.open("rb") as raw:
            _check_directory(raw, size)
            with zipfile.ZipFile(raw) as file:
                infos = {info.filename.removesuffix(".npy"): info for info in file.infolist()}
                wanted = {name: infos[name] for name in (infos if names is None else names) if name in infos}
                total = sum(info.file_size for info in wanted.values())
                if total > most:
                    raise Damaged(f"it unpacks to {total} bytes, and the most that is read are {most}")
                members: dict[str, bytearray | None] = dict.fromkeys(infos)
                return members | {name: _unpacked(file, info) for name, info in wanted.items()}
    except Damaged:
        raise
    except _ZIP_FAULTS as error:
        raise Damaged(f"no NPZ file: {type(error).__name__} {error}"[:200]) from error


def read_header(data: bytes | bytearray) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """The head of an array in an NPZ file (numpy.lib.format): shape, whether by columns, kind of number, and where the
    numbers start. Raises Damaged.

    Of numpy's own reader any of Python's parsers may raise or warn.
    """
    wide = data[6:7] != b"\1"
    size = struct.unpack("<L" if wide else "<H", data[8 : 12 if wide else 10]) if len(data) >= 12 else (0,)
    start = (12 if wide else 10) + size[0]
    text = data[12 if wide else 10 : min(start, _LONGEST_HEADER)].decode("latin1")
    kind, order, sides = (re.search(rf"'{name}': *{value}", text) for name, value in _HEADER.items())
    if data[:6] != b"\x93NUMPY" or start > len(data) or kind is None or order is None or sides is None:
        raise Damaged("no header of an array of numbers")
    shape = tuple(int(side) for side in re.findall(r"\d+", sides[1]))
    try:
        return shape, order[1] == "True", np.dtype(kind[1]), start
    except TypeError as error:
        raise Damaged(f"expected a kind of number, got {kind[1][:20]!a}") from error


def fitted(arrays: Mapping[str, np.ndarray], wanted: Mapping[str, Array], **sizes: int) -> dict[str, np.ndarray]:
    """Arrays of the wanted kinds, if they are as wanted; `sizes` are letters that are known. Raises Damaged."""
    found: dict[str, np.ndarray] = {}
    for name, array in ((name, arrays[name]) for name in wanted):
        want = wanted[name]
        fits = array.ndim == len(want.shape) and all(
            got == (sizes.setdefault(side, got) if isinstance(side, str) else side)
            for side, got in zip(want.shape, array.shape, strict=True)
        )
        kind = np.dtype(want.dtype)
        if not fits or array.dtype.kind not in _KINDS_FOR[kind.kind]:
            what = {"U": "text", "b": "yes or no"}.get(kind.kind, "numbers")
            raise Damaged(
                f"expected {what} of shape ({', '.join(map(str, want.shape))}) in {name}, got {array.dtype} of shape "
                f"{array.shape}"
            )
        if kind.kind in "fiu":
            _check_range(name, array, want, kind)
        with np.errstate(invalid="ignore"):  # of some bits that are nan
            found[name] = array.astype(kind, copy=False) if kind.kind != "U" else array
    return found


def read_json(path: str | Path, make: Callable[[dict[str, Any]], Any] | None = None, most: int = MOST_JSON) -> Any:
    """The value in a JSON file: UTF-8, or UTF-16 as some consoles write. It may hold nan and infinities.

    Args:
        path: the file.
        make: what becomes of each object as soon as it is read; the largest files would not fit into memory as lists.
        most: bytes that the file may have.

    Raises Damaged (also where a name is there twice, a number has thousands of digits, or values lie within hundreds of
    others) and OSError.
    """
    return from_json(read_bytes(path, most), make)


def from_json(text: bytes, make: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The value that a text in JSON means. Raises Damaged, as `read_json`."""
    try:
        return json.loads(text, object_pairs_hook=_distinct if make is None else lambda pairs: make(_distinct(pairs)))
    except RecursionError as error:
        raise Damaged("not valid JSON: values lie too deep within each other") from error
    except ValueError as error:
        raise Damaged(f"not valid JSON: {error}"[:200]) from error


def read_json_lines(path: str | Path, make: Callable[[Any], T]) -> list[T]:
    """What `make` makes of the JSON in each line of a file; it may take fields for granted.

    Raises Damaged, which names the line, and OSError.
    """
    path = Path(path)
    _regular(path)
    made = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            made.append(make(from_json(line)))
        # Of fields that are missing, or of another kind.
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Damaged(f"line {number}: {type(error).__name__} {error}"[:200]) from error
    return made


def read_text(path: str | Path, most: int) -> str:
    """A text of at most `most` bytes in UTF-8; of bytes that are none, a mark stands in their place. Raises Damaged and
    OSError."""
    return read_bytes(path, most).decode("utf-8", errors="replace")


def read_bytes(path: str | Path, most: int) -> bytes:
    """A regular file of at most `most` bytes. Raises Damaged and OSError."""
    path = Path(path)
    size = _regular(path)
    if size > most:
        raise Damaged(f"it has {size} bytes, and the most that is read are {most}")
    return path.read_bytes()


def to_numbers(value: Any, *shape: int | None, dtype: Any = np.float32) -> np.ndarray:
    """Finite numbers of a floating-point kind and of a shape.

    Args:
        value: an array, a number or nested lists of them, as JSON has them.
        shape: that it must have; None is any number.
        dtype: what they become.

    Raises Damaged where it is something else.
    """
    wanted = " x ".join("n" if side is None else str(side) for side in shape) or "one"
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, OverflowError):  # such as rows of several lengths
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        got = array.dtype if isinstance(value, np.ndarray) else shown(value)
        raise Damaged(f"expected finite numbers, {wanted}, got {got}")
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape)):
        raise Damaged(f"expected finite numbers, {wanted}, got some of shape {array.shape}")
    # What overflows becomes infinity, which is refused next.
    with np.errstate(over="ignore", invalid="ignore"):
        array = array.astype(dtype)
    if not np.isfinite(array).all():
        raise Damaged(f"expected finite numbers, {wanted}, got nan or infinity")
    return array


def _regular(path: Path) -> int:
    """Bytes of a file that can be read to its end: of pipes and devices there may be none."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise Damaged("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise Damaged("it is no regular file")
    return status.st_size


def _check_directory(file: io.BufferedReader, size: int) -> None:
    """Python's zipfile reads the whole directory at once, however large it is. Archives of numpy end with its size."""
    file.seek(max(size - 42, 0))
    end = file.read(42)[-42:]
    short = len(end) < 22 or end[-22:-18] != b"PK\5\6"
    # A second, larger end is for archives of 4 GB and more.
    if short or (size < 1 << 32 and end[:4] == b"PK\6\7" and len(end) == 42):
        raise Damaged("no NPZ file: it does not end as one")
    if struct.unpack("<L", end[-10:-6])[0] > _MOST_DIRECTORY and size < 1 << 32:
        raise Damaged("it has more members than any NPZ file of ours")
    file.seek(0)


def _unpacked(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytearray:
    # The ways that numpy packs; of others Python's zipfile unpacks more than it is asked for.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Damaged(f"{info.filename[:40]!a} is packed in a way that numpy does not use")
    data = bytearray()
    with file.open(info) as member:
        # Not a byte more than announced, whatever is packed; and not a byte before it is there.
        while len(data) < info.file_size:
            chunk = member.read(min(_CHUNK, info.file_size - len(data)))
            if not chunk:
                raise Damaged(f"{info.filename[:40]!a} is cut short")
            data += chunk
    return data


def _array(name: str, data: bytearray) -> np.ndarray:
    """In the machine's own order of bytes, and writable."""
    shape, by_column, dtype, start = read_header(data)
    text = dtype.kind in "SU"
    if dtype.hasobject or not (text or dtype.str[1:] in NUMBERS) or dtype.itemsize == 0:
        raise Damaged(f"expected numbers in {ascii(name)[1:-1][:40]}, got {ascii(dtype.str)[1:21]}")
    if len(shape) > _MOST_DIMENSIONS:
        raise Damaged(f"expected at most {_MOST_DIMENSIONS} dimensions in {name}, got the shape {shape}"[:200])
    if math.prod(shape) * dtype.itemsize != len(data) - start:
        raise Damaged(f"expected {math.prod(shape)} values in {name}, got {len(data) - start} bytes"[:200])
    array = np.frombuffer(data, np.uint8, offset=start).view(dtype).reshape(shape, order="F" if by_column else "C")
    if text:
        return _text(name, array)
    if dtype.kind == "b":
        return array.view(np.uint8) != 0
    return array.astype(dtype.newbyteorder("="), copy=False)


def _text(name: str, array: np.ndarray) -> np.ndarray:
    """Of one byte a letter: in latin1, in which letters have the numbers that they have everywhere."""
    letters = array.dtype.itemsize // (1 if array.dtype.kind == "S" else 4)
    if array.size > _MOST_TEXTS or array.size * letters > _MOST_LETTERS:
        raise Damaged(
            f"expected at most {_MOST_TEXTS} texts of {_MOST_LETTERS} letters together in {name}, got {array.size} of "
            f"{letters} each"
        )
    if array.dtype.kind == "S":
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        return flat.astype(np.uint32).view(f"U{letters}").reshape(array.shape)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    numbers = np.ascontiguousarray(array).reshape(-1).view(np.uint32)
    if numbers.size and (int(numbers.max()) > 0x10FFFF or bool(((numbers >> 11) == 0xD800 >> 11).any())):
        raise Damaged(f"{name} holds letters that there are not")
    return array


def _check_range(name: str, array: np.ndarray, want: Array, kind: np.dtype) -> None:
    if want.nan and array.dtype.kind == "f":
        array = array[~np.isnan(array)]
    if array.size == 0:
        return
    if array.dtype.kind == "f" and not bool(np.isfinite(array).all()):
        raise Damaged(f"expected finite numbers in {name}, got nan or infinity")
    info = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    low, high = max(want.low, float(info.min)), min(want.high, float(info.max))
    least, largest = float(array.min()), float(array.max())
    if least < low or largest > high or (kind.kind != "f" and largest >= 2.0**63):
        raise Damaged(f"expected {name} from {low:g} to {high:g}, got {least:g} to {largest:g}")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise Damaged("a name is there twice in one object")
    return table
