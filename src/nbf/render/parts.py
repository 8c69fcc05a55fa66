"""Part maps in the picture's own pixels: labels, and soft colours for looking at."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from nbf.body.parts import COLORS
from nbf.geometry import Crop

# Rows pasted at once; bounds memory to 25 probabilities for so many rows of a large photo.
_ROWS = 128
# Where the probability that somebody is there is less than this, nothing is drawn: to the fourth power it is no colour.
_LEAST = 0.02


def part_labels(
    probabilities: Float[Tensor, "25 h w"], crop: Crop, width: int, height: int
) -> UInt8[np.ndarray, "{height} {width}"]:
    """The most likely part (0 background, 1..24) of each pixel of a picture; 0 outside of the crop."""
    labels = np.zeros((height, width), np.uint8)
    for rows, columns, window in _pasted(probabilities, crop, width, height):
        labels[rows, columns] = window.argmax(dim=0).to(torch.uint8).numpy()
    return labels


def part_colors(
    parts: list[tuple[Tensor, Crop]], width: int, height: int, zoom: float = 1.0
) -> Float[Tensor, "{height} {width} 4"]:
    """Part maps of several people as RGBA in [0, 1], colours multiplied by alpha; the surer person wins a pixel.

    Args:
        parts: probabilities (25, h, w) and crop of each person.
        width, height: size of the picture to draw, `zoom` times the picture that the crops refer to.
    """
    best = torch.zeros(4, height, width)
    palette = torch.cat([torch.as_tensor(COLORS).float() / 255, torch.ones(len(COLORS), 1)], dim=1)
    palette[0] = 0
    for probabilities, crop in parts:
        scaled = Crop(crop.center * zoom, crop.size * zoom, crop.resolution)
        for rows, columns, window in _pasted(probabilities, scaled, width, height):
            # Colours mix by the fourth power: high enough for clear borders, low enough for smooth ones.
            strength = window.clamp_min_(0).square_().square_()
            # A matrix product and planes of numbers: each several times as fast as the like on rows of four.
            drawn = (palette.T @ strength.flatten(1)).unflatten(1, window.shape[1:])
            drawn /= strength.sum(dim=0).clamp_min(1e-9)
            before = best[:, rows, columns]
            best[:, rows, columns] = torch.where(drawn[3] > before[3], drawn, before)
    return best.permute(1, 2, 0)


def _pasted(probabilities: Tensor, crop: Crop, width: int, height: int):
    """Yield (rows, columns, probabilities there) of the window of the picture that the crop covers, as far as somebody
    may be seen in it."""
    low, cell = crop.center - crop.size / 2, crop.size / probabilities.new_tensor(probabilities.shape[:0:-1])
    somebody = probabilities[1:].sum(dim=0) > _LEAST
    cells = [somebody.any(dim=axis).nonzero()[:, 0] for axis in (0, 1)]
    if len(cells[0]) == 0:
        return
    # A cell has a say up to the middles of those around it.
    first, last = (torch.stack([ends(at) for at in cells]) for ends in (torch.amin, torch.amax))
    left, start = (low + (first - 1).clamp_min(0) * cell).round().int().clamp_min(0).tolist()
    right, end = torch.minimum(low + (last + 2) * cell, low + crop.size).round().int().tolist()
    right, end = min(right, width), min(end, height)
    if left >= right:
        return
    for top in range(start, end, _ROWS):
        bottom = min(top + _ROWS, end)
        y, x = torch.meshgrid(torch.arange(top, bottom) + 0.5, torch.arange(left, right) + 0.5, indexing="ij")
        # grid_sample's -1 .. 1 spans the crop from edge to edge (align_corners=False).
        grid = (torch.stack([x, y], dim=-1) - crop.center) / (crop.size / 2)
        window = functional.grid_sample(
            probabilities[None].float(), grid[None], mode="bilinear", padding_mode="border", align_corners=False
        )[0]
        yield slice(top, bottom), slice(left, right), window
