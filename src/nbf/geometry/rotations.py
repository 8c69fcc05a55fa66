"""Rotation matrices: a thin layer over roma that fixes our names, shapes and numerical choices."""

import roma
import torch
from jaxtyping import Float
from torch import Tensor

# asin has an infinite slope at 1; stopping this short of it costs 0.05 degrees at exactly 180 degrees.
_ASIN_LIMIT = 1.0 - 1e-7


def matrix_from_axis_angle(axis_angle: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrices of rotation vectors (axis times angle, radians), as in AMASS and SMPL files."""
    return roma.rotvec_to_rotmat(axis_angle)


def axis_angle_from_matrix(rotations: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """Rotation vectors (axis times angle, radians, angle <= pi) of rotation matrices; exact up to 180 degrees."""
    return roma.rotmat_to_rotvec(rotations)


def project_to_rotation(matrices: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """The rotation nearest to each matrix in the Frobenius norm, with determinant +1 also for reflections.

    Special orthogonal Procrustes, as Levinson et al., "An Analysis of SVD for Deep Rotation Estimation", NeurIPS
    2020; roma damps the gradient where the nearest rotation is not unique. Half precision is computed in float32.
    """
    if matrices.dtype in (torch.float16, torch.bfloat16):
        matrices = matrices.float()
    rotations = roma.special_procrustes(matrices)
    assert isinstance(rotations, Tensor)  # roma also returns singular values when asked
    return rotations


def from_columns(columns: Float[Tensor, "*b 3 2"]) -> Float[Tensor, "*b 3 3"]:
    """The rotation whose first two columns come from these by Gram-Schmidt, the first kept in direction.

    Zhou et al., "On the Continuity of Rotation Representations in Neural Networks", CVPR 2019, equation 15.
    """
    return roma.special_gramschmidt(columns)


def geodesic_angle(a: Float[Tensor, "*b 3 3"], b: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    """Angle in radians of the rotation between two rotation matrices, with finite gradients at 0 and pi."""
    return roma.rotmat_geodesic_distance(a, b, clamping=_ASIN_LIMIT)
