"""People whose crops overlap: a picture without those of whom enough was seen, and whose each pixel is."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from nbf.geometry import Crop
from nbf.proxy.proxy import Proxy, silhouette

COMPETITION = 8.0
"""Power of the probability of being seen by which people share a cell that several of them claim."""

Image = UInt8[Tensor, "3 height width"] | Float[Tensor, "3 height width"]


def carried(maps: Float[Tensor, "n c h h"], source: Crop, target: Crop) -> Float[Tensor, "n c r r"]:
    """Maps over n crops as n other crops of the same picture have them, in their resolution; 0 where they end."""
    cell = source.size / maps.shape[-1]
    corner = source.center - source.size[:, None] / 2
    return Crop((target.center - corner) / cell[:, None], target.size / cell, target.resolution).sample(maps)


def without(image: Image, parts: Float[Tensor, "n 25 h h"], crops: Crop) -> Image:
    """A picture with the pixels of n people painted over, each in the mean colour of what surrounds them in their
    crop."""
    painted = image.clone()
    for person in range(len(parts)):
        one = slice(person, person + 1)
        rows, columns, mask = _mask(silhouette(parts[one]), _some(crops, one), image)
        around = image[:, rows, columns][:, ~mask]
        if around.numel():
            colour = around.float().mean(1).to(image.dtype)[:, None, None]
            window = painted[:, rows, columns]
            window.copy_(torch.where(mask, colour, window))
    return painted


def _mask(person: Float[Tensor, "1 h h"], crop: Crop, image: Image) -> tuple[slice, slice, Bool[Tensor, "r c"]]:
    """Rows and columns of a picture that a crop covers, and which of their pixels show the person."""
    (left, top), side = (crop.center - crop.size / 2)[0].floor().int().tolist(), int(crop.size.ceil()) + 1
    pixels = Crop(torch.tensor([[left + side / 2, top + side / 2]]), torch.tensor([float(side)]), side)
    mask = carried(person[:, None], crop, pixels)[0, 0] > 0.5
    rows, columns = (
        slice(max(first, 0), max(min(first + side, length), 0)) for first, length in zip((top, left), image.shape[1:])
    )
    return rows, columns, mask[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def competing(proxy: Proxy, crops: Crop) -> Proxy:
    """What is seen of the people of one picture, each with their share only of the pixels that others claim too.

    Whoever is seen more surely in a cell of the part map gets more of it, by the power `COMPETITION`; what others get
    becomes background. The work grows with the pairs whose crops overlap. One person alone, and cells that nobody else
    claims, stay as they are.
    """
    one, other = _overlapping(crops)
    if not len(one):
        return proxy
    parts = _competed(proxy.parts, crops, one, other)
    return replace(proxy, parts=parts, silhouette=silhouette(parts))


def _competed(
    parts: Float[Tensor, "n 25 h h"], crops: Crop, one: Int64[Tensor, " m"], other: Int64[Tensor, " m"]
) -> Float[Tensor, "n 25 h h"]:
    claims = silhouette(parts).clamp(0, 1) ** COMPETITION
    cells = Crop(crops.center[one], crops.size[one], parts.shape[-1])
    theirs = carried(claims[other, None], _some(crops, other), cells)[:, 0]
    total = claims.index_add(0, one, theirs)
    lost = 1 - torch.where(total > claims, claims / total.clamp_min(torch.finfo(total.dtype).tiny), 1.0)[:, None]
    people = parts[:, 1:]
    background = parts[:, :1] + (lost * people).sum(1, keepdim=True)
    return torch.cat([background, people - lost * people], 1)


def _overlapping(crops: Crop) -> tuple[Int64[Tensor, " m"], Int64[Tensor, " m"]]:
    """Rows of the pairs of crops that show some of the same picture, each pair both ways round."""
    apart = (crops.center[:, None] - crops.center).abs().amax(-1)
    overlap = (apart < (crops.size[:, None] + crops.size) / 2).fill_diagonal_(False)
    one, other = overlap.nonzero().unbind(1)
    return one, other


def _some(crops: Crop, rows: slice | Int64[Tensor, " m"]) -> Crop:
    return Crop(crops.center[rows], crops.size[rows], crops.resolution)
