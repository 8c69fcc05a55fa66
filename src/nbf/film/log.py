"""What was seen in a film, on disk frame by frame: a run that was stopped goes on, and an hour needs no more memory
than a minute."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from nbf.errors import DataError
from nbf.files import replacing
from nbf.film.sighting import BINS, GROUPS, Sightings
from nbf.reading import Array, read_npz, refusing

CHUNK = 32
"""Frames in a file."""


class SightingLog:
    """A folder of files of `CHUNK` frames each, the last of which may hold fewer; only whole files are ever there."""

    def __init__(self, folder: Path, shapes: int) -> None:
        """`shapes`: components of the body's shape."""
        self.folder, self.shapes = folder, shapes
        self._pending: list[Sightings] = []
        self._files = 0
        while self._path(self._files + 1).is_file():
            self._files += 1
        if self._path(self._files).is_file():
            self._pending = list(self._frames(self._files))
            if len(self._pending) == CHUNK:
                self._files, self._pending = self._files + 1, []

    @property
    def frames(self) -> int:
        """How many frames are on disk, or waiting to be put there."""
        return self._files * CHUNK + len(self._pending)

    def add(self, seen: Sightings) -> None:
        """The next frame."""
        self._pending.append(seen)
        if len(self._pending) == CHUNK:
            self.flush()
            self._files, self._pending = self._files + 1, []

    def flush(self) -> None:
        """Put what waits on disk, too, for `read`."""
        if not self._pending:
            return
        count = np.array([len(seen) for seen in self._pending], np.int64)
        with replacing(self._path(self._files)) as draft:
            np.savez(draft, allow_pickle=False, count=count, **Sightings.joined(self._pending).arrays())

    def read(self, start: int = 0) -> Iterator[Sightings]:
        """Frame by frame from number `start` on, as far as `flush` has put them on disk.

        Raises:
            DataError: a file is damaged.
        """
        number, left = divmod(start, CHUNK)
        while self._path(number).is_file():
            yield from islice(self._frames(number), left, None)
            number, left = number + 1, 0

    def _frames(self, number: int) -> Iterator[Sightings]:
        path = self._path(number)
        with refusing(DataError, path, "what was seen in a film", f"remove {self.folder} and run again"):
            arrays = read_npz(path, self._wanted(), most=1 << 31)
        counts = arrays.pop("count").tolist()
        everybody, start = Sightings.of_arrays(arrays), 0
        for count in counts:
            yield everybody[start : start + count]
            start += count

    def _wanted(self) -> dict[str, Array]:
        freedoms = 75 + self.shapes
        numbers: dict[str, tuple[int | str, ...]] = {
            "boxes": ("n", 4), "scores": ("n",), "keypoints": ("n", 17, 3), "colors": ("n", len(GROUPS), BINS**3),
            "betas": ("n", self.shapes), "poses": ("n", 24, 3), "pelvis": ("n", 3),
            "root": ("n", freedoms * (freedoms + 1) // 2),
        }  # fmt: skip
        return {name: Array(np.float32, shape, -1e6, 1e6) for name, shape in numbers.items()} | {
            "count": Array(np.int64, ("f",), 0)
        }

    def _path(self, number: int) -> Path:
        return self.folder / f"seen-{number:06}.npz"
