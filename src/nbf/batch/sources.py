"""Where photos come from: one lister a kind of input, all of which end as a list of `Photo`s; and their pictures.

An input is a folder, a pattern or a file, here or behind a URL. What it leads to is a photo, but for .tar files, whose
members are photos (WebDataset), and .parquet files, whose rows are. Nothing is unpacked or copied: of a tar the list
says where in it the bytes of each photo are, and workers read those alone.
"""

import io
import os
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from nbf.arguments import first_line
from nbf.batch.store import is_local, opened
from nbf.errors import InputError
from nbf.limits import MOST_BYTES
from nbf.pictures import SUFFIXES, Picture, find_photos, read_picture, read_stream

T = TypeVar("T")
_Row = tuple[str, bytes, int | None, int | None]
"""Of `LIST`."""

_TAR, _PARQUET = ".tar", ".parquet"
_FROM_TABLES = ("s3", "gs", "file")
"""Protocols that paths in somebody's table may have. fsspec knows more, some of which run commands or ask hosts."""
_WAITS = (1.0, 4.0)
"""Seconds before a store that did not answer is asked again: what is then an error stays one in the results."""
_LISTERS = 16
"""Tars and Parquet files that are looked into at the same time."""
_ROWS = 16
"""Of a Parquet file that are in memory at once."""


@dataclass(frozen=True)
class Photo:
    """One photo of a batch, and where its bytes are."""

    number: int
    """In the list of all."""
    key: str
    source: bytes
    """Path or URL of a file, in the bytes of the file system (PEP 383)."""
    at: int | None
    """None where the whole file is the photo; in a tar, of which byte it starts with; in Parquet, its row."""
    size: int | None
    """Bytes, where known."""

    @property
    def path(self) -> str:
        return os.fsdecode(self.source)

    @property
    def shown(self) -> str:
        """The source as text that can be written."""
        return _text(self.path)

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.shown if self.at is None else f"{self.shown}: {self.key}"


LIST = pa.schema(
    [("key", pa.string()), ("source", pa.binary()), ("at", pa.int64()), ("size", pa.int64())],
    {"what": "the photos of a batch, in order: the number of a photo is that of its row"},
)
"""How the list of photos is stored."""


def photos(table: pa.Table, first: int, count: int) -> list[Photo]:
    """Some of a stored list."""
    return [Photo(first + i, **row) for i, row in enumerate(table.slice(first, count).to_pylist())]


def found(where: str) -> list[tuple[str, str, int | None]]:
    """The files that an input leads to, sorted: path or URL, name below the input, bytes.

    Folders are searched in depth, but for hidden folders and what runs of ours wrote.

    Raises:
        InputError: it leads to nothing, or cannot be looked at.
    """
    system, root = opened(where)
    files = _found_here(root) if is_local(system) else _found_there(system, where, root)
    if not files:
        kinds = ", ".join(sorted(SUFFIXES))
        raise InputError(
            f"{where}: no photos there; expected a folder with pictures ({kinds}), or a pattern or a file: pictures, "
            f"{_TAR} or {_PARQUET} files, as in '{where.rstrip('/')}/*{_TAR}'"
        )
    return sorted(files, key=lambda file: os.fsencode(file[0]))


def listed(files: Sequence[tuple[str, str, int | None]], column: str) -> pa.Table:
    """All photos in files, as `LIST`. `column` is of Parquet files: bytes of pictures, or their paths.

    Raises:
        InputError: a tar or a Parquet file is damaged, or there is no such column.
    """
    rows: list[_Row] = []
    packs = [file for file in files if _kind(file[0]) in (_TAR, _PARQUET)]
    # Stores answer many at once.
    with ThreadPoolExecutor(_LISTERS) as pool:
        inside = dict(zip((file[0] for file in packs), pool.map(partial(_inside, column=column), packs)))
    for path, name, size in files:
        rows += inside[path] if path in inside else [(_text(name), os.fsencode(path), None, size)]
    columns = list(zip(*rows)) or [(), (), (), ()]
    return pa.table([pa.array(values, field.type) for values, field in zip(columns, LIST)], schema=LIST)


