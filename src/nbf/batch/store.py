"""Folders here and behind URLs (fsspec): opened, read, and written so that files appear whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from nbf.arguments import first_line
from nbf.errors import InputError
from nbf.files import replacing

_DRIVERS = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
"""Packages that fsspec needs for a protocol."""


def opened(where: str) -> tuple[Any, str]:
    """The file system (fsspec's) of a path or URL, and what the place is called there.

    Raises:
        InputError: there is no such kind of URL, its driver is not installed, or it does not answer.
    """
    protocol, url, _ = where.partition("://")
    if not url:  # not fsspec's to say: to it, colons in names of files are commands
        return LocalFileSystem(), os.path.abspath(os.path.expanduser(where))
    try:
        return url_to_fs(where)
    except ImportError as error:
        driver = _DRIVERS.get(protocol, "its package of fsspec")
        raise InputError(
            f"{where}: {protocol}:// needs {driver}, which is not installed: pip install {driver}"
        ) from error
    # Drivers raise whatever their cloud's library does.
    except Exception as error:
        raise InputError(
            f"{where}: cannot be opened ({first_line(error)}); check the address and your access"
        ) from error


def is_local(system: Any) -> bool:
    """Whether its names are paths of this machine."""
    return isinstance(system, LocalFileSystem)


class Store:
    """A folder for results."""

    def __init__(self, where: str) -> None:
        """Raises InputError where there can be no such folder."""
        self.where = where
        self._system, self._root = opened(where)

    def read(self, name: str) -> bytes | None:
        """A file; None where there is none."""
        try:
            return self._system.cat_file(self._path(name))
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all: here by renaming, in object stores by one PUT."""
        if is_local(self._system):
            with replacing(self._path(name)) as draft:
                draft.write_bytes(data)
        else:
            self._system.pipe_file(self._path(name), data)

    def remove(self, name: str) -> None:
        """Remove a file that may be there."""
        with suppress(FileNotFoundError):
            self._system.rm_file(self._path(name))

    def names(self, folder: str) -> list[str]:
        """What is in a folder, which may be missing."""
        self._system.invalidate_cache()
        try:
            found: list[Any] = self._system.ls(self._path(folder), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(os.path.basename(str(path).rstrip("/")) for path in found)

    def _path(self, name: str) -> str:
        return str(Path(self._root, name)) if is_local(self._system) else f"{self._root.rstrip('/')}/{name}"
