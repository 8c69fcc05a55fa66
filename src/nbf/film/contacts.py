"""Which feet are on the ground, by how fast and how high they are."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.body.joints import SMPL24
from nbf.solve.steady import FEET

SLOW, FAST = 0.35, 0.7
"""Metres a second at which a foot comes down on the ground, and at which it leaves it."""
LOW, HIGH = 0.06, 0.10
"""Metres above where it would be on the ground, likewise."""
_DEPTH = 0.5
"""What is counted of speed along the line of sight, of which a picture says least."""
_PELVIS, _NECK = SMPL24.index("pelvis"), SMPL24.index("neck")


def contacts(
    joints: Float[Tensor, "t 24 3"],
    rate: float,
    rest: Float[Tensor, " 4"],
    before: Bool[Tensor, " 4"] | None = None,
) -> Bool[Tensor, "t 4"]:
    """Which of `nbf.solve.steady.FEET` are on the ground in each frame; who comes down stays until they leave.

    Args:
        joints: camera metres.
        rate: frames a second.
        rest: heights of FEET above the sole of somebody who stands, metres.
        before: the answer of the first frame, where it is known.
    """
    feet = joints[:, list(FEET)]
    if len(feet) < 2:
        return torch.zeros(len(feet), len(FEET), dtype=torch.bool) if before is None else before[None]
    (velocity,) = torch.gradient(feet, spacing=1 / rate, dim=0)
    sight = feet / feet.norm(dim=-1, keepdim=True)
    velocity = velocity - (1 - _DEPTH) * (velocity * sight).sum(-1, keepdim=True) * sight
    speed = velocity.norm(dim=-1)
    # Up, as far as people's trunks are upright over time.
    trunk = (joints[:, _NECK] - joints[:, _PELVIS]).mean(0)
    above = feet @ (trunk / trunk.norm()) - rest
    height = above - above.amin(1, keepdim=True)
    down, off = (speed < SLOW) & (height < LOW), (speed > FAST) | (height > HIGH)
    on = [down[0] if before is None else before]
    for t in range(1, len(feet)):
        on.append((on[-1] & ~off[t]) | down[t])
    return torch.stack(on)
