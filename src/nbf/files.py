"""Files that appear whole or not at all, and folders of results that know which of their files a run of ours wrote."""

import hashlib
import json
import logging
import os
import re
import shutil
import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from nbf.errors import InputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

log = logging.getLogger(__name__)

RECORDS = ".nbf"
"""In a folder of results: a record for each picture, and files in the making."""

_VERSION = 1


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A name beside `path` to write to; renamed to `path` on success, removed on failure. Makes missing folders.

    Raises:
        OSError: the folder cannot be made or the file cannot be renamed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Same folder, so that the rename stays on one file system; same suffix, since writers choose formats by it.
    draft = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def fingerprint(path: Path) -> str | None:
    """SHA-256 of a file's bytes, or of the names and bytes in a folder; None where they cannot be read."""
    try:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file())
            lines = [f"{file.relative_to(path).as_posix()} {fingerprint(file)}" for file in inside]
            return hashlib.sha256("\n".join(lines).encode(errors="surrogatepass")).hexdigest()
        if not path.is_file():  # FIFOs and devices may never end
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class Record:
    """What runs wrote for one picture.

    Attributes:
        source: the picture that it was made from: its path as seen from the folder of results.
        sha256: fingerprint of the picture.
        options: what else decided the results.
        files: names of files in the folder, with the fingerprints that runs may have given them: one, or several where
            a run was stopped between two states.
        finished: when all files were there, UTC; None where the run was stopped.
    """

    source: str
    sha256: str | None
    options: dict[str, Any]
    files: dict[str, list[str]]
    finished: str | None

    @classmethod
    def read(cls, path: Path) -> "Record | None":
        """The record in a file; None where there is no file.

        Raises:
            InputError: the file is damaged, or of a later version.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("version") != _VERSION or set(values) != {field.name for field in fields(cls)}:
                raise ValueError("of another version")
            record = cls(**values)
            if not (isinstance(record.source, str) and isinstance(record.options, dict)):
                raise ValueError("expected a source and options")
            # Names alone: no record has a say about other folders.
            if not all(Path(name).parts == (name,) and isinstance(known, list) for name, known in record.files.items()):
                raise ValueError("expected names of files in the folder, with fingerprints")
            return record
        except FileNotFoundError:
            return None
        # Whatever parsers and look-ups meet in a damaged file.
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{path}: cannot be read as a record of what nbf wrote ({type(error).__name__}: {error}); move it and "
                f"the results of {path.stem} away, or choose another folder with -o"
            ) from error

    def write(self, path: Path) -> None:
        """Write the record, whole or not at all. Under a lock, so that a fixed name for the draft does: what a killed
        run leaves there is overwritten by the next."""
        draft = path.with_name(f"{path.name}.part")
        draft.write_text(json.dumps({"version": _VERSION} | asdict(self), indent=1), encoding="utf-8")
        os.replace(draft, path)


def records(folder: Path) -> dict[str, Record]:
    """The records in a folder of results, by the name that a picture's files start with. Damaged ones are left out,
    with a warning: what they were about counts as somebody else's."""
    found = {}
    try:
        paths = sorted((folder / RECORDS).glob("*.json"))
    except (OSError, ValueError):  # no folder that anybody wrote to
        paths = []
    for path in paths:
        try:
            record = Record.read(path)
        except InputError as error:
            log.warning("%s", error)
        else:
            if record is not None:
                found[path.stem] = record
    return found


def written_names(folder: Path) -> set[str]:
    """Names of the files in a folder that runs wrote there."""
    return {name for record in records(folder).values() for name in record.files}


def real_path(path: Path) -> str:
    """`os.path.realpath`, also of what can be no path."""
    try:
        return os.path.realpath(path)
    except ValueError:  # it has a NUL
        return str(path)


def seen_from(folder: Path, path: Path) -> str:
    """How records name a path: relative to the folder of results, so that both may move together."""
    real = real_path(path)
    try:
        return Path(os.path.relpath(real, real_path(folder))).as_posix()
    except ValueError:  # on another drive
        return Path(real).as_posix()


