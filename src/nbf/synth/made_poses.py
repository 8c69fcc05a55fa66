"""Everyday poses drawn from the tables of `stances`: what motion capture hardly holds."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.anatomy import limits, quaternion_from_angles
from nbf.body.joints import MIRROR_SMPL24
from nbf.geometry.quaternions import quaternion
from nbf.synth.arms import ARMS, Angles
from nbf.synth.stances import STANCES, USUAL

APART = 0.25  # how often the two arms do different things


def _table(angles: Angles) -> Float[Tensor, "24 3 2"]:
    """Mean and spread of all joints in radians; a joint that only the left side names is mirrored."""
    table = torch.zeros(24, 3, 2)
    for joint, ranges in angles.items():
        table[joint] = torch.tensor(ranges)
    for joint in angles:
        if MIRROR_SMPL24[joint] not in angles:
            table[MIRROR_SMPL24[joint]] = table[joint] * torch.tensor([[1.0, 1], [-1, 1], [-1, 1]])
    return torch.deg2rad(table)


@cache
def _tables() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Stances (s,24,3,2) with the root in row 0, their shares (s,), arms (a,24,3,2), their shares (s,a)."""
    stances = torch.stack([_table(USUAL | stance.angles) for stance in STANCES])
    stances[:, 0] = torch.deg2rad(torch.tensor([stance.root for stance in STANCES], dtype=torch.float32))
    arms = torch.stack([_table(angles) for angles in ARMS.values()])
    shares = torch.tensor([[stance.arms.get(name, 0.0) for name in ARMS] for stance in STANCES])
    return stances, torch.tensor([stance.share for stance in STANCES]), arms, shares


def made_poses(n: int, generator: torch.Generator) -> Float[Tensor, "n 24 4"]:
    """Draw n made poses as local rotations (quaternions, real part first) on the generator's device; heading zero."""
    device = generator.device
    stances, shares, arms, arm_shares = (table.to(device) for table in _tables())
    stance = torch.multinomial(shares, n, replacement=True, generator=generator)
    # Each arm is drawn by itself now and then: one hand in the pocket, the other at the ear.
    both = torch.multinomial(arm_shares[stance], 2, replacement=True, generator=generator)
    apart = torch.rand(n, generator=generator, device=device) < APART
    left, right = both[:, 0], torch.where(apart, both[:, 1], both[:, 0])
    spread = stances[stance]
    spread[:, [16, 18, 20]] = arms[left][:, [16, 18, 20]]
    spread[:, [17, 19, 21]] = arms[right][:, [17, 19, 21]]
    angles = spread[..., 0] + spread[..., 1] * torch.randn(n, 24, 3, generator=generator, device=device)
    bounds = limits(device)
    q = quaternion_from_angles(angles.clamp(bounds[..., 0], bounds[..., 1]))
    q[:, 0] = quaternion(angles[:, 0])
    return q