def pictures(some: Sequence[Photo], column: str) -> Iterator[tuple[Photo, Picture | InputError]]:
    """Photos that follow one another in the list, each with its picture or with the error that says why there is none;
    read as they are asked for."""
    rows = _Rows(column, some)
    for photo in some:
        in_table = photo.at is not None and photo.path.lower().endswith(_PARQUET)
        try:
            picture = _patiently(partial(rows.picture if in_table else _picture, photo))
        except InputError as error:
            yield photo, error
        # Of drivers: whatever their cloud's library raises.
        except Exception as error:
            yield photo, InputError(f"{photo.name}: cannot be read ({first_line(error)}); check the file and its store")
        else:
            yield photo, picture


def _found_here(root: str) -> list[tuple[str, str, int | None]]:
    exists = os.path.lexists(root)
    if not has_magic(root) and not exists:
        raise InputError(f"{root}: no such file or folder; check the spelling and the folder you are in")
    base = root if os.path.isdir(root) else _base(root, literal=exists)
    files = []
    for path in find_photos([root], recursive=True):
        if (str(path) == root and os.path.isdir(path)) or not os.path.lexists(path):
            continue  # a folder or a pattern that has nothing; other folders are closed ones, whose rows say so
        size = path.stat().st_size if path.exists() else None
        files.append((str(path), Path(os.path.relpath(path, base)).as_posix(), size))
    return files


def _found_there(system: Any, where: str, root: str) -> list[tuple[str, str, int | None]]:
    try:
        if has_magic(root):
            base, known = _base(root), system.glob(root, detail=True)
        elif system.isfile(root):
            base, known = _base(root), {root: system.info(root)}
        else:
            base, inside = root, system.find(root, detail=True)
            known = {name: info for name, info in inside.items() if _is_photo(_below(name, base))}
    # Drivers raise whatever their cloud's library does.
    except Exception as error:
        raise InputError(
            f"{where}: cannot be listed ({first_line(error)}); check the address and your access"
        ) from error
    return [
        (system.unstrip_protocol(name), _below(name, base), info.get("size"))
        for name, info in known.items()
        if info.get("type") == "file"
    ]


def _base(root: str, *, literal: bool = False) -> str:
    """The folder that a file is in, or all that a pattern matches."""
    if has_magic(root) and not literal:
        root = root[: min(root.index(sign) for sign in "*?[" if sign in root)]
    return os.path.dirname(root)


def _below(name: str, base: str) -> str:
    return name.removeprefix(base.rstrip("/")).lstrip("/")


def _is_photo(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in path.parts[:-1])


