"""Who is whom from frame to frame: tracks that begin, coast while somebody is hidden, and end.

Detections go to tracks by the assignment of least cost (Kuhn 1955, "The Hungarian method for the assignment problem"),
as in Bewley et al. 2016, "Simple online and realtime tracking"; the cost compares bodies where constant velocity
expects them, their poses, and the colours of their parts (Wojke et al. 2017, "Simple online and realtime tracking with
a deep association metric", with histograms for the metric).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from nbf.body.landmarks import Landmarks, place
from nbf.body.model import BodyModel
from nbf.errors import InputError
from nbf.film.sighting import Sightings

COAST = 1.0
"""Seconds for which somebody may be hidden."""
SURE = 3
"""Frames in which somebody has to be found to be one; who is found in fewer is a mistake."""
_FAR = 3.0
"""Cost from which a detection is nobody's, about standard deviations."""
# Standard deviations: across the picture at the person's depth, metres, and what a hidden frame adds; of the log of
# the depth; of joints about the pelvis, metres; of the distance of colours, and of shapes, in standard deviations.
_ASIDE, _DRIFT, _DEPTH, _POSE, _COLOR, _SHAPE = 0.15, 0.06, 0.25, 0.15, 0.25, 1.5
# What is learnt of velocity, and of colours, from one frame.
_QUICK, _SLOW = 0.3, 0.1


@dataclass
class _Track:
    """Somebody, as last seen."""

    number: int
    place: Float[ndarray, "3"]
    """x/z, y/z and log z of the pelvis."""
    velocity: Float[ndarray, "3"]
    """The same, a frame."""
    pose: Float[ndarray, "24 3"]
    """Metres from the pelvis."""
    betas: Float[ndarray, " s"]
    colors: Float[ndarray, "4 k"]
    hits: int = 1
    missed: int = 0


@dataclass
class Tracker:
    """Takes frame after frame. `sure` has the numbers of those who were found often enough."""

    body: BodyModel
    rate: float
    """Frames a second."""
    sure: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        try:
            from scipy.optimize import linear_sum_assignment
        except ImportError as error:
            raise InputError(
                "people are followed by SciPy; install it with: pip install 'neural-body-fitting[video]'"
            ) from error
        self._assign = linear_sum_assignment
        self._joints = Landmarks.keypoints(self.body, "smpl24")
        self._tracks: list[_Track] = []
        self._next = 0

    def follow(self, seen: Sightings) -> list[int]:
        """The numbers of the tracks of everybody in the next frame, in their order."""
        found = self._found(seen)
        numbers = [-1] * len(found)
        for track in self._tracks:
            track.place = track.place + track.velocity
        costs = np.zeros((len(self._tracks), len(found)))
        for row, track in enumerate(self._tracks):
            costs[row] = [_cost(track, each) for each in found]
        kept = {}
        for row, column in zip(*self._assign(np.minimum(costs, 2 * _FAR))):
            if costs[row, column] < _FAR:
                kept[row] = column
        for row, track in enumerate(self._tracks):
            if row in kept:
                _learn(track, found[kept[row]])
                numbers[kept[row]] = track.number
                if track.hits >= SURE:
                    self.sure.add(track.number)
            else:
                track.missed += 1
        self._tracks = [track for track in self._tracks if track.missed <= self._patience(track)]
        for column, each in enumerate(found):
            if numbers[column] < 0:
                each.number = numbers[column] = self._next
                self._next += 1
                self._tracks.append(each)
        return numbers

    def followed(self) -> list[int]:
        """The numbers of everybody who is there, or hidden for no longer than `COAST`."""
        return [track.number for track in self._tracks]

    def _patience(self, track: _Track) -> int:
        return round(COAST * self.rate) if track.number in self.sure else 1

    def _found(self, seen: Sightings) -> list[_Track]:
        bodies = seen.bodies
        pelvis = bodies.pelvis
        where = torch.cat([pelvis[:, :2] / pelvis[:, 2:], pelvis[:, 2:].log()], 1).numpy()
        joints = place(self._joints, bodies, jacobian=False).points
        pose = (joints - joints[:, :1]).numpy()
        betas, colors, still = bodies.betas.numpy(), seen.colors.numpy(), np.zeros(3, np.float32)
        return [_Track(-1, where[i], still, pose[i], betas[i], colors[i]) for i in range(len(seen))]


def _cost(track: _Track, found: _Track) -> float:
    """About how many standard deviations apart, the mean over what is compared."""
    depth = np.exp(track.place[2])
    aside = np.linalg.norm(found.place[:2] - track.place[:2]) * depth
    both = (track.colors.sum(1) > 0) & (found.colors.sum(1) > 0)
    # Hellinger's distance, 0 to 1.
    alike = np.sqrt(track.colors[both] * found.colors[both]).sum(1)
    colors = np.sqrt(1 - alike.clip(0, 1)).mean() if both.any() else _COLOR
    apart = [
        aside / (_ASIDE + _DRIFT * track.missed),
        (found.place[2] - track.place[2]) / (_DEPTH + _DRIFT * track.missed),
        np.linalg.norm(found.pose - track.pose, axis=-1).mean() / (_POSE + _DRIFT * track.missed),
        colors / _COLOR,
        np.sqrt(np.mean((found.betas - track.betas) ** 2)) / _SHAPE,
    ]
    return float(np.sqrt(np.mean(np.square(apart))))


def _learn(track: _Track, found: _Track) -> None:
    """What a frame says about somebody; the track's place is where they were expected."""
    frames = 1 + track.missed
    track.velocity = track.velocity + _QUICK * (found.place - track.place) / frames
    track.place, track.pose = found.place, found.pose
    track.betas = (1 - _SLOW) * track.betas + _SLOW * found.betas
    seen = found.colors.sum(1) > 0
    new = seen & (track.colors.sum(1) == 0)
    share = np.where(new, 1.0, _SLOW * seen)[:, None]
    track.colors = (1 - share) * track.colors + share * found.colors
    track.hits, track.missed = track.hits + 1, 0


@dataclass(frozen=True)
class Span:
    """The frames of somebody's first and last sighting, and which row they are in each frame between, -1 for none."""

    number: int
    start: int
    rows: list[int]


def spans(tracker: Tracker, frames: Iterable[Sightings]) -> list[Span]:
    """Everybody in a film, in the order in which they come."""
    rows: dict[int, tuple[int, list[int]]] = {}
    for frame, seen in enumerate(frames):
        for row, number in enumerate(tracker.follow(seen)):
            start, mine = rows.setdefault(number, (frame, []))
            mine += [-1] * (frame - start - len(mine)) + [row]
    return [Span(number, *rows[number]) for number in sorted(rows) if number in tracker.sure]


def of_span(span: Span, frames: Iterable[Sightings]) -> Iterator[Sightings | None]:
    """What was seen of somebody from their first to their last frame; None where they were not found."""
    for frame, seen in enumerate(frames):
        if frame >= span.start + len(span.rows):
            return
        if frame >= span.start:
            row = span.rows[frame - span.start]
            yield None if row < 0 else seen[row : row + 1]
