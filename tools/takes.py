"""Captured motions with a way over the floor, which the poses of ../shared/poses come without.

The capture is a thinned, turned and centred one: every pose faces +z from the origin, and of similar poses one is
left. Between poses the rotations run along splines; where a person goes and how they turn is what lets the feet that
carry them stand still.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from fit_poses import fit_poses
from jaxtyping import Float, Int
from mocap import read_capture
from numpy import ndarray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.model import BodyModel
from nbf.errors import DataError
from nbf.geometry.quaternions import matrix, quaternion

CAPTURED = 30.0
"""Poses a second of the capture, before it was thinned."""
LONGEST_GAP = 10
"""Of its frames, at most, over which a spline runs."""
# Metres above the lowest vertex at which a vertex carries a third as much; metres of slipping that are out of the way.
_CARRYING, _SLIPPING = 0.015, 0.004
# Standard deviations in frames of the Gaussians that smooth poses, turns and steps: the capture is kept to 2 bytes.
_STILL, _TURNING, _STEPPING = 1.2, 2.0, 1.0
_FEET = 23, 24  # parts


@dataclass(frozen=True)
class Take:
    """One stretch of a sequence without gaps: local rotations of the frames that are left of it, headings removed."""

    sequence: str
    frames: Int[ndarray, " k"]
    axis_angle: Float[Tensor, "k 24 3"]

    def rotations(self, start: int, count: int, rate: float) -> Float[Tensor, "t 24 3 3"]:
        """`count` poses at `rate` a second, from frame `start` on.

        Raises DataError where the take is shorter.
        """
        times = start + np.arange(count) * CAPTURED / rate
        if times[0] < self.frames[0] or times[-1] > self.frames[-1]:
            raise DataError(
                f"{self.sequence}: expected frames within {self.frames[0]} to {self.frames[-1]}, got {start} to "
                f"{times[-1]:.0f}; choose another start"
            )
        q = quaternion(self.axis_angle).numpy().copy()
        for before, after in pairwise(q):
            after[(before * after).sum(-1) < 0] *= -1
        way = gaussian_filter1d(CubicSpline(self.frames, q)(times), _STILL, axis=0, mode="nearest")
        return matrix(torch.from_numpy(way / np.linalg.norm(way, axis=-1, keepdims=True)).float())


def read_takes(path: Path, rest: Float[Tensor, "24 3"], sequences: list[str], least: int) -> list[Take]:
    """Stretches of at least `least` frames, in their order, of some sequences of `mocap_joints.npz`.

    Raises:
        DataError: the file is missing, or has no such sequence.
    """
    capture = read_capture(path)
    with np.load(path, allow_pickle=False) as file:
        number, names, frame = file["seq"], [str(name) for name in file["seq_names"]], file["frame"]
    if missing := sorted(set(sequences) - set(names)):
        raise DataError(f"{path}: expected the sequences {', '.join(missing)}; get the shared folder anew")
    wanted = [names.index(name) for name in sequences]
    rows = np.flatnonzero(np.isin(number, wanted))
    fitted = fit_poses(capture[torch.from_numpy(rows)], rest)
    number, frame, takes = number[rows], frame[rows], []
    for name, which in zip(sequences, wanted):
        here = np.flatnonzero((number == which) & fitted.kept.numpy())
        here = here[np.argsort(frame[here])]
        for run in np.split(here, np.flatnonzero(np.diff(frame[here]) > LONGEST_GAP) + 1):
            if frame[run[-1]] - frame[run[0]] >= least:
                takes.append(Take(name, frame[run], fitted.axis_angle[torch.from_numpy(run)]))
    return takes


def on_foot(body: BodyModel, betas: Float[Tensor, " s"], rotations: Float[Tensor, "t 24 3 3"]) -> Bodies:
    """The poses on a floor at y = 0 (y up), begun at the origin, with turns and steps that leave carrying feet where
    they are; who is in the air is set down."""
    shapes = betas.expand(len(rotations), -1)
    posed = Bodies(shapes, rotations, torch.zeros(len(rotations), 3)).posed(body)
    feet = posed.vertices[:, body.faces[torch.isin(body.face_parts, torch.tensor(_FEET))].unique()].double().numpy()
    lowest = posed.vertices[..., 1].amin(1).double().numpy()
    height = feet[..., 1] - lowest[:, None]
    carried = np.exp(-(height[1:] + height[:-1]) / (2 * _CARRYING))
    ground = feet[..., [0, 2]]
    turn, _ = _still(ground, carried, None)
    turn = gaussian_filter1d(turn, _TURNING, mode="nearest")
    _, step = _still(ground, carried, turn)
    step = gaussian_filter1d(step, _STEPPING, axis=0, mode="nearest")
    heading, place = np.zeros(len(rotations)), np.zeros((len(rotations), 2))
    for t in range(len(turn)):
        heading[t + 1] = heading[t] + turn[t]
        place[t + 1] = place[t] + _planar(heading[t : t + 1])[0] @ step[t]
    about = torch.from_numpy(np.stack([0 * heading, -heading, 0 * heading], -1)).float()
    root = matrix(quaternion(about)) @ rotations[:, 0]
    up = gaussian_filter1d(-lowest, _STEPPING, mode="nearest")
    pelvis = torch.from_numpy(np.stack([place[:, 0], up, place[:, 1]], -1)).float()
    return Bodies(shapes, torch.cat([root[:, None], rotations[:, 1:]], 1), pelvis)


def _still(
    ground: Float[ndarray, "t m 2"], weights: Float[ndarray, "s m"], given: Float[ndarray, " s"] | None
) -> tuple[Float[ndarray, " s"], Float[ndarray, "s 2"]]:
    """Turns (given ones, if any) and steps that take points of each next frame to where they are in this one, by
    weighted least squares, those that slip being left out more and more."""
    here, there = ground[:-1], ground[1:]
    slow = np.ones_like(weights)
    for _ in range(8):
        share = weights * slow
        share = share / share.sum(1, keepdims=True)
        middles = [(share[..., None] * points).sum(1, keepdims=True) for points in (here, there)]
        a, b = (points - middle for points, middle in zip((here, there), middles))
        sine = (share * (b[..., 0] * a[..., 1] - b[..., 1] * a[..., 0])).sum(1)
        turn = np.arctan2(sine, (share * (a * b).sum(-1)).sum(1)) if given is None else given
        back = _planar(turn).transpose(0, 2, 1)
        slow = 1 / (1 + ((b @ back - a) ** 2).sum(-1) / _SLIPPING**2)
    return turn, (middles[0] - middles[1] @ back)[:, 0]


def _planar(angle: Float[ndarray, " n"]) -> Float[ndarray, "n 2 2"]:
    """Turns in the plane of x and z, from x to z."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
