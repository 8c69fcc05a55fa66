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

COAST = 2.0
"""Seconds for which somebody may be hidden."""
SURE = 3
"""Frames in which somebody has to be found to be one; who is found in fewer is a mistake."""
_FAR = 3.0
"""Standard deviations, the root mean square over what is compared, from which a detection is nobody's."""
_LIVELY = 3.0
"""Density of the white noise on acceleration of people, (m/s^2) s^0.5."""
# Standard deviations of what fits say: of the place across the picture at the person's depth, metres, and of the log of
# the depth; of joints about the pelvis, metres, what a hidden frame adds to that, and the most it becomes; of the
# distance of colours; of shapes, in standard deviations.
_ASIDE, _DEPTH = 0.05, 0.12
_POSE, _POSE_DRIFT, _POSE_MOST = 0.15, 0.02, 0.35
_COLOR, _SHAPE = 0.2, 1.5
_FASTEST = 1.5  # metres a second, of the velocity of who has just come
_NOBODY = 1e6
_SLOW = 0.1  # what is learnt of colours and shape from one frame


@dataclass
class _Track:
    """Somebody, as last seen, and where they are expected."""

    number: int
    place: Float[ndarray, "2 3"]
    """x/z, y/z and log z of the pelvis, and what they change by in a frame."""
    spread: Float[ndarray, "3 2 2"]
    """The covariance of each and its change."""
    pose: Float[ndarray, "24 3"]
    """Metres from the pelvis."""
    betas: Float[ndarray, " s"]
    colors: Float[ndarray, "4 k"]
    hits: int = 1
    missed: int = 0

    def expect(self, rate: float) -> None:
        """The next frame, at constant velocity (Bar-Shalom et al. 2001, section 6.2)."""
        step = np.array([[1.0, 1.0], [0.0, 1.0]])
        # The logarithm of the depth changes by metres over the depth, too.
        density = (_LIVELY / np.exp(self.place[0, 2])) ** 2 / rate**3
        self.place = step @ self.place
        self.spread = step @ self.spread @ step.T + density * np.array([[1 / 3, 1 / 2], [1 / 2, 1]])

    def away(self, found: "_Track") -> tuple[Float[ndarray, "3"], Float[ndarray, "3"]]:
        """How far a detection is from where it is expected, and the variances of that."""
        return found.place[0] - self.place[0], self.spread[:, 0, 0] + found.spread[:, 0, 0]

    def learn(self, found: "_Track") -> None:
        """What a detection says (Kalman 1960)."""
        away, variance = self.away(found)
        gain = self.spread[:, :, 0] / variance[:, None]
        self.place = self.place + (gain * away[:, None]).T
        self.spread = self.spread - gain[:, :, None] * self.spread[:, None, 0]
        self.pose = found.pose
        self.betas = (1 - _SLOW) * self.betas + _SLOW * found.betas
        seen = found.colors.sum(1) > 0
        new = seen & (self.colors.sum(1) == 0)
        share = np.where(new, 1.0, _SLOW * seen)[:, None]
        self.colors = (1 - share) * self.colors + share * found.colors
        self.hits, self.missed = self.hits + 1, 0


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
        costs = np.zeros((len(self._tracks), len(found)))
        for row, track in enumerate(self._tracks):
            track.expect(self.rate)
            costs[row] = [_cost(track, each) for each in found]
        kept = {row: column for row, column in zip(*self._assign(costs)) if costs[row, column] < _NOBODY}
        for row, track in enumerate(self._tracks):
            if row in kept:
                track.learn(found[kept[row]])
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
        betas, colors, spread = bodies.betas.numpy(), seen.colors.numpy(), np.zeros((len(seen), 3, 2, 2))
        spread[:, :2, 0, 0], spread[:, 2, 0, 0] = (_ASIDE / pelvis[:, 2:].numpy()) ** 2, _DEPTH**2
        # Of velocity nothing is known but that people are slow.
        spread[..., 1, 1] = (_FASTEST / self.rate / pelvis[:, 2:].numpy()) ** 2
        places = np.stack([where, np.zeros_like(where)], 1)
        return [_Track(-1, places[i], spread[i], pose[i], betas[i], colors[i]) for i in range(len(seen))]


def _cost(track: _Track, found: _Track) -> float:
    """Minus the log-likelihood of a detection, but for a constant; `_NOBODY` where it is too far off."""
    away, variance = track.away(found)
    pose = min(_POSE + _POSE_DRIFT * track.missed, _POSE_MOST)
    both = (track.colors.sum(1) > 0) & (found.colors.sum(1) > 0)
    # Hellinger's distance, 0 to 1.
    alike = np.sqrt(track.colors[both] * found.colors[both]).sum(1)
    apart = [
        *(away / np.sqrt(variance)),
        np.linalg.norm(found.pose - track.pose, axis=-1).mean() / pose,
        np.sqrt(1 - alike.clip(0, 1)).mean() / _COLOR if both.any() else 1.0,
        np.sqrt(np.mean((found.betas - track.betas) ** 2)) / _SHAPE,
    ]
    if np.mean(np.square(apart)) > _FAR**2:
        return _NOBODY
    # Who may be anywhere is not likelier to be here than who is expected here.
    return float(np.sum(np.square(apart)) / 2 + np.log(variance).sum() / 2 + np.log(pose))


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
    """What was seen of somebody from their first to their last frame, out of the frames from their first one on; None
    where they were not found."""
    for row, seen in zip(span.rows, frames):
        yield None if row < 0 else seen[row : row + 1]
