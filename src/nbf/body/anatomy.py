"""Anatomical angles of the 24 joints, and how far each of them goes.

A local rotation R is split as R = swing * twist: the twist turns the child bone about its own rest axis (x for the
arms, y for everything else), the swing then tips that axis the short way. Their rotation vectors are perpendicular,
so their sum is one 3-vector, the joint's *angles*, whose x, y and z components are turns about the rest frame's axes
and read as in a clinic: flexion, abduction, axial rotation. No gimbal lock until a bone points backwards along its
rest direction.
"""

import math
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm

from nbf.body.joints import MIRROR_SMPL24
from nbf.geometry.products import atan2
from nbf.geometry.quaternions import matrix, multiply, quaternion, quaternion_from_matrix, skew

_X_TWIST = (13, 14, 16, 17, 18, 19, 20, 21, 22, 23)

# Degrees about the rest axes x, y, z; the left side, the right one is its mirror image. Signs: hip, knee and ankle
# bend about x (knee flexion, hip extension and plantar flexion positive), the trunk flexes about +x; an arm comes
# forward about -y, rises about +z and turns inwards (forearm: pronates) about +x. Ranges were set by hand to about what
# clinical tables give, widened for dancers and climbers, and because one joint here stands for several (a collar for
# the whole shoulder girdle).
LIMITS_DEGREES: dict[int, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    0: ((-180, 180), (-180, 180), (-180, 180)),
    1: ((-140, 40), (-50, 60), (-40, 85)),
    3: ((-25, 45), (-25, 25), (-25, 25)),
    4: ((-3, 155), (-25, 25), (-6, 6)),
    6: ((-20, 35), (-25, 25), (-20, 20)),
    7: ((-35, 60), (-30, 30), (-30, 30)),
    9: ((-20, 35), (-25, 25), (-20, 20)),
    10: ((-60, 35), (-8, 8), (-8, 8)),
    12: ((-40, 45), (-45, 45), (-35, 35)),
    13: ((-15, 15), (-35, 25), (-15, 40)),
    15: ((-40, 40), (-45, 45), (-30, 30)),
    16: ((-95, 95), (-140, 60), (-105, 115)),
    18: ((-85, 85), (-155, 3), (-8, 8)),
    20: ((-60, 60), (-35, 35), (-80, 75)),
    22: ((-5, 5), (-10, 10), (-40, 10)),
}


@cache
@torch.inference_mode(False)
def _limits() -> Tensor:
    table = torch.zeros(24, 3, 2)
    for joint, ranges in LIMITS_DEGREES.items():
        table[joint] = torch.tensor(ranges)
        if MIRROR_SMPL24[joint] != joint:
            x, (y0, y1), (z0, z1) = ranges
            table[MIRROR_SMPL24[joint]] = torch.tensor((x, (-y1, -y0), (-z1, -z0)))
    return torch.deg2rad(table)


