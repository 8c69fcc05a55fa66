"""The bases of poses that lifting builds on (`nbf.solve.lifting`), learnt from the training poses.

    python tools/bake_pose_basis.py [--poses runs/cache/poses.npz] [-o src/nbf/assets/pose_basis.safetensors]

Draws poses of the library's training split, poses the average body by them, turns them onto their mean and learns two
dictionaries: one of deviations from the mean, one of whole poses with positive factors. Some minutes on one core.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.body.landmarks import Landmarks, place
from nbf.errors import NbfError
from nbf.solve.lifting.basis import ASSET, PoseBasis, bones, mirrored, turned_onto
from nbf.solve.lifting.limits import OF_CHAINS, held, spread_out
from nbf.solve.lifting.sparse import sparse_codes
from nbf.synth.poses import FILE, PoseLibrary

POSES = 20000
ATOMS = 64
"""Of each dictionary, before their mirror images are added (Zhou et al. 2016 take 64 or 128)."""
HELD = 400
"""Ways to hold each kind of limb that stand for all."""
# Of the L1 penalties, shares of the mean length of what is coded.
_PENALTY = 0.03
_ROUNDS, _STEPS = 25, 40


@dataclass(frozen=True)
class Arguments:
    """Learn the bases of poses."""

    poses: Annotated[Path, tyro.conf.arg(metavar="NPZ")] = FILE
    """What tools/fit_poses.py wrote."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="SAFETENSORS")] = ASSET
    """Where the bases go."""


def drawn(path: Path, count: int, generator: torch.Generator) -> Float[Tensor, "n 41 3"]:
    """Training poses of the average body: 41 points relative to the pelvis, metres."""
    body = load_body("anny24")
    points = Landmarks.keypoints(body, "coco17") + Landmarks.keypoints(body, "smpl24")
    found = []
    for rotations in PoseLibrary.load(path).sample(count, generator).split(1000):
        nobody = torch.zeros(len(rotations), 3)
        betas = torch.zeros(len(rotations), body.shape_count)
        found.append(place(points, Bodies(betas, rotations, nobody), jacobian=False).points)
    return torch.cat(found)


def aligned(points: Float[Tensor, "n 41 3"]) -> tuple[Float[Tensor, "n 41 3"], Float[Tensor, "41 3"]]:
    """Poses turned onto their mean, which is its own mirror image (Gower 1975, "Generalized Procrustes analysis")."""
    mean = points.mean(0)
    for _ in range(20):
        points = turned_onto(points, mean)
        mean = points.mean(0)
        mean = (mean + mirrored(mean)) / 2
    return points, mean


def learnt(
    poses: Float[Tensor, "n 41 3"], positive: bool, generator: torch.Generator
) -> tuple[Float[Tensor, "k 41 3"], float]:
    """A dictionary that holds the mirror image of each of its members, and the mean error that its codes leave, metres.

    Codes and members in turn: sparse codes, then the members that fit them best in least squares (Engan et al. 1999,
    "Method of optimal directions"). The mirror image of a pose has the codes of the pose with left and right exchanged,
    and so the members stay mirror images of each other.
    """
    penalty = _PENALTY * float(poses.flatten(1).norm(dim=1).mean())
    first = poses[torch.randperm(len(poses), generator=generator)[:ATOMS]]
    atoms = _unit(torch.cat([first, mirrored(first)]))
    swapped = torch.arange(2 * ATOMS).roll(ATOMS)
    codes = None
    for _ in range(_ROUNDS):
        features = atoms.flatten(1).T[None]
        codes = sparse_codes(features, poses.flatten(1), penalty, _STEPS, start=codes, positive=positive)
        gram, cross = codes.T @ codes, codes.T @ poses.flatten(1)
        gram = gram + gram[swapped][:, swapped]
        back = mirrored(cross.unflatten(1, (41, 3)))[swapped]
        cross = cross + back.flatten(1)
        gram = gram + 1e-4 * gram.diagonal().mean() * torch.eye(len(gram))
        atoms = torch.linalg.solve(gram, cross).unflatten(1, (41, 3))
        # Members that nobody uses start anew as a pose.
        idle = (codes != 0).float().mean(0)
        idle = (idle + idle[swapped] < 2e-3)[:ATOMS]
        fresh = poses[torch.randperm(len(poses), generator=generator)[:ATOMS]]
        atoms = torch.where(idle[:, None, None], fresh, atoms[:ATOMS])
        atoms = _unit(torch.cat([atoms, mirrored(atoms)]))
    assert codes is not None
    codes = sparse_codes(atoms.flatten(1).T[None], poses.flatten(1), penalty, _STEPS, start=codes, positive=positive)
    left = (codes @ atoms.flatten(1)).unflatten(1, (41, 3)) - poses
    print(f"{(codes != 0).sum(1).float().mean():.1f} of {len(atoms)} members a pose")
    return atoms, float(left.norm(dim=-1).mean())


def _unit(atoms: Float[Tensor, "k 41 3"]) -> Float[Tensor, "k 41 3"]:
    return atoms / atoms.flatten(1).norm(dim=1)[:, None, None].clamp_min(1e-9)


def main(given: Arguments) -> None:
    """Learn, write and say how well the dictionaries code."""
    generator = torch.Generator().manual_seed(0)
    poses, mean = aligned(drawn(given.poses, POSES, generator))
    deviations, error = learnt(poses - mean, False, generator)
    print(f"deviations: mean error {1000 * error:.0f} mm")
    shapes, error = learnt(poses, True, generator)
    print(f"shapes: mean error {1000 * error:.0f} mm")
    ways = held(poses)
    kinds = torch.tensor(OF_CHAINS)
    limbs, reach = zip(*(spread_out(ways[:, kinds == kind].flatten(0, 1), HELD) for kind in range(4)))
    lengths = bones(poses[0]).norm(dim=-1)
    basis = PoseBasis(mean, lengths, deviations, shapes, torch.stack(limbs), torch.stack(reach))
    basis.save(given.output)
    print(f"{given.output}: {given.output.stat().st_size / 1000:.0f} kB; reach {[round(float(r), 2) for r in reach]}")


if __name__ == "__main__":
    try:
        main(tyro.cli(Arguments, description=__doc__))
    except NbfError as error:
        sys.exit(f"bake_pose_basis: {error}")
