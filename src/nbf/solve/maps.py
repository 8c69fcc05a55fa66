"""What part maps and silhouettes say about places: distances to where each part was seen, and the person's outline."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn.functional import avg_pool2d

from nbf.body.parts import merge_probabilities

MERGED = 14
PERSON = 0
"""Channel of `Fields` for the whole person; 1..14 are the merged parts."""
_FAR = 1e3


@dataclass(frozen=True)
class Fields:
    """Distance of each cell's centre from where a part may be, in map sides (the map spans 0..1 both ways)."""

    distance: Float[Tensor, "b 15 h h"]

    @classmethod
    def of_parts(cls, parts: Float[Tensor, "b 25 h h"], unsure: Bool[Tensor, "b h h"]) -> "Fields":
        """Fields of part probabilities or shares; where it is unsure what was seen, any part may be.

        A part that was seen nowhere, being hidden or missed, may be wherever the person is.
        """
        merged = merge_probabilities(parts, MERGED)
        label = merged.argmax(1)
        seen = torch.nn.functional.one_hot(label, MERGED + 1).movedim(-1, 1).bool()
        person = label > 0
        seen[:, PERSON] = person
        absent = ~seen.flatten(2).any(-1)
        seen |= absent[..., None, None] & person[:, None]
        return cls(_from_border(seen | unsure[:, None]))

    @classmethod
    def of_silhouette(cls, person: Float[Tensor, "b h h"]) -> "Fields":
        """Fields of the probability of a person, wherever on whom any part may be."""
        return cls(_from_border(person[:, None] > 0.5).expand(-1, MERGED + 1, -1, -1))

    def __getitem__(self, people: slice | Tensor) -> "Fields":
        return Fields(self.distance[people])

    def read(
        self, points: Float[Tensor, "b n 2"], channel: Int64[Tensor, "b n"]
    ) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n 2"]]:
        """Bilinear distance at points (map sides), and its gradient; beyond the map, what its border has."""
        size = self.distance.shape[-1]
        at = points * size - 0.5
        low = at.floor().clamp(0, size - 2)
        part = (at - low).clamp(0, 1)
        moving = ((at - low) == part).to(part)
        x, y = low.long().unbind(-1)
        people = torch.arange(len(points), device=points.device)[:, None]
        a, b, c, d = (self.distance[people, channel, y + j, x + i] for j in (0, 1) for i in (0, 1))
        u, v = part.unbind(-1)
        value = (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * c + u * d)
        gradient = torch.stack([(1 - v) * (b - a) + v * (d - c), (1 - u) * (c - a) + u * (d - b)], -1)
        return value, gradient * size * moving


def _from_border(region: Bool[Tensor, "b c h h"]) -> Float[Tensor, "b c h h"]:
    """Distance in map sides from the border of a region, not from the centre of its last cell."""
    size = region.shape[-1]
    return (distance_to(region) - 0.5).clamp(0, size) / size


def distance_to(region: Bool[Tensor, "*b h w"]) -> Float[Tensor, "*b h w"]:
    """Euclidean distance in cells from each cell's centre to the nearest one of a region; huge if there is none.

    Exact, one axis after the other (Felzenszwalb & Huttenlocher 2012, "Distance transforms of sampled functions").
    """
    height, width = region.shape[-2:]
    column = torch.arange(width, device=region.device, dtype=torch.float32)
    last = torch.where(region, column, -_FAR).cummax(-1).values
    following = torch.where(region, column, width + _FAR).flip(-1).cummin(-1).values.flip(-1)
    across = torch.minimum(column - last, following - column).square()
    row = torch.arange(height, device=region.device, dtype=torch.float32)[:, None]
    nearest = torch.full_like(across, torch.inf)
    for other in range(height):
        nearest = torch.minimum(nearest, across[..., other : other + 1, :] + (row - other).square())
    return nearest.sqrt()


@dataclass(frozen=True)
class Outline:
    """m points of the border between person and background; map sides, weight 0 where there are fewer."""

    points: Float[Tensor, "b m 2"]
    normals: Float[Tensor, "b m 2"]
    """Outwards, unit length."""
    part: Int64[Tensor, "b m"]
    """The merged part that borders there, 1..14; `PERSON` where nobody knows."""
    weight: Float[Tensor, "b m"]

    @classmethod
    def of_parts(cls, parts: Float[Tensor, "b 25 h h"], unsure: Bool[Tensor, "b h h"], count: int) -> "Outline":
        """Evenly picked border cells that no unsure cell is near; outside of the map nothing is known."""
        merged = merge_probabilities(parts, MERGED)
        return cls._of_person(1 - merged[:, 0], merged[:, 1:].argmax(1) + 1, unsure, count)

    @classmethod
    def of_silhouette(cls, person: Float[Tensor, "b h h"], count: int) -> "Outline":
        """Evenly picked border cells of the probability of a person."""
        nothing = torch.zeros_like(person, dtype=torch.int64)
        return cls._of_person(person, nothing + PERSON, nothing.bool(), count)

    @classmethod
    def _of_person(
        cls, person: Float[Tensor, "b h h"], part: Int64[Tensor, "b h h"], unsure: Bool[Tensor, "b h h"], count: int
    ) -> "Outline":
        size = person.shape[-1]
        smooth = avg_pool2d(person[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
        slope_x = (smooth.roll(-1, 2) - smooth.roll(1, 2)) / 2
        slope_y = (smooth.roll(-1, 1) - smooth.roll(1, 1)) / 2
        slope = torch.stack([slope_x, slope_y], -1)
        steep = slope.square().sum(-1)
        near = avg_pool2d(unsure[:, None].float(), 3, 1, 1)[:, 0] > 0
        border = (person > 0.5) & (smooth < 0.99) & (steep > 0.01) & ~near
        border[:, [0, -1]] = border[:, :, [0, -1]] = False
        # Evenly over the border cells in reading order: neighbours on the outline are neighbours there, nearly.
        rank = border.flatten(1).cumsum(1) - 1
        total = rank[:, -1:] + 1
        wanted = (torch.arange(count, device=person.device) * total.clamp_min(1) / count).long()
        cell = torch.searchsorted(rank.contiguous(), wanted).clamp(max=size * size - 1)
        people = torch.arange(len(person), device=person.device)[:, None]
        y, x = cell // size, cell % size
        # The border runs where the person's share is one half: from the cell's centre along the slope.
        length = steep[people, y, x].sqrt().clamp_min(1e-3)
        normals = -slope[people, y, x] / length[..., None]
        beyond = ((smooth[people, y, x] - 0.5) / length).clamp(-1, 1)
        points = torch.stack([x, y], -1) + 0.5 + normals * beyond[..., None]
        weight = (total >= count // 4).float().expand(-1, count)
        return cls(points / size, normals, part[people, y, x], weight)

    def __getitem__(self, people: slice | Tensor) -> "Outline":
        return Outline(self.points[people], self.normals[people], self.part[people], self.weight[people])
