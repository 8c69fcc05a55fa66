"""Brings files of the manifest from their public homes, checked by their hashes; what is cut off goes on where it was.

Over https as Python's standard library speaks it, which also minds HTTPS_PROXY.
"""

import hashlib
import http.client
import io
import logging
import os
import re
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event
from typing import TypeVar
from urllib.error import HTTPError

from nbf.data.manifest import File, address
from nbf.errors import DataError
from nbf.files import fingerprint

T = TypeVar("T")

log = logging.getLogger(__name__)

WORKERS = 4
TRIES = 5
PAUSE = 1.0
"""Seconds before the second try; each further one waits twice as long."""
_TIMEOUT = 30.0
_CHUNK = 1 << 16
# Too late, too many requests, and whatever ails the server: worth another try.
_TEMPORARY = {408, 425, 429, *range(500, 600)}


class _TemporaryError(Exception):
    """It may go well another time."""


class _OtherFileError(Exception):
    """What is served is not the file."""


def lacking(files: Sequence[File], shared: Path) -> list[File]:
    """Those that are not there, or are there as something else."""
    return [file for file in files if fingerprint(shared / file.path) not in file.hashes]


def fetch(
    files: Sequence[File],
    shared: Path,
    *,
    locate: Callable[[File], str] = address,
    arrived: Callable[[int], None] = lambda count: None,
    pause: float = PAUSE,
) -> dict[str, str]:
    """Bring the files that are lacking; returns why, by path, of those that could not be had.

    Each appears whole and right or not at all. What has come of one is kept beside it, for the next try or the next
    call to go on from. Stopped by an exception (Ctrl-C), it returns within half a minute.

    Args:
        files: of a manifest.
        shared: the shared folder, made if need be.
        locate: the address of a file.
        arrived: called, from several threads, with the numbers of bytes that have come.
        pause: seconds before the second try.

    Raises:
        DataError: a file cannot be written, for want of room above all.
    """
    stop, failed, wanted = Event(), {}, lacking(files, shared)
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            waiting = {
                pool.submit(_bring, file, shared / file.path, locate(file), arrived, pause, stop): file
                for file in wanted
            }
            for done in as_completed(waiting):
                why = done.result()
                if why:
                    failed[waiting[done].path] = why
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return dict(sorted(failed.items()))


def _bring(file: File, target: Path, url: str, arrived: Callable[[int], None], pause: float, stop: Event) -> str:
    """Bring one file; returns why it cannot be had, or nothing."""
    # A name of its own for these bytes, whose start a later run can trust to be the start of this very file.
    part = target.with_name(f".{target.name}.{file.sha256[:16]}.part")
    why = ""
    for attempt in range(TRIES):
        if stop.wait(pause * 2 ** (attempt - 1) if attempt else 0):
            return "stopped"
        try:
            _receive(file, part, url, arrived, stop)
            return "" if _move(part, target, file) else f"{part} has gone while it was written"
        except HTTPError as error:
            why = f"{url} answers {error.code} {error.reason}"
            error.close()
            if error.code not in _TEMPORARY:
                return why
        except _OtherFileError as error:
            return str(error)
        except _TemporaryError as error:
            why = str(error)
        # Of the connection: what files raise is a DataError by now.
        except (OSError, http.client.HTTPException) as error:
            why = f"{url} cannot be read ({error or type(error).__name__})"
        log.info("%s; try %d of %d", why, attempt + 1, TRIES)
    return why


def _receive(file: File, part: Path, url: str, arrived: Callable[[int], None], stop: Event) -> None:
    """Bring what `part` lacks of a file. Raises _TemporaryError or _OtherFileError where that is not the file then."""
    seen, start = _begun(part, file.bytes)
    size = start
    if size < file.bytes:
        request = urllib.request.Request(url, headers={"Range": f"bytes={size}-"} if size else {})
        with _open(request, size) as answer, _opened(part) as store:
            if size and not _goes_on(answer, size):
                seen, size, start = hashlib.sha256(), 0, 0  # a server that knows no ranges starts anew
            store.seek(size)
            while chunk := answer.read(min(_CHUNK, file.bytes - size + 1)):
                if stop.is_set():
                    raise _TemporaryError("stopped")
                size += len(chunk)
                if size > file.bytes:
                    break
                seen.update(chunk)
                _written(part, partial(_store, store, chunk))
                arrived(len(chunk))
            if size == file.bytes:
                _written(part, store.truncate)
    if size < file.bytes:
        raise _TemporaryError(f"{url} was cut off after {size} of {file.bytes} bytes")
    if size > file.bytes or seen.hexdigest() != file.sha256:
        part.unlink(missing_ok=True)
        # Of what went on from a damaged start, nothing is known yet.
        raise (_TemporaryError if start else _OtherFileError)(
            f"{url} is another file than the one in the manifest: expected {file.bytes} bytes of SHA-256 {file.sha256}"
        )


def _begun(part: Path, most: int) -> "tuple[hashlib._Hash, int]":
    """Hash and number of the bytes that an earlier try has left."""
    seen, size = hashlib.sha256(), 0
    with suppress(FileNotFoundError), part.open("rb") as store:
        while size < most and (chunk := store.read(min(_CHUNK, most - size))):
            seen.update(chunk)
            size += len(chunk)
    return seen, size


def _opened(part: Path) -> io.FileIO:
    _written(part, lambda: part.parent.mkdir(parents=True, exist_ok=True))
    # Not to append: two runs at once then write the same bytes to the same places.
    return _written(part, lambda: io.FileIO(part, "r+" if part.exists() else "w+"))


def _store(store: io.FileIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[store.write(rest) :]


def _move(part: Path, target: Path, file: File) -> bool:
    try:
        _written(part, lambda: os.replace(part, target))
    except FileNotFoundError:  # another run was faster
        return fingerprint(target) == file.sha256
    return True


def _open(request: urllib.request.Request, start: int) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT)
    except HTTPError as error:
        if not start or error.code != 416:
            raise
        error.close()  # there is nothing from that byte on, says the server: take it from the first
        return urllib.request.urlopen(request.full_url, timeout=_TIMEOUT)


def _goes_on(answer: http.client.HTTPResponse, start: int) -> bool:
    """Whether an answer holds the bytes from `start` on, and not all of them."""
    span = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return answer.status == 206 and span is not None and int(span[1]) == start


def _written(path: Path, act: Callable[[], T]) -> T:
    """What `act` returns. Raises DataError where a file cannot be written, FileNotFoundError where it has gone."""
    try:
        return act()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{path.parent}: cannot be written to ({error}); free space there or choose --into") from error
