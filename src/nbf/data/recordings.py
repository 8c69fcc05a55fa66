"""Data sets that are recordings by measured cameras: which frame each picture is, without reading its labels."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nbf.data.labelled import Frame, LabelledPicture, Lazy, LensCamera
from nbf.errors import DataError


@dataclass(frozen=True, eq=False)
class PlacedCamera:
    """A measured camera and where it stands."""

    lens: LensCamera
    camera_from_world: Float[ndarray, "3 4"]
    """Rotation and translation (metres)."""

    def __post_init__(self) -> None:
        rotation = self.camera_from_world[:, :3]
        proper = np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-2 and np.linalg.det(rotation) > 0
        numbers = (self.camera_from_world, self.lens.focal, self.lens.center, self.lens.distortion)
        if not all(np.isfinite(each).all() for each in numbers) or not proper or self.lens.focal.min() <= 0:
            raise DataError("expected a camera of a positive focal length that is turned by a rotation, got another")

    def from_world(self, points: Float[ndarray, "*n 3"]) -> Float[ndarray, "*n 3"]:
        """Points in the world, metres -> in the camera's frame."""
        return points @ self.camera_from_world[:, :3].T + self.camera_from_world[:, 3]


@dataclass(frozen=True, eq=False)
class Recording:
    """What one camera saw of one take."""

    frame: Frame
    """Of its pictures, but for their index."""
    indices: Sequence[int]
    """Of its labelled pictures in the film, rising."""
    picture: Callable[[Frame], LabelledPicture]
    """The picture of a frame."""


class Recordings(Lazy[LabelledPicture]):
    """The pictures of recordings, one recording after the other."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._recordings = recordings
        self._ends = list(accumulate((len(each.indices) for each in recordings), initial=0))
        super().__init__(self._ends[-1], lambda i: self._place(i)[0].picture(self.frame(i)))

    def frame(self, i: int) -> Frame:
        """Which frame the i-th picture is: what `self[i].frame` says, but no label is read."""
        recording, row = self._place(i)
        return replace(recording.frame, index=int(recording.indices[row]))

    def chosen(self, keep: Callable[[Frame], bool]) -> Lazy[LabelledPicture]:
        """The pictures of some frames."""
        rows = [i for i in range(len(self)) if keep(self.frame(i))]
        return Lazy(len(rows), lambda i: self[rows[i]])

    def _place(self, i: int) -> tuple[Recording, int]:
        number = bisect_right(self._ends, range(len(self))[i]) - 1
        return self._recordings[number], range(len(self))[i] - self._ends[number]


def numbered_files(folder: Path, pattern: str) -> list[int]:
    """The numbers, rising, that stand for the asterisk in the names of a folder's pictures ("img_*.jpg")."""
    start, _, end = pattern.partition("*")
    middles = (path.name[len(start) : len(path.name) - len(end)] for path in folder.glob(pattern))
    return sorted(int(text) for text in middles if text.isdecimal())
