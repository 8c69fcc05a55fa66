"""Who hides whom: where the bodies of two people cover each other, the picture shows the one who is nearer."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.model import BodyModel
from nbf.geometry import Camera
from nbf.raster import rasterize
from nbf.solve.levenberg import Block

CLEAR = 0.4
"""Difference of two people's mean shares of the cells that both cover from which it is clear whom the picture shows."""
CELLS = 6
"""Cells of a part map that two people must both cover at least."""
ORDER_SIGMA = 0.02
"""Share of its depth by which the surface of who is hidden may lie nearer all the same."""
BETWEEN = 0.02
"""Share of its depth by which it lies farther away at least."""


class Order(NamedTuple):
    """m pairs of people of whom it is clear who hides whom."""

    front: Int64[Tensor, " m"]
    back: Int64[Tensor, " m"]
    ratio: Float[Tensor, " m"]
    """Log of the depth of the one in front over the other's, where they cover each other; medians over cells."""


@torch.no_grad()
def order(body: BodyModel, bodies: Bodies, camera: Camera, silhouettes: Float[Tensor, "n h h"]) -> Order:
    """Of n people in crops of one picture; `camera` is each crop's, in crop sides."""
    side, people = silhouettes.shape[-1], len(silhouettes)
    drawn = rasterize(camera.scaled(side).pixels_depth(bodies.posed(body).vertices), body.faces, side, side)
    grid = (torch.arange(side, device=silhouettes.device) + 0.5) / side
    rows = []
    for one in range(people):
        v, u = drawn.mask[one].nonzero().unbind(1)
        # The same rays in everybody's crop.
        rays = (torch.stack([grid[u], grid[v]], -1) - camera.center[one]) / camera.focal[one]
        cells = ((rays * camera.focal[:, None, None] + camera.center[:, None]) * side).floor().long()
        inside = ((cells >= 0) & (cells < side)).all(-1)
        x, y = cells.clamp(0, side - 1).unbind(-1)
        row = torch.arange(people, device=x.device)[:, None]
        both = inside & drawn.mask[row, y, x]
        for other in both.sum(1).ge(CELLS).nonzero()[:, 0].tolist():
            if other == one:
                continue
            here = both[other]
            mine = silhouettes[one, v, u][here]
            theirs = silhouettes[other, y[other], x[other]][here]
            if float(mine.mean() - theirs.mean()) > CLEAR:
                depth = drawn.depth[one, v, u][here] / drawn.depth[other, y[other], x[other]][here]
                rows.append((one, other, float(depth.log().median())))
    front, back, ratio = zip(*rows) if rows else ((), (), ())
    like = silhouettes
    return Order(torch.tensor(front, dtype=torch.int64), torch.tensor(back, dtype=torch.int64), like.new_tensor(ratio))


def in_order(pairs: Order, scale: Float[Tensor, "1 n"], size: int) -> Block:
    """How far who hides somebody is behind them after all, people being moved along their rays by exp(scale)."""
    front, back, ratio = pairs
    wrong = ratio + scale[0, front] - scale[0, back] + BETWEEN
    columns = scale.new_zeros(len(front), size)
    row = torch.arange(len(front))
    held = (wrong > 0).to(scale) / ORDER_SIGMA
    columns[row, front], columns[row, back] = held, -held
    return Block((wrong.clamp_min(0) / ORDER_SIGMA)[None, :, None], columns[None, :, None])