class Claim:
    """The right to write one picture's results into a folder, under names that start with `name`.

    Owned is what a record says that a run wrote and what has not changed since. Nothing else is overwritten or removed,
    and nothing that this run reads. Files of a picture appear together: each whole, the record last.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        source: Path,
        options: dict[str, Any],
        *,
        writes: re.Pattern[str],
        reads: set[str],
    ) -> None:
        """
        Args:
            folder: where results go.
            name: what the names of the files start with.
            source: the picture.
            options: what else decides the results; values that JSON has.
            writes: matches the names that may be written.
            reads: real paths of what this run reads, not to be touched.
        """
        self.folder, self.name, self.source, self.options = folder, name, source, options
        self._writes, self._reads = writes, reads
        self._path = folder / RECORDS / f"{name}.json"
        self._drafts = folder / RECORDS / f"{name}.new"
        self._lock: IO[str] | None = None
        self._record: Record | None = None
        self._sha256: str | None = None

    def done(self) -> bool:
        """Whether an earlier run finished this: same bytes, same options, all files still there."""
        with suppress(InputError):
            record = Record.read(self._path)
            return (
                record is not None
                and record.finished is not None
                and record.source == seen_from(self.folder, self.source)
                and record.options == self.options
                and all(os.path.lexists(self.folder / name) for name in record.files)
                and record.sha256 == fingerprint(self.source) is not None
            )
        return False

    def take(self) -> None:
        """Keep other processes from these names until `release`.

        Raises:
            InputError: another process has them; a file is in the way; the folder cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self._path.with_suffix(".lock"), f"{self.folder / self.name}.*")
            self._record, self._sha256 = Record.read(self._path), fingerprint(self.source)
            if self._record is not None and self._record.source != seen_from(self.folder, self.source):
                raise InputError(
                    f"{self.source}: the name {self.folder / self.name}.* went to {self._record.source} just now, by "
                    "another run; run again for another name"
                )
            for name in sorted(filter(self._writes.fullmatch, os.listdir(self.folder))):
                self._refuse_others(name)
        except OSError as error:
            self.release()
            raise InputError(
                f"{self.source}: results cannot be written to {self.folder} ({error}); choose another folder with -o"
            ) from error
        except InputError:
            self.release()
            raise

    def release(self) -> None:
        """Let others have the names; again does no harm."""
        if self._lock is not None:
            with suppress(OSError):  # Windows keeps files that are open
                os.unlink(self._lock.name)
            self._lock.close()
            self._lock = None

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """An empty folder for all files of the picture, which are moved into place on success; older files that it has
        no more are removed. On failure the folder is as it was; amid the moving, without any file of the picture.

        Raises:
            InputError: a file has come in the way.
            OSError: a file cannot be moved.
        """
        shutil.rmtree(self._drafts, ignore_errors=True)  # of a run that was killed
        self._drafts.mkdir()
        try:
            yield self._drafts
            self._move()
        finally:
            shutil.rmtree(self._drafts, ignore_errors=True)

    def _move(self) -> None:
        new = {path.name: [str(fingerprint(path))] for path in sorted(self._drafts.iterdir())}
        for name in new:
            self._refuse_others(name)
        old = {} if self._record is None else self._record.files
        either = {name: [*old.get(name, []), *new.get(name, [])] for name in {**old, **new}}
        # First of all, so that whenever this run is killed, every file that is there has an owner.
        self._record = Record(seen_from(self.folder, self.source), self._sha256, self.options, either, None)
        self._record.write(self._path)
        try:
            for name in new:
                os.replace(self._drafts / name, self.folder / name)
            for name in old.keys() - new.keys():
                self._remove(name)
            # What somebody changed, or this run reads, stays there and stays known: it is no photo.
            kept = {name: old[name] for name in old.keys() - new.keys() if os.path.lexists(self.folder / name)}
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self._record = replace(self._record, files=new | kept, finished=now)
            self._record.write(self._path)
        except BaseException:
            for name in either:
                with suppress(OSError):
                    self._remove(name)
            raise

    def _remove(self, name: str) -> None:
        path = self.folder / name
        if self._owned(name) and os.path.realpath(path) not in self._reads:
            path.unlink()

    def _owned(self, name: str) -> bool:
        """Whether a file is there as a run wrote it."""
        path = self.folder / name
        known = [] if self._record is None else self._record.files.get(name, [])
        return bool(known) and path.is_file() and not path.is_symlink() and fingerprint(path) in known

    def _refuse_others(self, name: str) -> None:
        path = self.folder / name
        if not os.path.lexists(path):
            return
        if os.path.realpath(path) in self._reads:
            raise InputError(f"{self.source}: would overwrite {path}, which this run reads; {_REMEDY}")
        if not self._owned(name):
            known = self._record is not None and name in self._record.files
            why = "was changed since nbf wrote it" if known else "nbf has no record of having written"
            raise InputError(f"{self.source}: would overwrite {path}, which {why}; {_REMEDY}")


_REMEDY = "move that file away, or choose another folder with -o"


def _locked(path: Path, what: str) -> IO[str]:
    """A file, open and locked; the kernel unlocks it when the process ends, however it ends.

    Raises:
        InputError: another process has it.
    """
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            if sys.platform == "win32":
                file.seek(1 << 20)  # locked bytes cannot be read, and the first say who has it
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            who = file.read() or "unknown"
            file.close()
            raise InputError(
                f"{what}: another process ({who}) is writing these results; wait for it, or choose another folder "
                "with -o"
            ) from None
        # Whoever had it may have removed it between our opening and locking.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                file.truncate(0)
                file.write(f"{os.getpid()} on {socket.gethostname()}")
                file.flush()
                return file
        file.close()
