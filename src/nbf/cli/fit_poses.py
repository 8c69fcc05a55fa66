"""Captured joints to body poses: inverse kinematics of ../shared/poses, for training."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from nbf.errors import DataError

LESSONS = 30000  # mixed and made poses from which the prior learns, beside the captured ones


@dataclass(frozen=True)
class Arguments:
    """Fit the body's 24 joint rotations to every captured pose (about two minutes on one core)."""

    capture: Annotated[Path | None, tyro.conf.arg(metavar="NPZ", help_behavior_hint="")] = None
    """The captured joints; poses/mocap_joints.npz of the shared folder if not given."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="NPZ")] = Path("runs/cache/poses.npz")
    """Where the fitted poses go."""
    prior: Annotated[Path | None, tyro.conf.arg(metavar="SAFETENSORS", help_behavior_hint="")] = None
    """Also train the pose prior (the bundled one is src/nbf/assets/pose_prior.safetensors; some minutes more)."""
    threads: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Processor threads."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run; 0 when the file is written."""
    given = tyro.cli(Arguments, prog="nbf fit-poses", args=arguments)
    # Here and not above: help and mistakes should not wait for torch.
    import torch
    from rich.progress import Progress

    from nbf.body.anatomy import angles_from_quaternion
    from nbf.body.files import load_body
    from nbf.body.pose_prior import BODY_AND_ROOT, COMPONENTS, JointMixture
    from nbf.data.shared import shared_dir
    from nbf.synth.mocap import read_capture
    from nbf.synth.pose_fit import fit_poses, work
    from nbf.synth.poses import PoseLibrary

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
    return 0
