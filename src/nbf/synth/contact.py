"""How deep limbs sink into the body, by capsules about the bones: cheap enough to judge every mixed pose."""

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.model import pose_joints
from nbf.geometry.quaternions import matrix

# (joint, joint, share of the way): the spots of arms and legs that are looked at.
_ARM_SPOTS = (
    (18, 20, 0.0),
    (18, 20, 0.5),
    (20, 22, 0.0),
    (20, 22, 1.0),
    (19, 21, 0.0),
    (19, 21, 0.5),
    (21, 23, 0.0),
    (21, 23, 1.0),
)
_LEG_SPOTS = {
    0: ((1, 4, 0.6), (4, 7, 0.0), (4, 7, 0.5), (4, 7, 1.0)),
    1: ((2, 5, 0.6), (5, 8, 0.0), (5, 8, 0.5), (5, 8, 1.0)),
}
# Capsules (joint, joint, radius in metres) of an average adult, a little thinner than the flesh, which gives way.
_TRUNK = ((0, 9, 0.10), (6, 12, 0.10), (12, 15, 0.06), (15, 15, 0.09))
_LEGS = {0: ((1, 4, 0.065), (4, 7, 0.045)), 1: ((2, 5, 0.065), (5, 8, 0.045))}


def _spots(places: Tensor, spots: tuple[tuple[int, int, float], ...]) -> Tensor:
    return torch.stack([places[:, a] * (1 - s) + places[:, b] * s for a, b, s in spots], 1)


def _depths(points: Tensor, places: Tensor, capsules: tuple[tuple[int, int, float], ...]) -> Tensor:
    total = torch.zeros_like(points[:, 0, 0])
    for a, b, radius in capsules:
        start, axis = places[:, a, None], (places[:, b] - places[:, a])[:, None]
        share = ((points - start) * axis).sum(-1, keepdim=True) / (axis * axis).sum(-1, keepdim=True).clamp_min(1e-9)
        distance = (points - start - share.clamp(0, 1) * axis).norm(dim=-1)
        total = total + (radius - distance).clamp_min(0).sum(1)
    return total


def sunk(q: Float[Tensor, "n 24 4"], rest: Float[Tensor, "24 3"]) -> Float[Tensor, " n"]:
    """Summed depth in metres of arms in trunk, head and legs, and of each leg in the other and in the trunk.

    Args:
        q: local rotations as quaternions, real part first.
        rest: the rest joints of the body, metres.
    """
    _, places = pose_joints(rest.expand(len(q), 24, 3), matrix(q), q.new_zeros(len(q), 3))
    arms = _spots(places, _ARM_SPOTS)
    depth = _depths(arms, places, _TRUNK) + _depths(arms, places, _LEGS[0] + _LEGS[1])
    for side in (0, 1):
        legs = _spots(places, _LEG_SPOTS[side])
        depth = depth + _depths(legs, places, _LEGS[1 - side]) + _depths(legs[:, 1:], places, _TRUNK)
    return depth