def limits(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Float[Tensor, "24 3 2"]:
    """Lower and upper bound of every anatomical angle, in radians, for both sides."""
    return _limits().to(device, dtype)


_TWIST_AXES = torch.tensor([(1.0, 0, 0) if joint in _X_TWIST else (0.0, 1, 0) for joint in range(24)])
# The parts of a turn about such an axis that stay, that its cosine turns, and that its sine turns.
_ALONG = _TWIST_AXES[:, :, None] * _TWIST_AXES[:, None]
_EYE = torch.eye(3)
_ACROSS, _AROUND = _EYE - _ALONG, skew(_TWIST_AXES)


def twist_axes(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Float[Tensor, "24 3"]:
    """The rest axis about which each joint twists."""
    return _TWIST_AXES.to(device, dtype)


def angles_from_quaternion(q: Float[Tensor, "*b 24 4"]) -> Float[Tensor, "*b 24 3"]:
    """Anatomical angles in radians; see the module's text."""
    return _split(q).angles


class _Split(NamedTuple):
    """A quaternion (w, v) as swing * twist."""

    angles: Float[Tensor, "*b 24 3"]
    swing: Float[Tensor, "*b 24 3"]
    """Its rotation vector."""
    cosine: Float[Tensor, "*b 24 1"]
    """Of half the twist's angle, as the next one."""
    sine: Float[Tensor, "*b 24 1"]
    size: Float[Tensor, "*b 24 1"]
    """Cosine of half the swing's angle."""
    across: Float[Tensor, "*b 24 3"]
    """The twist's axis x v."""


def _split(q: Float[Tensor, "*b 24 4"]) -> _Split:
    w, v = q[..., :1], q[..., 1:]
    axes = _TWIST_AXES.to(q).expand(v.shape)
    along, across = (v * axes).sum(-1, keepdim=True), torch.linalg.cross(axes, v)
    size = torch.hypot(w, along).clamp_min(1e-12)
    cosine, sine = w / size, along / size
    # The product of q and the twist's inverse, whose real part is the size.
    vector = torch.addcmul(cosine * torch.addcmul(v, along, axes, value=-1), sine, across)
    length = vector_norm(vector, dim=-1, keepdim=True).clamp_min(1e-7)
    swing = vector * (2 * atan2(length, size) / length)
    twist = 2 * atan2(along, w)
    twist = twist - 2 * math.pi * torch.round(twist / (2 * math.pi))
    return _Split(torch.addcmul(swing, twist, axes), swing, cosine, sine, size, across)


def quaternion_from_angles(angles: Float[Tensor, "*b 24 3"]) -> Float[Tensor, "*b 24 4"]:
    """The inverse of `angles_from_quaternion`."""
    axes = twist_axes(angles.device, angles.dtype)
    twist = (angles * axes).sum(-1, keepdim=True) * axes
    return multiply(quaternion(angles - twist), quaternion(twist))


def angles_from_rotations(rotations: Float[Tensor, "*b 24 3 3"]) -> Float[Tensor, "*b 24 3"]:
    """Anatomical angles of local joint rotations, in radians."""
    return angles_from_quaternion(quaternion_from_matrix(rotations))


def rotations_from_angles(angles: Float[Tensor, "*b 24 3"]) -> Float[Tensor, "*b 24 3 3"]:
    """Local joint rotations of anatomical angles."""
    return matrix(quaternion_from_angles(angles))


def inverse_right_jacobian(v: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """How a rotation vector changes as its rotation turns about its own axes: d v / d t for exp(v) exp(t), at t = 0.

    Of SO(3) (Chirikjian 2012, 10.86); the inverse left Jacobian, for turns about fixed axes, is its transpose.
    """
    angle = vector_norm(v, dim=-1, keepdim=True)[..., None].clamp_min(1e-3)
    k = skew(v)
    # Near a half turn the last coefficient has a removable limit; the clamp only shortens the step there.
    factor = 1 / angle**2 - (1 + angle.cos()) / (2 * angle * angle.sin().clamp_min(1e-3))
    return torch.addcmul(torch.add(_EYE.to(v), k, alpha=0.5), factor, k @ k)


def angle_jacobian(q: Float[Tensor, "*b 24 4"]) -> Float[Tensor, "*b 24 3 3"]:
    """d angles / d delta for R <- R exp(delta), delta in the joint's own (turned) frame.

    Twist by differentiating 2 atan2(q.d, w); swing through the inverse right Jacobian of SO(3) (Chirikjian 2012,
    10.86).
    """
    return angles_and_jacobian(q)[1]


def angles_and_jacobian(
    q: Float[Tensor, "*b 24 4"],
) -> tuple[Float[Tensor, "*b 24 3"], Float[Tensor, "*b 24 3 3"]]:
    """`angles_from_quaternion` and `angle_jacobian`, which have most of their work in common."""
    angles, swing, cosine, sine, size, across = _split(q)
    axes = _TWIST_AXES.to(q)
    slope = torch.addcmul(cosine * torch.addcmul(across, q[..., :1], axes), sine, q[..., 1:]) / size.clamp_min(3e-5)
    outer = axes[..., :, None] * slope[..., None, :]
    twist = torch.addcmul(_ALONG.to(q), (cosine * cosine - sine * sine)[..., None], _ACROSS.to(q))
    twist = torch.addcmul(twist, (2 * cosine * sine)[..., None], _AROUND.to(q))
    # The twist leaves its axis where it is, so it need not turn the outer product.
    return angles, inverse_right_jacobian(swing) @ (twist - outer) + outer
