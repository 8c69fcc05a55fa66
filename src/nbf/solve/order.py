"""Who hides whom: where the bodies of two people cover each other, the picture shows the parts of who is nearer."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nbf.body.model import BodyModel
from nbf.body.parts import merge_labels, merge_probabilities
from nbf.geometry import Camera
from nbf.raster import rasterize
from nbf.solve.levenberg import Block
from nbf.solve.maps import MERGED

CLEAR = 0.15
"""Difference from which it is clear which of two people the picture shows: how probable the parts are, each in the map
of whose they are, that the two bodies have in the cells that both cover."""
CELLS = 16
"""Cells of a part map that two people must both cover at least."""
ORDER_SIGMA = 0.005
"""Share of its depth by which the surface of who is hidden may lie nearer all the same."""
BETWEEN = 0.02
"""Share of its depth by which it lies farther away at least."""


class Order(NamedTuple):
    """m pairs of people of whom it is clear who hides whom."""

    front: Int64[Tensor, " m"]
    back: Int64[Tensor, " m"]
    ratio: Float[Tensor, " m"]
    """Log of the depth of the one in front over the other's, where they cover each other; medians over cells."""


def neighbours(vertices: Float[Tensor, "n v 3"]) -> Int64[Tensor, "m 2"]:
    """Pairs of people, in the camera frame, the boxes around whom overlap in the picture: no others ever meet, however
    far they are moved along their rays."""
    rays = vertices[..., :2] / vertices[..., 2:].clamp_min(1e-3)
    low, high = rays.amin(1), rays.amax(1)
    overlap = ((low[:, None] < high) & (low < high[:, None])).all(-1)
    return overlap.triu(1).nonzero()


def order(
    body: BodyModel,
    vertices: Float[Tensor, "n v 3"],
    camera: Camera,
    parts: Float[Tensor, "n 25 h h"],
    pairs: Int64[Tensor, "m 2"],
) -> Order:
    """Of n people in crops of one picture.

    Args:
        body: whose vertices they are.
        vertices: in the camera frame, metres.
        camera: each crop's, in crop sides.
        parts: each crop's part map.
        pairs: who may hide whom.
    """
    side = parts.shape[-1]
    who, rows = pairs.unique(return_inverse=True)
    if not len(who):
        return Order(who, who, parts.new_zeros(0))
    camera = camera[who]
    drawn = rasterize(camera.scaled(side).pixels_depth(vertices[who]), body.faces, side, side)
    labels = merge_labels(torch.where(drawn.mask, body.face_parts[drawn.face.clamp_min(0)], 0), MERGED)
    seen = merge_probabilities(parts[who], MERGED).gather(1, labels[:, None])[:, 0]
    found = []
    for one, other in rows.tolist():
        v, u = drawn.mask[one].nonzero().unbind(1)
        # The same rays in the other's crop.
        rays = ((torch.stack([u, v], -1) + 0.5) / side - camera.center[one]) / camera.focal[one]
        x, y = ((rays * camera.focal[other] + camera.center[other]) * side).floor().long().unbind(-1)
        inside = (x >= 0) & (x < side) & (y >= 0) & (y < side)
        x, y = x.clamp(0, side - 1), y.clamp(0, side - 1)
        both = inside & drawn.mask[other, y, x]
        if int(both.sum()) < CELLS:
            continue
        clear = float((seen[one, v, u] - seen[other, y, x])[both].mean())
        if abs(clear) > CLEAR:
            ratio = float((drawn.depth[one, v, u] / drawn.depth[other, y, x])[both].log().median())
            found.append((one, other, ratio) if clear > 0 else (other, one, -ratio))
    front, back, ratio = zip(*found) if found else ((), (), ())
    rows = torch.tensor([front, back], dtype=torch.int64)
    return Order(who[rows[0]], who[rows[1]], parts.new_tensor(ratio))


def in_order(pairs: Order, scale: Float[Tensor, "1 n"], size: int) -> Block:
    """How far who hides somebody is behind them after all, people being moved along their rays by exp(scale)."""
    front, back, ratio = pairs
    wrong = ratio + scale[0, front] - scale[0, back] + BETWEEN
    columns = scale.new_zeros(len(front), size)
    row = torch.arange(len(front))
    held = (wrong > 0).to(scale) / ORDER_SIGMA
    columns[row, front], columns[row, back] = held, -held
    return Block((wrong.clamp_min(0) / ORDER_SIGMA)[None, :, None], columns[None, :, None])
