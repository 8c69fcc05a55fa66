"""How much space two closed meshes share: both are cut into columns, and each column into what lies inside of them."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

PITCH = 0.01
"""Sides of a column, metres."""


def shared_volume(
    a: Float[Tensor, "v 3"], b: Float[Tensor, "v 3"], faces: Int64[Tensor, "f 3"], pitch: float = PITCH
) -> float:
    """Volume in cubic metres that lies inside of both meshes of the same faces, counter-clockwise from outside.

    Columns run along z, `pitch` metres wide; along them the volume is exact. Inside is where the winding number is
    positive, so that limbs that sink into their own trunk count once. Columns through a mesh's openings are left out.
    """
    low = torch.maximum(a.amin(0), b.amin(0)).double()
    high = torch.minimum(a.amax(0), b.amax(0)).double()
    if not (high > low).all():
        return 0.0
    # Off the round numbers, lest an edge run through the middle of a column, which would be on both sides of it.
    origin = torch.floor(low[:2] / pitch) * pitch - pitch * torch.tensor([0.1234567, 0.2345671], dtype=torch.float64)
    size = torch.ceil((high[:2] - origin) / pitch).long()
    crossings = [_crossings(mesh.double(), faces, origin, size, pitch) for mesh in (a, b)]
    column = torch.cat([each[0] for each in crossings])
    depth = torch.cat([each[1] for each in crossings])
    steps = torch.zeros(len(column), 2, dtype=torch.float64)
    count = len(crossings[0][0])
    steps[:count, 0], steps[count:, 1] = crossings[0][2], crossings[1][2]
    cells = int(size.prod())
    total = torch.zeros(cells, 2, dtype=torch.float64).index_add_(0, column, steps)
    closed = (total == 0).all(1).index_select(0, column)
    column, depth, steps = column[closed], depth[closed], steps[closed]
    order = depth.argsort()
    order = order[column[order].argsort(stable=True)]
    column, depth = column[order], depth[order]
    # Each column ends outside of both, so that the sums of all columns together are those of each alone.
    inside = (steps[order].cumsum(0) > 0.5).all(1)[:-1] & (column[1:] == column[:-1])
    return float((depth[1:] - depth[:-1])[inside].sum()) * pitch**2


def _crossings(
    vertices: Float[Tensor, "v 3"],
    faces: Int64[Tensor, "f 3"],
    origin: Float[Tensor, "2"],
    size: Int64[Tensor, "2"],
    pitch: float,
) -> tuple[Int64[Tensor, " k"], Float[Tensor, " k"], Float[Tensor, " k"]]:
    """Where the middles of a grid's columns meet the faces: column, depth, +1 on the way in and -1 on the way out."""
    corners = vertices[faces]
    # In columns, whose middles are at whole numbers.
    flat, z = (corners[..., :2] - origin) / pitch - 0.5, corners[..., 2]
    first = flat.amin(1).ceil().long().clamp(min=0)
    last = torch.minimum(flat.amax(1).floor().long(), size - 1)
    spans = (last - first + 1).clamp(min=0)
    (x0, y0), (x1, y1), (x2, y2) = (flat[:, corner].unbind(1) for corner in range(3))
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    count = spans.prod(1) * (area != 0)
    face = torch.repeat_interleave(count)
    offset = torch.arange(len(face)) - (count.cumsum(0) - count)[face]
    x, y = first[face, 0] + offset // spans[face, 1], first[face, 1] + offset % spans[face, 1]
    weights = [
        ((x1 - x0)[face] * (y - y0[face]) - (x - x0[face]) * (y1 - y0)[face]) / area[face],
        ((x2 - x1)[face] * (y - y1[face]) - (x - x1[face]) * (y2 - y1)[face]) / area[face],
        ((x0 - x2)[face] * (y - y2[face]) - (x - x2[face]) * (y0 - y2)[face]) / area[face],
    ]
    hit = torch.stack(weights).amin(0) > 0
    depth = weights[1] * z[face, 0] + weights[2] * z[face, 1] + weights[0] * z[face, 2]
    return (x * size[1] + y)[hit], depth[hit], -area[face][hit].sign()
