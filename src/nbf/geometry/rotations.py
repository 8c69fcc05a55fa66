"""Rotation matrices: to and from rotation vectors, the nearest one, the one of two columns, the angle between two."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.geometry.quaternions import matrix, quaternion, quaternion_from_matrix, rotation_vector

# asin has an infinite slope at 1; stopping this short of it costs 0.05 degrees at exactly 180 degrees.
_ASIN_LIMIT = 1.0 - 1e-7
# Pairwise sums of singular values that are not much larger than this leave the nearest rotation open; its slope,
# their inverse, is damped there.
_OPEN = 1e-5


def matrix_from_axis_angle(axis_angle: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrices of rotation vectors (axis times angle, radians), as in AMASS and SMPL files."""
    return matrix(quaternion(axis_angle))


def axis_angle_from_matrix(rotations: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """Rotation vectors (axis times angle, radians, angle <= pi) of rotation matrices; exact up to 180 degrees."""
    return rotation_vector(quaternion_from_matrix(rotations))


def project_to_rotation(matrices: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """The rotation nearest to each matrix in the Frobenius norm, with determinant +1 also for reflections.

    Special orthogonal Procrustes, as Levinson et al., "An Analysis of SVD for Deep Rotation Estimation", NeurIPS
    2020. Where the nearest rotation is not unique one of them is taken, and the gradient is damped. Half precision is
    computed in float32.
    """
    if matrices.dtype in (torch.float16, torch.bfloat16):
        matrices = matrices.float()
    rotations = _Nearest.apply(matrices)
    assert isinstance(rotations, Tensor)
    return rotations


def from_columns(columns: Float[Tensor, "*b 3 2"]) -> Float[Tensor, "*b 3 3"]:
    """The rotation whose first two columns come from these by Gram-Schmidt, the first kept in direction.

    Zhou et al., "On the Continuity of Rotation Representations in Neural Networks", CVPR 2019, equation 15.
    """
    first, second = columns.unbind(-1)
    first = first / first.norm(dim=-1, keepdim=True)
    second = second - (first * second).sum(dim=-1, keepdim=True) * first
    second = second / second.norm(dim=-1, keepdim=True)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def geodesic_angle(a: Float[Tensor, "*b 3 3"], b: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    """Angle in radians of the rotation between two rotation matrices, with finite gradients at 0 and pi.

    From their distance, |a - b| = sqrt(8) sin(angle / 2) in the Frobenius norm, which is exact also for tiny angles.
    """
    sine = torch.linalg.matrix_norm(a - b) / math.sqrt(8)
    return 2 * torch.asin(sine.clamp(max=_ASIN_LIMIT))


class _Nearest(torch.autograd.Function):
    """U diag(1, 1, det(U V^T)) V^T of the singular value decomposition, with a gradient that stays finite.

    With signed singular values d, R = U V^T and dM = U A V^T the change is dR = U Z V^T, where
    Z_kl = (A_kl - A_lk) / (d_k + d_l).
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, matrices: Tensor) -> Tensor:
        u, d, vt = torch.linalg.svd(matrices)
        proper = torch.where(torch.linalg.det(u @ vt) < 0, -1.0, 1.0)
        signs = torch.stack([torch.ones_like(proper), torch.ones_like(proper), proper], dim=-1).to(d)
        u, d = u * signs[..., None, :], d * signs
        ctx.save_for_backward(u, d, vt)
        return u @ vt

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        u, d, vt = ctx.saved_tensors
        sums = d[..., :, None] + d[..., None, :]
        with torch.autocast(u.device.type, enabled=False):
            inner = u.mT @ gradients[0] @ vt.mT
            return u @ ((inner - inner.mT) * sums / (sums.square() + _OPEN**2)) @ vt
