"""Anatomical angles of the 24 joints, and how far each of them goes.

A local rotation R is split as R = swing * twist: the twist turns the child bone about its own rest axis (x for the
arms, y for everything else), the swing then tips that axis the short way. Their rotation vectors are perpendicular,
so their sum is one 3-vector, the joint's *angles*, whose x, y and z components are turns about the rest frame's axes
and read as in a clinic: flexion, abduction, axial rotation. No gimbal lock until a bone points backwards along its
rest direction.
"""

import math
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.joints import MIRROR_SMPL24
from nbf.geometry.quaternions import matrix, multiply, quaternion, quaternion_from_matrix, rotation_vector, skew

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
_EYE, _CONJUGATE = torch.eye(3), torch.tensor([1.0, -1, -1, -1])


def twist_axes(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Float[Tensor, "24 3"]:
    """The rest axis about which each joint twists."""
    return _TWIST_AXES.to(device, dtype)


def angles_from_quaternion(q: Float[Tensor, "*b 24 4"]) -> Float[Tensor, "*b 24 3"]:
    """Anatomical angles in radians; see the module's text."""
    return _angles(q, *_split(q))


def _split(q: Float[Tensor, "*b 24 4"]) -> tuple[Float[Tensor, "*b 24 1"], Float[Tensor, "*b 24 4"], Tensor]:
    """The part of q along the twist's axis, the twist as a quaternion, and the swing's rotation vector."""
    axes = _TWIST_AXES.to(q)
    along = (q[..., 1:] * axes).sum(-1, keepdim=True)
    twist = torch.cat([q[..., :1], along * axes], -1) / torch.hypot(q[..., :1], along).clamp_min(1e-12)
    return along, twist, rotation_vector(multiply(q, twist * _CONJUGATE.to(q)))


def _angles(q: Tensor, along: Tensor, _: Tensor, swing: Tensor) -> Float[Tensor, "*b 24 3"]:
    about = 2 * torch.atan2(along, q[..., :1])
    about = about - 2 * math.pi * torch.round(about / (2 * math.pi))
    return torch.addcmul(swing, about, _TWIST_AXES.to(q))


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
    angle = v.norm(dim=-1)[..., None, None].clamp_min(1e-3)
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
    along, twist, swing = _split(q)
    axes, w, v = _TWIST_AXES.to(q).expand(q[..., 1:].shape), q[..., :1], q[..., 1:]
    slope = w * torch.addcmul(torch.linalg.cross(axes, v), w, axes) + along * v
    outer = axes[..., :, None] * (slope / (w * w + along * along).clamp_min(1e-9))[..., None, :]
    # The twist leaves its axis where it is, so it need not turn the outer product.
    jacobian = inverse_right_jacobian(swing) @ (matrix(twist) - outer) + outer
    return _angles(q, along, twist, swing), jacobian
