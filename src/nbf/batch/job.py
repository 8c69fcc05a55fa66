"""What a batch is: its photos in numbered parts, and the record by which a run goes on where another stopped.

Which photo is in which part is settled before anything is done, and written down. A part is one Parquet file, whole or
not there, under the one name that it can have: there is nothing to count, and nothing that a retry could do twice.
"""

import hashlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nbf import __version__
from nbf.arguments import first_line
from nbf.batch.sources import LIST, Photo, found, listed, photos
from nbf.batch.store import Store
from nbf.errors import InputError, NbfError
from nbf.files import RECORDS, fingerprint
from nbf.limits import weight_files
from nbf.nets.weights import ASSETS

_FOLDER = f"{RECORDS}/batch"
_RECORD, _LIST, _TRIES = f"{_FOLDER}/batch.json", f"{_FOLDER}/photos.parquet", f"{_FOLDER}/tries"
PEOPLE, MESHES = "people", "meshes"
"""Folders below the output."""
_PART = re.compile(r"part-(\d{5,})\.parquet")
_ANEW = "run it with the options of before, or give another OUTPUT"


@dataclass(frozen=True)
class Job:
    """Everything that decides the rows of a batch.

    Attributes:
        nbf: version of this library.
        source: the input, as it was given.
        column: of Parquet files, the one that has the photos.
        method: how bodies are found.
        weights: folder with weights in place of the bundled ones, or None.
        weights_sha256: of all networks.
        min_score, max_people: as `Predictor.predict` takes them.
        formats: what is written of each person beside the rows.
        part: photos in a part.
        files_sha256: of the names and sizes of the files that the input leads to.
        photos: how many there are.
    """

    nbf: str
    source: str
    column: str
    method: str
    weights: str | None
    weights_sha256: str
    min_score: float
    max_people: int | None
    formats: tuple[str, ...]
    part: int
    files_sha256: str
    photos: int

    @property
    def parts(self) -> int:
        """How many there are."""
        return -(-self.photos // self.part)


def begin(
    output: str,
    source: str,
    *,
    column: str,
    method: str,
    weights: Path | None,
    min_score: float,
    max_people: int | None,
    formats: Sequence[str],
    part: int,
) -> tuple[Job, list[int]]:
    """Write down what is to be done, or read what an earlier run wrote and check that it is the same; and the parts
    that are left to do.

    Raises:
        InputError: there are no photos; the output has results of something else, or of nobody knows what, or cannot
            be written.
    """
    store, files = Store(output), found(source)
    names = "\n".join(f"{path} {size}" for path, _, size in files)
    asked = Job(
        nbf=__version__,
        source=source,
        column=column,
        method=method,
        weights=None if weights is None else str(weights.resolve()),
        weights_sha256=weights_sha256(weights),
        min_score=min_score,
        max_people=max_people,
        formats=tuple(formats),
        part=part,
        files_sha256=hashlib.sha256(names.encode(errors="surrogatepass")).hexdigest(),
        photos=0,
    )
    try:
        return _begun(store, asked, files)
    except NbfError:
        raise
    # Drivers of stores raise whatever their cloud's library does.
    except Exception as error:
        why = first_line(error)
        raise InputError(
            f"{output}: results cannot be kept there ({why}); give another OUTPUT, or mend that"
        ) from error


def _begun(store: Store, asked: Job, files: Sequence[tuple[str, str, int | None]]) -> tuple[Job, list[int]]:
    job, done = _read(store), _done(store)
    if job is None:
        if done:
            raise InputError(f"{store.where}: holds {PEOPLE}/part-*.parquet, but not what they are of; {_ANEW}")
        table = listed(files, asked.column)
        if not len(table):
            raise InputError(f"{asked.source}: no photos in these files; tars need members with suffixes of pictures")
        job = replace(asked, photos=len(table))
        store.write(_LIST, _parquet(table))
        store.write(_RECORD, json.dumps(asdict(job), indent=1).encode())
    else:
        _check_same(store.where, job, asked)
    # Of runs that were stopped: what they tried says nothing about photos.
    for name in store.names(_TRIES):
        store.remove(f"{_TRIES}/{name}")
    return job, [number for number in range(job.parts) if number not in done]


def tidy(output: str) -> None:
    """Remove what killed workers left beside the parts, once all are done: drafts, hidden by a dot."""
    store = Store(output)
    for name in store.names(PEOPLE):
        if name.startswith("."):
            store.remove(f"{PEOPLE}/{name}")


def weights_sha256(weights: Path | None) -> str:
    """Of the bundled networks and those in a folder. Raises ModelFileError where that has none."""
    files = [path for folder in (ASSETS, weights) if folder is not None for path in weight_files(Path(folder))]
    return hashlib.sha256("\n".join(str(fingerprint(path)) for path in files).encode()).hexdigest()


class Parts:
    """The parts of a batch that was begun, as workers know it: from its output alone."""

    def __init__(self, output: str) -> None:
        """Raises InputError where no batch was begun, or this version of nbf or its weights are not those of it."""
        self.store = Store(output)
        job = _read(self.store)
        if job is None:
            raise InputError(f"{output}: no batch was begun there; every machine of a cluster must see the same OUTPUT")
        self.job = job
        if job.nbf != __version__:
            raise InputError(f"expected nbf {job.nbf} on every machine of the cluster, got {__version__}; install that")
        if weights_sha256(None if job.weights is None else Path(job.weights)) != job.weights_sha256:
            raise InputError(f"{job.weights or 'bundled weights'}: expected those of the machine that began the batch")
        data = self.store.read(_LIST)
        if data is None:
            raise InputError(f"{output}: the list of photos is gone; begin anew with another OUTPUT")
        self._list = pq.read_table(io.BytesIO(data), schema=LIST)

    def photos(self, number: int) -> list[Photo]:
        """Those of a part."""
        return photos(self._list, number * self.job.part, self.job.part)

    def write(self, number: int, rows: pa.Table) -> None:
        """The rows of a part: now it is done."""
        self.store.write(f"{PEOPLE}/part-{number:05d}.parquet", _parquet(rows))
        self.store.remove(f"{_TRIES}/{number}")

    def tried(self, number: int) -> dict[str, Any]:
        """What earlier tries of this run noted of a part; see `note`."""
        data = self.store.read(f"{_TRIES}/{number}")
        return {"tries": 0, "at": None, "deaths": {}} if data is None else json.loads(data)

    def note(self, number: int, tries: dict[str, Any]) -> None:
        """Note how often a part was tried, `at` which photo it is, and how often workers died at which."""
        self.store.write(f"{_TRIES}/{number}", json.dumps(tries).encode())


def _read(store: Store) -> Job | None:
    data = store.read(_RECORD)
    if data is None:
        return None
    try:
        values = json.loads(data)
        return Job(**values | {"formats": tuple(values["formats"])})
    except (ValueError, TypeError, LookupError) as error:
        raise InputError(
            f"{store.where}: {_RECORD} is damaged or of another version of nbf; give another OUTPUT"
        ) from error


def _done(store: Store) -> set[int]:
    return {int(match[1]) for name in store.names(PEOPLE) if (match := _PART.fullmatch(name))}


def _check_same(output: str, job: Job, asked: Job) -> None:
    for field in fields(Job):
        then, now = getattr(job, field.name), getattr(asked, field.name)
        if field.name == "photos" or then == now:
            continue
        if field.name == "files_sha256":
            raise InputError(
                f"{output}: photos were added, removed or changed in {job.source} since this batch began; give another "
                "OUTPUT for a batch of what is there now"
            )
        raise InputError(f"{output}: this batch was begun with {field.name} {then!r}, not {now!r}; {_ANEW}")


def _parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()
