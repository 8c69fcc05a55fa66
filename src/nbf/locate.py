"""Where people are in a picture: the whole of it first, then a closer look where people are small."""

import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from nbf.geometry import Crop
from nbf.nets.locator import INPUT_SIZE, MIN_SCORE, OVERLAP, decode, suppress
from nbf.questions import Line, Look

SMALL = 0.25
"""Longer side of a person, over that of the look at them, below which a closer look decides."""
SUSPECT = 0.1
"""Score from which on a small person is worth a closer look."""
LEAST_SIDE = 128
"""Side of the closest looks, pixels of the picture."""
# Distance to the border of a look, in its sides, at which that border is taken to cut somebody.
_CUT = 0.02
# Looks in one question; bounds memory.
_BATCH = 16

CUT_OFF = 1.5
"""Height over width that a person's box is taken to have at least where the picture's lower edge cuts it."""

Image = UInt8[Tensor, "3 height width"] | Float[Tensor, "3 height width"]


def framed(boxes: Float[Tensor, "n 4"], height: int) -> Crop:
    """The crops in which people in boxes of a picture so many pixels high are looked at.

    Of who is cut off at the chest a crop around the box would show a head and shoulders, larger than the networks ever
    saw any: they take what they see for a whole body that crouches. So boxes that end with the picture and are wide
    (`CUT_OFF`) get room below for some of what is missing, at most as much as there is; there the crop is black.
    """
    x0, y0, x1, y1 = boxes.unbind(-1)
    wide, high = x1 - x0, y1 - y0
    ends = y1 >= height - _CUT * torch.maximum(wide, high)
    low = torch.where(ends, y0 + torch.maximum(high, torch.minimum(CUT_OFF * wide, 2 * high)), y1)
    return Crop.from_boxes(torch.stack([x0, y0, x1, low], -1), INPUT_SIZE)


def locate(image: Image, min_score: float = MIN_SCORE) -> Line[tuple[Float[Tensor, "n 4"], Float[Tensor, " n"]]]:
    """Boxes (x0, y0, x1, y1 in pixels, inside of the picture) and scores of at least `min_score`, surest first.

    The first look is at the whole picture, as one square with black around. Where it shows somebody small (`SMALL`),
    squares of half the side are looked at: those of a grid that have the small ones in their middle. What they show
    replaces the small ones, and is looked at closer in turn. Where nobody is large, a suspicion (`SUSPECT`) is enough
    for a closer look, and a picture whose grid still has the resolution of the network is looked at all over. Whom the
    border of a look cuts is left to a look that shows them whole.

    So photos of large people cost one look, and one more for each place with small people; a crowd as many as it has
    places; a large picture of nobody ten.

    Args:
        image: the picture, uint8 or [0, 1].
        min_score: probability from which on somebody counts.
    """
    height, width = image.shape[-2:]
    looks = Crop(torch.tensor([[width / 2, height / 2]]), torch.tensor([float(max(height, width))]), INPUT_SIZE)
    everybody: list[tuple[Tensor, Tensor]] = []
    while len(looks.size):
        boxes, scores = yield from _seen(image, looks, min(SUSPECT, min_score))
        closer = _grid(width, height, float(looks.size[0]) / 2)
        small = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1) < SMALL * looks.size[0]
        nobody_large = not everybody and not (scores[~small] >= min_score).any()
        if not everybody and not nobody_large:
            small &= scores >= min_score
        if closer.size[0] < LEAST_SIDE:
            small[:] = False
        everybody.append((boxes[~small], scores[~small]))
        looks = closer if nobody_large and closer.size[0] >= INPUT_SIZE else _around(closer, boxes[small])
    boxes, scores = (torch.cat(values) for values in zip(*everybody))
    scores, order = scores.sort(descending=True, stable=True)
    # What lies in the black border only is nobody, and a crop needs an extent.
    kept = (scores >= min_score) & ((boxes[order, 2:] - boxes[order, :2]).amin(dim=1) >= 1)
    boxes, scores = boxes[order][kept], scores[kept]
    alive = suppress(boxes, OVERLAP)
    return boxes[alive], scores[alive]


def _seen(image: Image, looks: Crop, threshold: float) -> Line[tuple[Float[Tensor, "n 4"], Float[Tensor, " n"]]]:
    """Whom some looks at a picture show whole: boxes in pixels, inside of the picture, and scores."""
    height, width = image.shape[-2:]
    picture, inwards = torch.tensor([0.0, 0.0, width, height]), torch.tensor([1.0, 1.0, -1.0, -1.0])
    boxes, scores = [], []
    for center, size in zip(looks.center.split(_BATCH), looks.size.split(_BATCH)):
        output = yield Look(Crop(center, size, looks.resolution).sample(image))
        windows = torch.cat([center - size[:, None] / 2, center + size[:, None] / 2], dim=1)
        for (found, sure), window, side in zip(decode(output, threshold), windows, size):
            corners = window[:2].repeat(2) + side * found.cpu()
            at_border = (corners - window) * inwards < _CUT * side
            cut = (at_border & ((window - picture) * inwards > _CUT * side)).any(dim=1)
            boxes.append(torch.minimum(corners[~cut].clamp_min(0), picture[2:].repeat(2)))
            scores.append(sure.cpu()[~cut])
    return torch.cat(boxes), torch.cat(scores)


def _grid(width: int, height: int, side: float) -> Crop:
    """Squares that cover a picture and overlap by half or more; around its middle where it is narrower than they."""
    across, down = (_steps(length, side) for length in (width, height))
    return Crop(torch.cartesian_prod(across, down), torch.full((len(across) * len(down),), side), INPUT_SIZE)


def _steps(length: int, side: float) -> Float[Tensor, " n"]:
    if length <= side:
        return torch.tensor([length / 2])
    return torch.linspace(side / 2, length - side / 2, 1 + math.ceil(2 * (length - side) / side))


def _around(looks: Crop, boxes: Float[Tensor, "n 4"]) -> Crop:
    """Of a grid, the looks in whose middle boxes are."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    nearest = torch.cdist(middle, looks.center, p=torch.inf).argmin(dim=1).unique()
    return Crop(looks.center[nearest], looks.size[nearest], looks.resolution)
