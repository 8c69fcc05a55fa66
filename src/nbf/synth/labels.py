"""Label maps of drawn people: part shares and surface coordinates, in cells of several pixels."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbf.raster.zbuffer import Fragments
from nbf.synth.scene import Soup

PARTS = 25


def label_maps(
    soup: Soup, fragments: Fragments, person: Int[Tensor, " n"], allowed: Bool[Tensor, "n r r"], side: int
) -> dict[str, Tensor]:
    """What is to be seen of one person per picture, as maps of `side` x `side` cells.

    Args:
        soup: the triangles that were drawn.
        fragments: what each pixel sees of them.
        person: the labelled person of each picture.
        allowed: pixels where it may be seen at all (nothing is in front, the photo has not ended).
        side: of the maps; divides the side of the pictures.

    Returns:
        `labels (n,r,r)` uint8, the part that each pixel sees; of cells, `parts (n,25,side,side)` soft one-hot labels,
        `surface (n,3,side,side)` means over the person's pixels, and `surface_mask`, where these are more than half of
        the cell.
    """
    count, size = len(person), allowed.shape[-1]
    cell = size // side
    pixel = (fragments.mask & allowed).flatten().nonzero()[:, 0]
    row = fragments.face.flatten().index_select(0, pixel)
    image = torch.div(pixel, size * size, rounding_mode="floor")
    mine = (soup.person.index_select(0, row) == person.index_select(0, image)).nonzero()[:, 0]
    pixel, row = pixel.index_select(0, mine), row.index_select(0, mine)
    parts = torch.zeros(count * size * size, dtype=torch.int64, device=pixel.device)
    parts[pixel] = soup.parts.index_select(0, soup.face.index_select(0, row))
    parts = parts.view(count, size, size)
    shares = soft_one_hot(parts, cell)
    mass = 1 - shares[:, :1]
    corners = (soup.faces + soup.shift[:, None]).index_select(0, row).flatten()
    weights = fragments.barycentrics.flatten(0, -2).index_select(0, pixel)[..., None]
    seen = (soup.surface.index_select(0, corners).unflatten(0, (-1, 3)) * weights).sum(1)
    surface = torch.zeros(count * size * size, 3, device=pixel.device).index_copy_(0, pixel, seen)
    surface = surface.view(count, side, cell, side, cell, 3).mean((2, 4)).permute(0, 3, 1, 2)
    return {
        "labels": parts.to(torch.uint8),
        "parts": shares,
        "surface": (surface / mass.clamp(min=1e-6)).contiguous(),
        "surface_mask": mass[:, 0] > 0.5,
    }


def soft_one_hot(labels: Int[Tensor, "n r r"], cell: int) -> Float[Tensor, "n 25 s s"]:
    """Share of each label in every cell x cell block."""
    count, size = len(labels), labels.shape[1]
    side = size // cell
    pixel = labels.flatten().nonzero()[:, 0]
    label = labels.flatten().index_select(0, pixel)
    row = torch.div(pixel, size, rounding_mode="floor")
    image, row, column = torch.div(row, size, rounding_mode="floor"), row % size, pixel % size
    place = torch.div(row, cell, rounding_mode="floor") * side + torch.div(column, cell, rounding_mode="floor")
    # Sums of powers of two are exact, in whatever order a device adds them up.
    share = torch.full((1,), 1 / cell**2, device=labels.device).expand(len(pixel))
    covered = torch.zeros(count * side * side, device=labels.device)
    covered.scatter_add_(0, image * side * side + place, share)
    shares = torch.zeros(count * PARTS * side * side, device=labels.device)
    shares.scatter_add_(0, (image * PARTS + label) * side * side + place, share)
    shares = shares.view(count, PARTS, side, side)
    shares[:, 0] = 1 - covered.view(count, side, side)
    return shares
