"""One worker: a predictor that does parts of a batch, one after the other. Knows nothing of Ray."""

import re
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from nbf.batch.job import MESHES, Job, Parts
from nbf.batch.rows import rows, table
from nbf.batch.sources import Photo, pictures
from nbf.errors import InputError, NbfError
from nbf.export.formats import FORMATS, Scene, write_scene
from nbf.people import People
from nbf.pictures import Picture

_MOST_DEATHS = 2
"""Workers that may die at one photo before it is left out: one may have been killed for another reason."""
_LONGEST = 80
"""Letters of a key in names of files."""


@dataclass(frozen=True)
class Done:
    """What became of one part."""

    part: int
    photos: int
    people: int
    errors: int
    tries: int
    """1, or more where workers died."""


def load(job: Job) -> Any:
    """The predictor of a batch."""
    from nbf.predictor import load

    return load(job.weights, job.method)


class Worker:
    """Does parts; loads what it needs for the first of them."""

    def __init__(self, output: str, threads: int = 1, load: Callable[[Job], Any] = load) -> None:
        """`load` makes something with `predict_many`, as `nbf.Predictor` has it."""
        self._output, self._threads, self._load = output, threads, load

    def do(self, number: int) -> Done:
        """Do a part. Whether it was begun before, or even done, makes no difference: its rows are the same.

        Raises:
            NbfError: this machine cannot do it.
            OSError: results cannot be written.
        """
        parts, predictor = self._parts, self._predictor
        some, tries = parts.photos(number), parts.tried(number)
        tries["tries"] += 1
        if tries["at"] is not None:  # where the worker before this one was
            died = str(tries["at"])
            tries["at"], tries["deaths"][died] = None, tries["deaths"].get(died, 0) + 1
        parts.note(number, tries)
        # Together is faster; after a death or a fault, one by one tells which photo it was.
        results = None if tries["tries"] > 1 else self._together(predictor, some)
        if results is None:
            results = [self._alone(predictor, photo, number, tries) for photo in some]
        everything = [row for rows in results for row in rows]
        parts.write(number, table(everything))
        errors = sum(row.get("error") is not None for row in everything)
        people = sum(row.get("person") is not None for row in everything)
        return Done(number, len(some), people, errors, tries["tries"])

    @cached_property
    def _parts(self) -> Parts:
        return Parts(self._output)

    @cached_property
    def _predictor(self) -> Any:
        torch.set_num_threads(self._threads)
        return self._load(self._parts.job)

    @property
    def _options(self) -> dict[str, Any]:
        return {"min_score": self._parts.job.min_score, "max_people": self._parts.job.max_people}

    def _together(self, predictor: Any, some: list[Photo]) -> list[list[dict[str, Any]]] | None:
        """The rows of each photo; None where something went wrong that is no error of ours."""
        results: dict[int, list[dict[str, Any]]] = {}
        waiting: deque[Photo] = deque()

        def readable() -> Iterator[Picture]:
            for photo, picture in pictures(some, self._parts.job.column):
                if isinstance(picture, InputError):
                    results[photo.number] = self._rows(photo, picture)
                else:
                    waiting.append(photo)
                    yield picture

        try:
            for _, found in predictor.predict_many(readable(), **self._options):
                photo = waiting.popleft()
                results[photo.number] = self._rows(photo, found)
        except (NbfError, OSError):
            raise
        except Exception:
            return None
        return [results[photo.number] for photo in some]

    def _alone(self, predictor: Any, photo: Photo, number: int, tries: dict[str, Any]) -> list[dict[str, Any]]:
        """The rows of one photo, whatever it does, the death of the worker included."""
        if tries["deaths"].get(str(photo.number), 0) >= _MOST_DEATHS:
            return self._rows(photo, InputError(f"{photo.name}: workers died of it; it may take too much memory"))
        tries["at"] = photo.number
        self._parts.note(number, tries)
        _, found = next(pictures([photo], self._parts.job.column))
        if isinstance(found, Picture):
            try:
                _, found = next(iter(predictor.predict_many([found], **self._options)))
            except Exception as error:
                found = RuntimeError(f"{photo.name}: a fault of nbf, {type(error).__name__}: {error}")
        return self._rows(photo, found)

    def _rows(self, photo: Photo, found: People | NbfError | RuntimeError) -> list[dict[str, Any]]:
        files = [] if isinstance(found, Exception) or not found else self._write_files(photo, found)
        return rows(photo, found, files)

    def _write_files(self, photo: Photo, people: People) -> list[list[str]]:
        """Meshes of each person, under names that the photo's number makes unique; the names."""
        formats, names = self._parts.job.formats, []
        if not formats:
            return []
        folder = f"{MESHES}/{photo.number // self._parts.job.part:05d}"
        stem = f"{photo.number:09d}-{re.sub(r'[^A-Za-z0-9._-]+', '_', photo.key)[-_LONGEST:]}"
        with tempfile.TemporaryDirectory() as drafts:
            for index, scene in enumerate(Scene.of(people).alone()):
                names.append([f"{folder}/{stem}_{index}{FORMATS[format].ending}" for format in formats])
                for name, format in zip(names[-1], formats):
                    draft = Path(drafts, Path(name).name)
                    write_scene(scene, draft, FORMATS[format])
                    self._parts.store.write(name, draft.read_bytes())
        return names
