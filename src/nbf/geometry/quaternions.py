"""Unit quaternions, real part first; q and -q are the same rotation."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm

from nbf.geometry.products import atan2

# Four rows of four sums: 4 q q^T less the identity, of the entries of a rotation matrix (Markley 2008).
_MARKLEY = """
+xx+yy+zz  +zy-yz     +xz-zx     +yx-xy
+zy-yz     +xx-yy-zz  +xy+yx     +xz+zx
+xz-zx     +xy+yx     -xx+yy-zz  +yz+zy
+yx-xy     +xz+zx     +yz+zy     -xx-yy+zz
"""


def _sums_of_entries(text: str) -> Float[Tensor, "9 n"]:
    """The matrix that makes n sums of the nine entries xx, xy, .. zz."""
    sums = text.split()
    table = torch.zeros(9, len(sums))
    for column, entries in zip(table.T, sums):
        for sign, row, of_row in zip(entries[::3], entries[1::3], entries[2::3]):
            column["xyz".index(row) * 3 + "xyz".index(of_row)] = float(f"{sign}1")
    return table


_SUMS, _EYE3, _EYE4 = _sums_of_entries(_MARKLEY), torch.eye(3), torch.eye(4)
# The matrix of `v x .`: which entry of v, and its sign.
_SKEW, _SKEW_SIGN = torch.tensor([0, 2, 1, 2, 0, 0, 1, 0, 0]), torch.tensor([0.0, -1, 1, 1, 0, -1, -1, 1, 0])


def quaternion(axis_angle: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternions of rotation vectors (axis times angle, radians)."""
    half = vector_norm(axis_angle, dim=-1, keepdim=True) / 2
    return torch.cat([torch.cos(half), axis_angle * torch.sinc(half / math.pi) / 2], -1)


def rotation_vector(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3"]:
    """Axis times angle of unit quaternions, the short way (at most pi)."""
    q = torch.where(q[..., :1] < 0, -q, q)
    # Not less than what is nearly no turn at all, where the ratio of angle and sine has its limit.
    sine = vector_norm(q[..., 1:], dim=-1, keepdim=True).clamp_min(1e-7)
    return q[..., 1:] * (2 * atan2(sine, q[..., :1]) / sine)


def quaternion_from_matrix(rotations: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternions of rotation matrices.

    Markley, "Unit quaternion from rotation matrix", JGCD 31(2), 2008: the rows of 4 q q^T are linear in the matrix; the
    one with the largest diagonal entry is normalised, so that nothing is divided by what may vanish.
    """
    with torch.autocast(rotations.device.type, enabled=False):  # half precision is too little
        rows = rotations.flatten(-2) @ _SUMS.to(rotations)
    rows = rows.unflatten(-1, (4, 4)) + _EYE4.to(rotations)
    _, best = rows.diagonal(dim1=-2, dim2=-1).max(dim=-1, keepdim=True)  # ten times as fast as argmax
    row = rows.gather(-2, best[..., None].expand(*best.shape, 4))[..., 0, :]
    return row / vector_norm(row, dim=-1, keepdim=True)


def matrix(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrices of unit quaternions."""
    w, v = q[..., :1, None], q[..., 1:]
    eye = _EYE3.to(q)
    # The square of skew(v), entry by entry: autocast would make a matrix product of it in half precision.
    squared = v[..., :, None] * v[..., None, :] - v.square().sum(-1)[..., None, None] * eye
    return eye + 2 * (w * skew(v) + squared)


def multiply(a: Float[Tensor, "*b 4"], b: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 4"]:
    """Hamilton product."""
    w, u = a[..., :1], a[..., 1:]
    s, v = b[..., :1], b[..., 1:]
    return torch.cat([w * s - (u * v).sum(-1, keepdim=True), w * v + s * u + torch.linalg.cross(u, v)], -1)


def skew(v: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """The matrix of `v x .`."""
    return (v.index_select(-1, _SKEW.to(v.device)) * _SKEW_SIGN.to(v)).unflatten(-1, (3, 3))
