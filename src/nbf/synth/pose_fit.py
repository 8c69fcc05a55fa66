"""From captured joints to the pose file: calibrate, fit every pose, judge it, write it."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.body.anatomy import angles_from_quaternion, limits, rotation_vector
from nbf.synth.ik import forward, solve
from nbf.synth.mocap import CORE, Calibration, Capture, calibrate, first_calibration, observe, scaled_offsets, start

logger = logging.getLogger(__name__)

CHUNK = 1024  # poses at a time: the Jacobians then stay near the processor's cache
CALIBRATION_STEP = 4  # every fourth pose decides where the markers ride
# What marks a capture that this body cannot take: mean joint error, and degrees beyond a joint limit.
WORST_MM, WORST_DEGREES = 30.0, 10.0


@dataclass(frozen=True)
class FittedPoses:
    """What `nbf fit-poses` writes.

    Attributes:
        axis_angle: (n,24,3) local rotations in radians; the root's keeps the capture's orientation, heading removed.
        error_mm: (n,) mean distance of the twelve limb joints from the capture, with the capture's own bone lengths.
        kept: (n,) False where the error is above WORST_MM or a joint is more than WORST_DEGREES beyond its limits.
        labels: split, family, source, action and their names, as the capture has them.
    """

    axis_angle: Float[Tensor, "n 24 3"]
    error_mm: Float[Tensor, " n"]
    kept: Bool[Tensor, " n"]
    labels: dict[str, np.ndarray]

    def save(self, path: Path) -> None:
        """Write a compressed .npz; angles and errors as float16."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            path,
            rotations=self.axis_angle.numpy().astype(np.float16),
            error_mm=self.error_mm.numpy().astype(np.float16),
            kept=self.kept.numpy(),
            **self.labels,  # type: ignore[arg-type]
        )


def _fit(
    capture: Capture,
    rest: Float[Tensor, "24 3"],
    calibration: Calibration,
    rounds: int,
    progress: Callable[[int], None],
) -> tuple[Float[Tensor, "n 24 4"], Float[Tensor, "n 24 3 3"], Float[Tensor, "n 24 3"]]:
    """Rotations, and the frames and places of the joints that they give."""
    found = []
    offsets = scaled_offsets(capture, rest)
    guess, root = start(capture, offsets)
    seen = observe(capture, calibration)
    for first in range(0, len(capture), CHUNK):
        rows = slice(first, first + CHUNK)
        q, place, _ = solve(guess[rows], root[rows], offsets[rows], seen[rows], rounds=rounds)
        found.append((q, *forward(q, place, offsets[rows])))
        progress(len(q))
    return torch.cat([f[0] for f in found]), torch.cat([f[1] for f in found]), torch.cat([f[2] for f in found])


def fit_poses(
    capture: Capture, rest: Float[Tensor, "24 3"], progress: Callable[[int], None] = lambda count: None
) -> FittedPoses:
    """Fit every captured pose.

    Args:
        capture: the captured joints.
        rest: the body's rest joints in the T-pose, metres.
        progress: called with the number of poses done since the last call; `work(capture)` in all.
    """
    some = capture[torch.arange(0, len(capture), CALIBRATION_STEP)]
    calibration = first_calibration(capture, rest)
    _, frames, places = _fit(some, rest, calibration, 8, progress)
    calibration = calibrate(some, calibration, frames, places)
    q, _, places = _fit(capture, rest, calibration, 14, progress)
    error = (places[:, CORE] - capture.joints[:, CORE]).norm(dim=-1).mean(1) * 1000
    kept = (error <= WORST_MM) & (beyond_limits(q) <= math.radians(WORST_DEGREES))
    logger.info("%d of %d poses kept", int(kept.sum()), len(kept))
    return FittedPoses(rotation_vector(q), error, kept, capture.labels)


def beyond_limits(q: Float[Tensor, "n 24 4"]) -> Float[Tensor, " n"]:
    """How far the worst joint of each pose (the root aside) is beyond its limits, radians; negative within them."""
    angles, bounds = angles_from_quaternion(q)[:, 1:], limits(q.device, q.dtype)[1:]
    return torch.maximum(bounds[..., 0] - angles, angles - bounds[..., 1]).amax((1, 2))


def work(capture: Capture) -> int:
    """How many poses `fit_poses` reports in all."""
    return len(capture) + len(range(0, len(capture), CALIBRATION_STEP))
