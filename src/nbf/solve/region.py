"""A body against the region of a map where a person was seen, with its parts or as a silhouette: every point of the
surface inside of it, and all of its outline met by the body's. Distances both ways, as in Lassner et al. 2017."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import avg_pool2d, one_hot

from nbf.body.bodies import Bodies
from nbf.body.landmarks import Placed, place
from nbf.body.model import BodyModel
from nbf.geometry import Camera
from nbf.raster import gather_faces, rasterize
from nbf.solve import terms
from nbf.solve.levenberg import Block
from nbf.solve.maps import PERSON, Fields, Outline
from nbf.solve.surface import Surface

ROBUST = 3.0
"""Standard deviations from which evidence counts as a likely mistake."""
# Standard deviations of surface points and the outline, in map sides.
_SIGMA_INSIDE, _SIGMA_OUTLINE = 0.015, 0.012
# Map sides from which an outline point no longer finds its partner, and the least cosine between their normals.
_REACH, _ALIKE = 0.10, 0.5
_OUTLINE_POINTS = 96
# Neighbouring surface points and outline points repeat each other: together they count as so many.
_INDEPENDENT = 40.0
# Pixels each way in a cell of a drawn part map.
_FINE = 2


@dataclass(frozen=True)
class Region:
    """Where b people were seen, in maps of side 1."""

    fields: Fields
    outline: Outline

    @classmethod
    def of_parts(cls, parts: Float[Tensor, "b 25 h h"], unsure: Tensor | None = None) -> "Region":
        """From part probabilities; `unsure` (b, h, h) marks cells that say nothing."""
        unsure = torch.zeros_like(parts[:, 0], dtype=torch.bool) if unsure is None else unsure
        return cls(Fields.of_parts(parts, unsure), Outline.of_parts(parts, unsure, _OUTLINE_POINTS))

    @classmethod
    def of_silhouette(cls, person: Float[Tensor, "b h h"]) -> "Region":
        """From the probability of the person."""
        return cls(Fields.of_silhouette(person), Outline.of_silhouette(person, _OUTLINE_POINTS))

    def __getitem__(self, people: slice | Tensor) -> "Region":
        return Region(self.fields[people], self.outline[people])


@dataclass(frozen=True)
class Matches:
    """What depends on the pose but stays fixed during a search: what is seen, and which points match."""

    channel: Int64[Tensor, "b n"]
    vertex: Int64[Tensor, "b m"]
    target: Float[Tensor, "b m 2"]
    """Where on the normal of its outline point each vertex should be, map sides."""
    weight: Float[Tensor, "b m"]

    @classmethod
    def at(cls, state: Bodies, surface: Surface, camera: Camera, region: Region, loose: float) -> "Matches":
        """Those of bodies; outline points within which the body lies, as under clothes, weigh `loose`.

        The body's own outline is taken from its drawing just as the person's was from the map, so that the two are one
        where body and map agree. An outline point's partner is the nearest one of the same part there whose normal is
        alike; the surface point beside the partner is to move as far as the two are apart. `camera` is in map sides.
        """
        seen, rim, facing = surface.seen_by(state, camera)
        pixels = camera.project(place(surface.landmarks, state, jacobian=False).points)
        outline, size = region.outline, region.fields.distance.shape[-1]
        parts = drawn_parts(surface.body, state, camera, size)
        own = Outline.of_parts(parts, torch.zeros_like(parts[:, 0], dtype=torch.bool), 2 * _OUTLINE_POINTS)
        alike = torch.einsum("bmi,bni->bmn", outline.normals, own.normals) > _ALIKE
        same = (outline.part[..., None] == own.part[:, None]) | (outline.part[..., None] == PERSON)
        apart = (outline.points[:, :, None] - own.points[:, None]).norm(dim=-1)
        least, partner = torch.where(alike & same & (own.weight > 0)[:, None], apart, torch.inf).min(-1)
        rows = partner[..., None].expand(-1, -1, 2)
        step = ((outline.points - own.points.gather(1, rows)) * outline.normals).sum(-1, keepdim=True)
        beside = (own.points[:, :, None] - pixels[:, None]).norm(dim=-1)
        near = torch.einsum("bmi,bni->bmn", own.normals, facing) > _ALIKE
        closest, vertex = torch.where(near & rim[:, None], beside, torch.inf).min(-1)
        vertex, closest = vertex.gather(1, partner), closest.gather(1, partner)
        target = pixels.gather(1, vertex[..., None].expand(-1, -1, 2)) + step * outline.normals
        found = (least < _REACH) & (closest < _REACH)
        weight = outline.weight * found * torch.where(step[..., 0] > 0, loose, 1.0)
        return cls(torch.where(seen, surface.part, PERSON), vertex, target, weight)


def drawn_parts(body: BodyModel, state: Bodies, camera: Camera, size: int) -> Float[Tensor, "b 25 {size} {size}"]:
    """The part map of bodies as they are: the share of each part in each of size x size cells. `camera` is in map
    sides."""
    fine = size * _FINE
    drawn = rasterize(camera.scaled(fine).pixels_depth(state.posed(body).vertices), body.faces, fine, fine)
    labels = gather_faces(drawn, body.face_parts, 0)
    return avg_pool2d(one_hot(labels, 25).movedim(-1, 1).to(state.betas), _FINE)


def region_blocks(pixels: Placed, region: Region, matches: Matches, inside: float, outline: float) -> list[Block]:
    """Surface points inside of the region, and the outline of the body on its outline.

    Args:
        pixels: the surface points, map sides.
        region: where the person was seen.
        matches: of these surface points with it.
        inside: weight of the first.
        outline: weight of the second.
    """
    count, matched = pixels.points.shape[1], matches.vertex.shape[1]
    together, on_outline = ((_INDEPENDENT / number) ** 0.5 for number in (count, matched))
    even = torch.ones_like(pixels.points[..., 0])
    return [
        terms.inside(
            pixels, region.fields, matches.channel, even * (inside / _SIGMA_INSIDE * together), ROBUST * together
        ),
        terms.along_normals(
            pixels,
            matches.vertex,
            matches.target,
            region.outline.normals,
            matches.weight * (outline / _SIGMA_OUTLINE * on_outline),
            ROBUST * on_outline,
        ),
    ]
