"""People whose crops overlap: a picture without those of whom enough was seen, and whose each pixel is."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

from nbf.geometry import Crop
from nbf.proxy.proxy import Proxy, silhouette

COMPETITION = 8.0
"""Power of the probability of being seen by which people share a cell that several of them claim."""

TILE = 1024
"""Pixels of a picture that are painted at once, each way."""

Image = UInt8[Tensor, "3 height width"] | Float[Tensor, "3 height width"]


def carried(maps: Float[Tensor, "n c h h"], source: Crop, target: Crop) -> Float[Tensor, "n c r r"]:
    """Maps over n crops as n other crops of the same picture have them, in their resolution; 0 where they end."""
    cell = source.size / maps.shape[-1]
    corner = source.center - source.size[:, None] / 2
    return Crop((target.center - corner) / cell[:, None], target.size / cell, target.resolution).sample(maps)


def covered(image: Image, parts: Float[Tensor, "n 25 h h"], crops: Crop) -> UInt8[Tensor, "1 height width"]:
    """255 at the pixels of a picture that show any of n people, and a cell of their part maps around; 0 elsewhere."""
    mask = torch.zeros_like(image[:1], dtype=torch.uint8)
    people = max_pool2d(silhouette(parts)[:, None], 3, 1, 1)
    for person in range(len(parts)):
        for rows, columns, pixels in _tiles(people[person], _some(crops, person), image):
            mask[:, rows, columns][pixels > 0.5] = 255
    return mask


def without(image: Image, mask: UInt8[Tensor, "1 height width"], crops: Crop, cells: int = 64) -> Image:
    """A picture with the masked pixels of n crops painted over, in the colours of what surrounds them, smoothly.

    Smoothly, as networks take a patch in the shape of somebody for them. Push and pull of Gortler et al. 1996, "The
    Lumigraph", section 3.4.3, over `cells` cells each way.
    """
    small = Crop(crops.center, crops.size, cells)
    known = (small.sample(mask) == 0).float()
    fills = _filled(small.sample(image) * known, known)
    if not image.is_floating_point():
        fills = (255 * fills).round()
    painted = image.clone()
    for person in range(len(fills)):
        for rows, columns, fill in _tiles(fills[person], _some(crops, person), image):
            window = painted[:, rows, columns]
            window.copy_(torch.where(mask[:, rows, columns] > 0, fill.to(image.dtype), window))
    return painted


def _filled(values: Float[Tensor, "n c h h"], weights: Float[Tensor, "n 1 h h"]) -> Float[Tensor, "n c h h"]:
    """Values where weights are 0 as around there; each times its weight."""
    if weights.shape[-1] > 1:
        coarse = _filled(avg_pool2d(values, 2), avg_pool2d(weights, 2))
        around = interpolate(coarse, scale_factor=2, mode="bilinear")
    else:
        around = torch.zeros_like(values)
    return torch.where(weights > 0, values / weights.clamp_min(1e-6), around)


def _tiles(
    values: Float[Tensor, "c h h"], crop: Crop, image: Image
) -> Iterator[tuple[slice, slice, Float[Tensor, "c r k"]]]:
    """Rows and columns of a picture that a crop covers, and for their pixels what a map over the crop has there: of
    large crops square by square, as numbers for all pixels would take several times as much memory as the picture."""
    (left, top), side = (crop.center - crop.size / 2)[0].floor().int().tolist(), int(crop.size.ceil()) + 1
    tile = min(side, TILE)
    height, width = image.shape[1:]
    for x, y in product(range(left, left + side, tile), range(top, top + side, tile)):
        rows = slice(max(y, 0), max(min(y + tile, top + side, height), 0))
        columns = slice(max(x, 0), max(min(x + tile, left + side, width), 0))
        if rows.stop <= rows.start or columns.stop <= columns.start:
            continue
        pixels = Crop(torch.tensor([[x + tile / 2, y + tile / 2]]), torch.tensor([float(tile)]), tile)
        there = carried(values[None], crop, pixels)[0]
        yield rows, columns, there[:, rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]


def competing(proxy: Proxy, crops: Crop) -> Proxy:
    """What is seen of the people of one picture, each with their share only of the pixels that others claim too.

    Whoever is seen more surely in a cell of the part map gets more of it, by the power `COMPETITION`; what others get
    becomes background. The work grows with the pairs whose crops overlap. One person alone, and cells that nobody else
    claims, stay as they are.
    """
    one, other = _overlapping(crops)
    if proxy.parts is None or not len(one):
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


def _some(crops: Crop, rows: int | Int64[Tensor, " m"]) -> Crop:
    some = [rows] if isinstance(rows, int) else rows
    return Crop(crops.center[some], crops.size[some], crops.resolution)