def _kind(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _inside(file: tuple[str, str, int | None], column: str) -> list[_Row]:
    path, name, _ = file
    if _kind(path) == _PARQUET:
        return list(_rows_of(path, name, column))
    return [(key, os.fsencode(path), at, size) for key, at, size in _members(path)]


def _members(path: str) -> Iterator[tuple[str, int, int]]:
    """Pictures in a tar: key, first byte, size. As WebDataset has it, a key is the name up to the first dot of its last
    part, and what follows says what kind of file it is."""
    system, name = opened(path)
    try:
        with system.open(name, "rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                tar.members = []  # pyright: ignore[reportAttributeAccessIssue]  it would keep them all
                folder, _, last = member.name.rpartition("/")
                key, dot, kind = last.partition(".")
                if member.isreg() and not member.issparse() and (dot + kind).lower() in SUFFIXES:
                    yield _text(f"{folder}/{key}" if folder else key), member.offset_data, member.size
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise InputError(
            f"{_text(path)}: cannot be read as a tar ({first_line(error)}); get a fresh copy; .tar.gz must be .tar"
        ) from error


def _rows_of(path: str, name: str, column: str) -> Iterator[_Row]:
    system, inner = opened(path)
    try:
        with system.open(inner, "rb") as file:
            parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
            kind = _column_type(parquet.schema_arrow, column, path)
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                for row in range(parquet.metadata.num_rows):
                    yield f"{_text(name)}:{row}", os.fsencode(path), row, None
                return
            for batch in parquet.iter_batches(columns=[column]):
                for text in _flat(batch, column).to_pylist():
                    yield text or "", os.fsencode(_named(text or "", path)), None, None
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{_text(path)}: cannot be read as Parquet ({first_line(error)}); get a fresh copy") from error


def _column_type(schema: pa.Schema, column: str, path: str) -> pa.DataType:
    """Raises InputError where there is no such column of bytes or text; in a struct it is `column.field`."""
    kind: Any = pa.struct(list(schema))
    for part in column.split("."):
        held = [field.name for field in kind] if pa.types.is_struct(kind) else []
        if part not in held:
            raise InputError(
                f"{_text(path)}: no column {column!r}; expected one with bytes of pictures or their paths in --column, "
                f"got {', '.join(schema.names)}"
            )
        kind = kind.field(part).type
    tests = pa.types.is_binary, pa.types.is_large_binary, pa.types.is_string, pa.types.is_large_string
    if not any(test(kind) for test in tests):
        inner = f"; of a struct give a field, as {column}.bytes" if pa.types.is_struct(kind) else ""
        raise InputError(f"{_text(path)}: expected bytes or text in column {column!r}, got {kind}{inner}")
    return kind


def _flat(batch: pa.RecordBatch, column: str) -> pa.Array:
    """The one column of a batch, out of the structs that it is in."""
    array = batch.column(0)
    for part in column.split(".")[1:]:
        array = array.field(part)
    return array


def _named(text: str, table: str) -> str:
    """A path in a table: as it stands, or below the table's own folder; empty where nothing may be read."""
    protocol, colon, _ = text.partition("://")
    if not text or (colon and protocol not in (*_FROM_TABLES, table.partition("://")[0])):
        return ""
    if colon or os.path.isabs(text):
        return text
    return f"{os.path.dirname(table)}/{text}"


class _Rows:
    """Rows of Parquet files, read in order: a row group, once."""

    def __init__(self, column: str, some: Sequence[Photo]) -> None:
        self._column = column
        self._ends = {photo.source: photo.at + 1 for photo in some if photo.at is not None}
        self._open: tuple[bytes, Iterator[bytes]] | None = None

    def picture(self, photo: Photo) -> Picture:
        """The picture of the row that follows the one asked for last."""
        if self._open is None or self._open[0] != photo.source:
            self._open = photo.source, _cells(photo.path, self._column, photo.at or 0, self._ends[photo.source])
        kept, self._open = self._open, None  # begun anew after an error
        data = next(kept[1], None)
        if data is None:
            raise InputError(f"{photo.name}: the Parquet file has become shorter; begin anew with another OUTPUT")
        self._open = kept
        return _decoded(data, photo)


def _cells(path: str, column: str, first: int, end: int) -> Iterator[bytes]:
    """Cells of a row and those that follow, in order. Only the row groups that hold them are read."""
    system, name = opened(path)
    with system.open(name, "rb") as file:
        parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        groups, start, skip = [], 0, 0
        for group in range(parquet.num_row_groups):
            rows = parquet.metadata.row_group(group).num_rows
            if start + rows > first and start < end:
                skip = skip if groups else first - start
                groups.append(group)
            start += rows
        for batch in parquet.iter_batches(_ROWS, groups, [column]):
            cells = _flat(batch, column)
            for index in range(min(skip, len(cells)), len(cells)):
                yield cells[index].as_py() or b""
            skip = max(0, skip - len(cells))


def _picture(photo: Photo) -> Picture:
    path = photo.path
    if not path:
        raise InputError(f"{photo.key!r}: expected a path, or a URL with one of {', '.join(_FROM_TABLES)}")
    system, name = opened(path)
    if photo.at is None and is_local(system):
        return read_picture(name)
    size = system.size(name) if photo.size is None else photo.size
    if size is not None and size > MOST_BYTES:
        raise InputError(f"{photo.name}: over the limit of {MOST_BYTES >> 20} MiB; make the picture smaller first")
    # By their names: the order of these differs from store to store.
    part = {} if photo.at is None else {"start": photo.at, "end": photo.at + (size or 0)}
    return _decoded(system.cat_file(name, **part), photo)


def _decoded(data: bytes, photo: Photo) -> Picture:
    if len(data) > MOST_BYTES:
        raise InputError(f"{photo.name}: over the limit of {MOST_BYTES >> 20} MiB; make the picture smaller first")
    return read_stream(io.BytesIO(data), photo.name)


def _patiently(read: Callable[[], T]) -> T:
    for seconds in _WAITS:
        try:
            return read()
        except (FileNotFoundError, PermissionError, IsADirectoryError):
            break
        except OSError:
            time.sleep(seconds)
    return read()


def _text(name: str) -> str:
    """A name as UTF-8 has it: bytes that are no text as `\\xe9`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
