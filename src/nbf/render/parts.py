"""Part maps in the picture's own pixels: labels, and soft colours for looking at."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from nbf.body.parts import COLORS
from nbf.geometry import Crop

# Colours mix by the probabilities to this power: high enough for clear borders, low enough for smooth ones.
_SHARPNESS = 4.0
# Rows pasted at once; bounds memory to 25 probabilities for so many rows of a large photo.
_ROWS = 128


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
    best = torch.zeros(height, width, 4)
    palette = torch.as_tensor(COLORS)[1:].float() / 255
    for probabilities, crop in parts:
        scaled = Crop(crop.center * zoom, crop.size * zoom, crop.resolution)
        for rows, columns, window in _pasted(probabilities, scaled, width, height):
            strength = window.clamp_min(0) ** _SHARPNESS
            strength = strength / strength.sum(dim=0).clamp_min(1e-9)
            alpha = strength[1:].sum(dim=0)
            colors = torch.einsum("phw,pc->hwc", strength[1:], palette)
            drawn = torch.cat([colors, alpha[..., None]], dim=-1)
            before = best[rows, columns]
            best[rows, columns] = torch.where((alpha > before[..., 3])[..., None], drawn, before)
    return best


def _pasted(probabilities: Tensor, crop: Crop, width: int, height: int):
    """Yield (rows, columns, probabilities there) of the window of the picture that the crop covers."""
    low = (crop.center - crop.size / 2).round().int().tolist()
    high = (crop.center + crop.size / 2).round().int().tolist()
    left, right = max(low[0], 0), min(high[0], width)
    if left >= right:
        return
    for top in range(max(low[1], 0), min(high[1], height), _ROWS):
        bottom = min(top + _ROWS, high[1], height)
        y, x = torch.meshgrid(torch.arange(top, bottom) + 0.5, torch.arange(left, right) + 0.5, indexing="ij")
        # grid_sample's -1 .. 1 spans the crop from edge to edge (align_corners=False).
        grid = (torch.stack([x, y], dim=-1) - crop.center) / (crop.size / 2)
        window = functional.grid_sample(
            probabilities[None].float(), grid[None], mode="bilinear", padding_mode="border", align_corners=False
        )[0]
        yield slice(top, bottom), slice(left, right), window
