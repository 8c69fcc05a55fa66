"""The locator: a whole picture -> boxes around people."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from nbf.nets.movenet import MoveNet, head

INPUT_SIZE = 256
STRIDE = 4
# Prior probability of a centre at the start of training: Lin et al. 2017, "Focal loss", section 3.3.
CENTER_PRIOR = 0.01
MAX_PEOPLE = 100
MIN_SCORE = 0.3
"""Probability from which on somebody counts as found."""
OVERLAP = 0.55
"""Intersection over union from which on two boxes are one person's."""


class LocatorOutput(NamedTuple):
    """center: logits of "a person's box has its centre in this cell". box: distances from the cell's centre to the
    left, top, right and bottom side of that person's box, in units of the input's side."""

    center: Float[Tensor, "b 1 h w"]
    box: Float[Tensor, "b 4 h w"]


class Locator(nn.Module):
    """MoveNet's features, and per cell whether a person's box has its centre there, and how far its sides are.

    Zhou et al. 2019, "Objects as points": centre map, size and offset of boxes. Takes RGB in [0, 1], `(b, 3, h, w)`,
    sides multiples of 32 (trained at 256, the picture padded to a square).
    """

    def __init__(self, width: float = 1.5) -> None:
        super().__init__()
        self.arguments = {"width": width}
        self.features = MoveNet(width)
        self.center, self.size, self.offset = head(1), head(2), head(2)
        nn.init.constant_(self.center.get_parameter("1.bias"), math.log(CENTER_PRIOR / (1.0 - CENTER_PRIOR)))
        nn.init.constant_(self.size.get_parameter("1.bias"), INPUT_SIZE / STRIDE / 4)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> LocatorOutput:
        features = self.features(image)
        center, size, offset = (head(features).float() for head in (self.center, self.size, self.offset))
        # MoveNet counts in cells, height before width, from a cell's corner.
        half, offset = size.flip(1) / 2, offset.flip(1) - 0.5
        cells = offset.new_tensor([center.shape[-1], center.shape[-2]]).view(1, 2, 1, 1)
        return LocatorOutput(center, torch.cat([half - offset, half + offset], dim=1) / cells.repeat(1, 2, 1, 1))


def cell_centers(height: int, width: int, device: torch.device | None = None) -> Float[Tensor, "2 h w"]:
    """x, y of every cell's centre in units of the input's width and height."""
    y = (torch.arange(height, device=device) + 0.5) / height
    x = (torch.arange(width, device=device) + 0.5) / width
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])


def boxes_from_distances(box: Float[Tensor, "b 4 h w"]) -> Float[Tensor, "b 4 h w"]:
    """Distances l, t, r, b -> x0, y0, x1, y1 in units of the input's side."""
    center = cell_centers(*box.shape[-2:], device=box.device)
    return torch.cat([center - box[:, :2], center + box[:, 2:]], dim=1)


def locate_both_ways(locator: Callable[[Tensor], LocatorOutput], image: Float[Tensor, "b 3 h w"]) -> LocatorOutput:
    """What a locator sees in pictures, the mean over both ways to look at them: as they are and mirrored."""
    output = locator(torch.cat([image, image.flip(-1)]))
    (center, mirrored_center), (box, mirrored_box) = output.center.chunk(2), output.box.chunk(2)
    # Left and right are the first and the third distance.
    back = mirrored_box.flip(-1)[:, [2, 1, 0, 3]]
    return LocatorOutput((center + mirrored_center.flip(-1)) / 2, (box + back) / 2)


def decode(
    output: LocatorOutput, threshold: float = MIN_SCORE, *, overlap: float = OVERLAP
) -> list[tuple[Float[Tensor, "n 4"], Float[Tensor, " n"]]]:
    """Boxes (x0, y0, x1, y1 in [0, 1] of the input, best first) and scores of each picture of the batch.

    Cells that are the highest of their 5x5 neighbours and at least `threshold`, then non-maximum suppression of boxes
    that overlap a better one by more than `overlap` (intersection over union).
    """
    score = output.center.sigmoid()
    peak = (score == F.max_pool2d(score, 5, 1, 2)) & (score >= threshold)
    boxes = boxes_from_distances(output.box).clamp(0.0, 1.0)
    people = []
    for kept, scores, corners in zip(peak[:, 0], score[:, 0], boxes, strict=True):
        best, order = scores[kept].sort(descending=True, stable=True)
        candidates = corners[:, kept].T[order][:MAX_PEOPLE]
        alive = suppress(candidates, overlap)
        people.append((candidates[alive], best[:MAX_PEOPLE][alive]))
    return people


def suppress(boxes: Float[Tensor, "n 4"], overlap: float) -> Tensor:
    """Mask (n,) of the boxes, sorted best first, that no better surviving box overlaps by more than `overlap`."""
    return survivors(box_iou(boxes, boxes) > overlap)


def survivors(same: Bool[Tensor, "n n"]) -> Bool[Tensor, " n"]:
    """Of n detections, sorted best first, those that are not the `same` as a better one that survives."""
    alive = torch.ones(len(same), dtype=torch.bool, device=same.device)
    for index in range(len(same)):
        alive[index + 1 :] &= ~(same[index, index + 1 :] & alive[index])
    return alive


def box_iou(a: Float[Tensor, "n 4"], b: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Intersection over union of every pair of boxes x0, y0, x1, y1."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area = lambda box: (box[:, 2:] - box[:, :2]).clamp(min=0).prod(-1)  # noqa: E731
    return shared / (area(a)[:, None] + area(b)[None] - shared).clamp(min=1e-9)
