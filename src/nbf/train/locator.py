"""Training the locator on whole pictures with boxes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf import losses
from nbf.nets.locator import Locator, boxes_from_distances, cell_centers
from nbf.train.batch import Batch

# Gaussian of a centre, as a share of the box's side (Liu et al. 2020, "Training-time-friendly network", section 3.2:
# alpha = 0.54, sigma = alpha * side / 6), and its least width in cells.
SIGMA, LEAST_SIGMA = 0.54 / 6.0, 0.6


@dataclass(frozen=True)
class LocatorWeights:
    """Weights of the locator's losses."""

    center: float = 1.0
    """Focal loss of the centre map."""
    box: float = 2.0
    """1 - GIoU of boxes."""
    distance: float = 1.0
    """L1 of log distances, which small boxes need as much as large ones."""


class LocatorTask:
    """Centre map and boxes: every cell near a centre learns its person's box (as TTFNet).

    Cells in boxes to `ignore` learn nothing of centres, unless they are in somebody's box as well.
    """

    def __init__(self, network: Locator, weights: LocatorWeights) -> None:
        self.network = network
        self.weights = weights

    def losses(self, network: Callable, batch: Batch) -> dict[str, Tensor]:
        output = network(batch["image"])
        boxes, valid = batch["boxes"], batch["valid"]
        heat, owner = center_targets(boxes, valid, output.center.shape[-1])
        focal = losses.center_focal(output.center, heat[:, None])[:, 0]
        index = owner.flatten(1)[..., None].expand(-1, -1, 4)
        true = boxes.gather(1, index)
        predicted = boxes_from_distances(output.box).flatten(2).mT
        near = torch.where(heat > 0.1, heat, 0.0).flatten(1)
        centers = cell_centers(*heat.shape[-2:], device=heat.device).flatten(1).T
        distances = torch.cat([centers - true[..., :2], true[..., 2:] - centers], dim=-1)
        inside = near * (distances > 0).all(-1)
        known = ~inside_any(centers, boxes, batch["ignore"]) | inside_any(centers, boxes, valid)
        logs = (output.box.flatten(2).mT.clamp(min=1e-3).log() - distances.clamp(min=1e-3).log()).abs().mean(-1)
        return {
            "center": self.weights.center * (focal.flatten(1) * known).sum() / valid.sum().clamp(min=1),
            "box": self.weights.box * losses.weighted_mean(losses.box_giou(predicted, true), near),
            "distance": self.weights.distance * losses.weighted_mean(logs, inside),
        }


def inside_any(
    points: Float[Tensor, "p 2"], boxes: Float[Tensor, "b m 4"], chosen: Bool[Tensor, "b m"]
) -> Bool[Tensor, "b p"]:
    """Whether points lie in one of the chosen boxes of each picture."""
    low, high = points >= boxes[:, :, None, :2], points <= boxes[:, :, None, 2:]
    return ((low & high).all(-1) & chosen[..., None]).any(1)


def center_targets(
    boxes: Float[Tensor, "b m 4"], valid: Bool[Tensor, "b m"], size: int
) -> tuple[Float[Tensor, "b size size"], Tensor]:
    """Heat (1 in the cell of each centre, Gaussian around it) and the row (b, size, size) of the box that owns a cell.

    Where people overlap the smaller box owns the cell, as its centre region is the smaller.
    """
    center = (boxes[..., :2] + boxes[..., 2:]) / 2 * size
    sigma = ((boxes[..., 2:] - boxes[..., :2]) * size * SIGMA).clamp(min=LEAST_SIGMA)
    cell = center.floor().clamp(0, size - 1)
    index = torch.arange(size, device=boxes.device, dtype=boxes.dtype)
    column = torch.exp(-0.5 * ((index - cell[..., :1]) / sigma[..., :1]) ** 2)
    row = torch.exp(-0.5 * ((index - cell[..., 1:]) / sigma[..., 1:]) ** 2)
    heat = row[..., :, None] * column[..., None, :] * valid[..., None, None]
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    # Among the boxes that reach a cell noticeably, the smallest; elsewhere the one that reaches it most.
    claim = torch.where(heat > 0.1, 2.0 - area[..., None, None].clamp(max=1.0), heat)
    return heat.amax(1), claim.argmax(1)
