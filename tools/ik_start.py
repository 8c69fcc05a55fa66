"""A first guess for inverse kinematics, read off the bone directions: hinges bend the way knees and elbows do."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.geometry.quaternions import matrix, quaternion, quaternion_from_matrix, rotation_vector

PELVIS, CHEST, HEAD = 0, 9, 15
_ARMS = ((16, 18, 20, 1.0), (17, 19, 21, -1.0))
_LEGS = ((1, 4, 7, 10), (2, 5, 8, 11))


def unit(v: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    """v over its length; zero stays zero."""
    return torch.nn.functional.normalize(v, dim=-1)


def _frame(first: Float[Tensor, "n 3"], second: Float[Tensor, "n 3"], axes: tuple[int, int]) -> Float[Tensor, "n 3 3"]:
    """The rotation whose column axes[0] is `first` and whose column axes[1] lies towards `second`."""
    i, j = axes
    a = unit(first)
    b = unit(second - (second * a).sum(-1, keepdim=True) * a)
    columns = [a, a, a]
    columns[j] = b
    sign = 1.0 if (i, j) in ((0, 1), (1, 2), (2, 0)) else -1.0
    columns[3 - i - j] = sign * torch.cross(a, b, dim=-1)
    return torch.stack(columns, -1)


def _flexion(upper: Float[Tensor, "n 3"], lower: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
    return torch.atan2(torch.cross(upper, lower, dim=-1).norm(dim=-1), (upper * lower).sum(-1))


def first_guess(
    joints: Float[Tensor, "n 22 3"],
    face: Float[Tensor, "n 3"],
    face_known: Float[Tensor, " n"],
    toes_known: Float[Tensor, " n"],
) -> Float[Tensor, "n 24 4"]:
    """Local rotations that reproduce the limbs' directions, as quaternions.

    Args:
        joints: hips, knees, ankles, shoulders, elbows and wrists are needed; toe bases where known.
        face: the direction in which the head looks.
        face_known: 1 or 0.
        toes_known: 1 or 0.
    """
    n = len(joints)
    q = torch.zeros(n, 24, 4).to(joints)
    q[..., 0] = 1
    up = (joints[:, 16] + joints[:, 17] - joints[:, 1] - joints[:, 2]) / 2
    root = _frame(joints[:, 1] - joints[:, 2], up, (0, 1))
    chest = _frame(up, joints[:, 16] - joints[:, 17], (1, 0))
    q[:, 0] = quaternion_from_matrix(root)
    trunk = rotation_vector(quaternion_from_matrix(root.transpose(1, 2) @ chest))
    q[:, [3, 6, 9]] = quaternion(trunk / 3)[:, None]

    looks = torch.where(face_known[:, None] > 0, face, chest[..., 2])
    head = _frame(looks, chest[..., 1], (2, 1))
    turn = rotation_vector(quaternion_from_matrix(chest.transpose(1, 2) @ head))
    # Looking along the trunk leaves the head's roll open: never start it beyond what a neck does.
    turn = turn * (1.5 / turn.norm(dim=-1, keepdim=True).clamp_min(1.5))
    q[:, [12, 15]] = quaternion(turn / 2)[:, None]

    for shoulder, elbow, wrist, side in _ARMS:
        upper, lower = unit(joints[:, elbow] - joints[:, shoulder]), unit(joints[:, wrist] - joints[:, elbow])
        rest = torch.tensor([side, 0.0, 0.0]).to(joints).expand(n, 3)
        straight = (chest.transpose(1, 2) @ upper[..., None]).squeeze(-1)
        axis = unit(torch.cross(rest, straight, dim=-1))
        swing = matrix(quaternion(axis * _flexion(rest, straight)[:, None]))
        hinge = -side * torch.cross(upper, lower, dim=-1)
        # A straight arm has no bend plane: there the shoulder swings without twisting.
        hinge = hinge + 0.15 * (chest @ swing)[..., 1]
        local = chest.transpose(1, 2) @ _frame(side * upper, hinge, (0, 1))
        q[:, shoulder] = quaternion_from_matrix(local)
        bend = torch.zeros_like(upper)
        bend[:, 1] = -side * _flexion(upper, lower)
        q[:, elbow] = quaternion(bend)

    for hip, knee, ankle, toe in _LEGS:
        upper, lower = unit(joints[:, knee] - joints[:, hip]), unit(joints[:, ankle] - joints[:, knee])
        forward = torch.where(toes_known[:, None] > 0, unit(joints[:, toe] - joints[:, ankle]), root[..., 2])
        hinge = torch.cross(upper, lower, dim=-1)
        hinge = hinge + 0.15 * unit(torch.cross(-lower, forward, dim=-1)) + 0.05 * root[..., 0]
        q[:, hip] = quaternion_from_matrix(root.transpose(1, 2) @ _frame(-upper, hinge, (1, 0)))
        bend = torch.zeros_like(upper)
        bend[:, 0] = _flexion(upper, lower).clamp(max=math.radians(165))
        q[:, knee] = quaternion(bend)
    return q
