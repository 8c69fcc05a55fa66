"""Captured joints to body poses: inverse kinematics of ../shared/poses, for training.

    python tools/fit_poses.py [-o runs/cache/poses.npz] [--capture NPZ] [--prior SAFETENSORS] [--threads N]

Calibrates where each source's markers ride, fits the body's 24 joint rotations to every captured pose (some minutes
on one core), judges the fits and writes them. `--prior` also trains the pose prior on them (the bundled one is
src/nbf/assets/pose_prior.safetensors).
"""

import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from ik import Pose, PoseProblem
from jaxtyping import Bool, Float
from mocap import CORE, Calibration, Capture, calibrate, first_calibration, observe, read_capture, scaled_rest, start
from rich.progress import Progress
from torch import Tensor

from nbf.body.anatomy import angles_from_quaternion, limits
from nbf.body.files import load_body
from nbf.body.pose_prior import BODY_AND_ROOT, COMPONENTS, JointMixture
from nbf.data.shared import shared_dir
from nbf.errors import DataError, NbfError
from nbf.files import replacing
from nbf.geometry.quaternions import rotation_vector
from nbf.solve.levenberg import solve
from nbf.synth.poses import FILE, PoseLibrary

logger = logging.getLogger(__name__)

CHUNK = 64  # poses at a time: the Jacobians then stay near the processor's cache
CALIBRATION_STEP = 4  # every fourth pose decides where the markers ride
# What marks a capture that this body cannot take: mean joint error, and degrees beyond a joint limit.
WORST_MM, WORST_DEGREES = 30.0, 10.0
LESSONS = 30000  # mixed and made poses from which the prior learns, beside the captured ones


@dataclass(frozen=True)
class Arguments:
    """Fit the body's 24 joint rotations to every captured pose."""

    capture: Annotated[Path | None, tyro.conf.arg(metavar="NPZ", help_behavior_hint="")] = None
    """The captured joints; poses/mocap_joints.npz of the shared folder if not given."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="NPZ")] = FILE
    """Where the fitted poses go."""
    prior: Annotated[Path | None, tyro.conf.arg(metavar="SAFETENSORS", help_behavior_hint="")] = None
    """Also train the pose prior (the bundled one is src/nbf/assets/pose_prior.safetensors; some minutes more)."""
    threads: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Processor threads."""


@dataclass(frozen=True)
class FittedPoses:
    """What this tool writes.

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
        with replacing(path) as draft:
            np.savez_compressed(
                draft,
                rotations=self.axis_angle.numpy().astype(np.float16),
                error_mm=self.error_mm.numpy().astype(np.float16),
                kept=self.kept.numpy(),
                **self.labels,  # type: ignore[arg-type]
            )


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


def _fit(
    capture: Capture,
    rest: Float[Tensor, "24 3"],
    calibration: Calibration,
    steps: int,
    progress: Callable[[int], None],
) -> tuple[Float[Tensor, "n 24 4"], Float[Tensor, "n 24 3 3"], Float[Tensor, "n 24 3"]]:
    """Rotations, and the frames and places of the joints that they give."""
    found = []
    skeletons = scaled_rest(capture, rest)
    guess, seen = start(capture, skeletons), observe(capture, calibration)
    for first in range(0, len(capture), CHUNK):
        rows = slice(first, first + CHUNK)
        problem = PoseProblem(skeletons[rows], seen[rows])
        pose, _ = solve(problem, Pose(guess.q[rows], guess.root[rows]), steps=steps)
        found.append((pose.q, *pose.placed(skeletons[rows])))
        progress(len(pose.q))
    return torch.cat([f[0] for f in found]), torch.cat([f[1] for f in found]), torch.cat([f[2] for f in found])


def beyond_limits(q: Float[Tensor, "n 24 4"]) -> Float[Tensor, " n"]:
    """How far the worst joint of each pose (the root aside) is beyond its limits, radians; negative within them."""
    angles, bounds = angles_from_quaternion(q)[:, 1:], limits(q.device, q.dtype)[1:]
    return torch.maximum(bounds[..., 0] - angles, angles - bounds[..., 1]).amax((1, 2))


def work(capture: Capture) -> int:
    """How many poses `fit_poses` reports in all."""
    return len(capture) + len(range(0, len(capture), CALIBRATION_STEP))


def main(given: Arguments) -> None:
    """Fit, write and say how it went. Raises DataError where the captured joints are missing."""
    torch.set_num_threads(given.threads)
    shared = shared_dir()
    if given.capture is None and shared is None:
        raise DataError("no shared folder: expected captured joints; set NBF_SHARED or pass --capture FILE")
    capture = read_capture(given.capture or Path(shared or ".") / "poses" / "mocap_joints.npz")
    rest = load_body("anny24", "small").joint_template.float()
    began = time.perf_counter()
    with Progress(disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("fitting poses", total=work(capture))
        fitted = fit_poses(capture, rest, lambda count: bar.advance(task, count))
    fitted.save(given.output)
    error, kept = fitted.error_mm, int(fitted.kept.sum())
    print(
        f"{len(error)} poses in {time.perf_counter() - began:.0f} s: joint error mean {error.mean():.1f} mm, median "
        f"{error.median():.1f}, 95 % {error.quantile(0.95):.1f}, worst {error.max():.1f}; {kept} kept -> {given.output}"
    )
    if given.prior is not None:
        generator = torch.Generator().manual_seed(0)
        poses, weights = PoseLibrary.load(given.output).lessons(LESSONS, generator)
        prior = JointMixture.fit(angles_from_quaternion(poses), BODY_AND_ROOT, COMPONENTS, generator, weights)
        prior.save(given.prior)
        print(f"pose prior -> {given.prior} ({given.prior.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    try:
        main(tyro.cli(Arguments, description=__doc__))
    except NbfError as error:
        sys.exit(f"fit_poses: {error}")
