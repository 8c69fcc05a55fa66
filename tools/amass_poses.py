"""AMASS's poses as the library from which synthetic people take theirs (see docs/datasets/amass.md).

    python tools/amass_poses.py DIR [-o runs/cache/poses.npz] [--rate 5]

Takes some poses a second of each sequence, turns each to face ahead, and keeps those within the joint limits. The
splits are AMASS's own; its validation is left out.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from fit_poses import WORST_DEGREES, FittedPoses, beyond_limits
from jaxtyping import Float
from rich.progress import track
from torch import Tensor

from nbf.data.pose_sequences import PoseSequence
from nbf.data.sets.amass import read_amass
from nbf.errors import NbfError
from nbf.geometry.quaternions import multiply, quaternion, rotation_vector
from nbf.geometry.rotations import matrix_from_axis_angle
from nbf.synth.poses import FILE, HANGING_SOURCE, SHARES


@dataclass(frozen=True)
class Arguments:
    """Make a library of poses from AMASS."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """AMASS's."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="NPZ")] = FILE
    """Where the poses go."""
    rate: Annotated[float, tyro.conf.arg(metavar="HZ")] = 5.0
    """Poses a second, at most."""


def facing_ahead(poses: Float[Tensor, "n 24 3"]) -> Float[Tensor, "n 24 4"]:
    """Quaternions of poses turned about the vertical (y) until the body's front (z) is towards z."""
    front = matrix_from_axis_angle(poses[:, 0])[:, :, 2]
    turn = torch.zeros(len(poses), 3)
    turn[:, 1] = -torch.atan2(front[:, 0], front[:, 2])
    q = quaternion(poses)
    return torch.cat([multiply(quaternion(turn), q[:, 0])[:, None], q[:, 1:]], dim=1)


def library(splits: dict[str, Sequence[PoseSequence]]) -> FittedPoses:
    """Poses of sequences by split, the subset of each (the start of its name) as their source."""
    # The library asks which poses hang from bars by the name of their source; AMASS does not say which do.
    sources = [HANGING_SOURCE]
    poses, rows = [], []
    for split, sequences in splits.items():
        for sequence in sequences:
            subset = sequence.name.split("/")[0]
            if subset not in sources:
                sources.append(subset)
            poses.append(sequence.poses)
            rows += [(split, sources.index(subset))] * len(sequence.poses)
    q = facing_ahead(torch.from_numpy(np.concatenate(poses)))
    names = [name for name in SHARES if name != "plain"]
    labels = {
        "split": np.array([split for split, _ in rows]),
        "source": np.array([source for _, source in rows], np.uint8),
        "source_names": np.array(sources),
        "family": np.zeros(len(rows), np.uint32),
        "family_names": np.array(names),
    }
    kept = beyond_limits(q) <= np.radians(WORST_DEGREES)
    # Nothing was fitted, so that there is no error.
    return FittedPoses(rotation_vector(q), torch.zeros(len(q)), kept, labels)


def main(given: Arguments) -> None:
    """Read, write and say how many. Raises DataError where the folder lacks subsets for training or for tests."""
    splits = {"train": read_amass(given.folder, "train"), "test": read_amass(given.folder, "test")}
    made = library(
        {name: [each.thinned(given.rate) for each in track(sequences, name)] for name, sequences in splits.items()}
    )
    made.save(given.output)
    print(f"{len(made.kept)} poses, {int(made.kept.sum())} of them within the limits -> {given.output}")


if __name__ == "__main__":
    try:
        main(tyro.cli(Arguments, description=__doc__))
    except NbfError as error:
        sys.exit(f"amass_poses: {error}")
