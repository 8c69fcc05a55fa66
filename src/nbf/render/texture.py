"""The photo as the people's skin: what it shows of each body, laid out in the body's texture coordinates."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn.functional import grid_sample, max_pool2d, normalize

from nbf.body.model import BodyModel
from nbf.body.parts import MERGE, merge_probabilities
from nbf.errors import InputError
from nbf.geometry import Camera, Crop
from nbf.raster import rasterize, rasterize_packed, sample_texture, vertex_normals
from nbf.render.overlay import resized

if TYPE_CHECKING:
    from nbf.people import PartMap, Person

SEEN, MIRRORED, GUESSED = 255, 170, 85
"""Alpha: the photo shows it; it shows the other side of the body; or only what is near it."""

SIDE = 1024
"""Texels a side: half a millimetre to three of a body, as fine as a photo with people 700 pixels high."""

# Of the longest side of a person's box in the photo that is looked at, pixels: a photo that has more is shrunk first,
# or texels would skip pixels.
_MOST_PIXELS = 1000
# What lies so far behind the nearest surface, metres, is hidden: more than depth varies within a pixel, less than an
# arm is before the trunk.
_BEHIND = 0.015
# Cosine between the view and the normal below which a surface is not looked at.
_GRAZING = 0.2
# The probability that a pixel shows the person from which on it does: half of it is the border, where the mesh and the
# person do not quite agree. And that it shows the part of the body that the mesh has there, or one a cell away.
_SURE, _LEAST = 0.8, 0.25
# Texels that the colours go on beyond the borders of the layout, which viewers mix in when they shrink the texture.
_MARGIN = 8
# By how much the area of all faces in a layout may exceed what they cover.
_OVERLAP = 1.1
# Rounds of smoothing of colours that are made up.
_SMOOTHING = 20


@torch.no_grad()
def person_textures(persons: Sequence["Person"], side: int = SIDE) -> list[UInt8[np.ndarray, "{side} {side} 4"]]:
    """A texture (RGBA, sRGB) of each of the people in one picture, in their body's `uv`, the first row on top.

    A texel has the colour of the pixel that shows it: nothing nearer hides it, and the part maps say that the pixel is
    this person's. What is not seen takes the colour of its mirror image on the body, or else of what is near it. Alpha
    says which (`SEEN`, `MIRRORED`, `GUESSED`); it does not mean that anything is transparent.

    Raises:
        InputError: the body has no texture coordinates that give each place on it a texel of its own.
    """
    body, zoom = persons[0].body, _zoom(persons)
    layout = _layout(body, side)
    photo = torch.from_numpy(np.array(resized(persons[0].picture.pixels, zoom)))
    height, width = photo.shape[:2]
    camera = persons[0].camera.scaled(zoom)
    vertices = torch.stack([person.vertices for person in persons])
    points = camera.pixels_depth(vertices.flatten(0, 1)[None])[0]
    faces = (body.faces + len(body.template) * torch.arange(len(persons))[:, None, None]).flatten(0, 1)
    depth = rasterize_packed(points, faces, torch.zeros(len(faces), dtype=torch.int64), 1, height, width).depth[0]
    maps = [_Map.of(person.parts, zoom) for person in persons]
    textures = []
    for index, mesh in enumerate(vertices):
        view = _View(photo, depth, camera, maps[index], [*maps[:index], *maps[index + 1 :]])
        textures.append(_texture(layout, body, mesh, view))
    return textures


@dataclass(frozen=True)
class _Map:
    """A part map, merged to 14 parts and background; each part reaching a cell further, as maps are coarse."""

    reaching: Float[Tensor, "15 m m"]
    somebody: Float[Tensor, "1 m m"]
    crop: Crop

    @classmethod
    def of(cls, parts: "PartMap", zoom: float) -> "_Map":
        merged = merge_probabilities(parts.probabilities[None].float(), 14)
        crop = Crop(parts.crop.center * zoom, parts.crop.size * zoom, parts.crop.resolution)
        return cls(max_pool2d(merged, 3, 1, 1)[0], 1 - merged[0, :1], crop)

    def at(self, maps: Float[Tensor, "k m m"], pixels: Float[Tensor, "n 2"]) -> Float[Tensor, "k n"]:
        """Values of maps of the crop at pixels of the photo; 0 outside."""
        grid = (pixels - self.crop.center) / (self.crop.size / 2)
        return grid_sample(maps[None], grid[None, None], align_corners=False)[0, :, 0]


@dataclass(frozen=True)
class _View:
    """What a photo shows of one person: its pixels, the depth of the nearest surface in each, and part maps."""

    photo: UInt8[Tensor, "h w 3"]
    depth: Float[Tensor, "h w"]
    camera: Camera
    own: _Map
    others: list[_Map]

    def look(
        self, points: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"], parts: Int64[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n 3"], Bool[Tensor, " n"]]:
        """Colours (0 .. 1) of points of the person's parts (1 .. 14), and whether they are seen."""
        height, width = self.depth.shape
        pixels, z = self.camera.pixels_depth(points[None])[0].split([2, 1], dim=1)
        column, row = pixels.long().unbind(1)
        inside = (pixels >= 0).all(1) & (column < width) & (row < height) & (z[:, 0] > 0)
        facing = -(points * normals).sum(1) / points.norm(dim=1)
        at = (inside & (facing > _GRAZING)).nonzero()[:, 0]
        at = at[z[at, 0] < self.depth[row[at], column[at]] + _BEHIND]
        own = self.own.at(self.own.somebody, pixels[at])[0]
        likely = (own > _SURE) & (self.own.at(self.own.reaching, pixels[at])[parts[at], torch.arange(len(at))] > _LEAST)
        for other in self.others:
            likely &= own > other.at(other.somebody, pixels[at])[0]
        at = at[likely]
        colors = torch.zeros_like(points)
        colors[at] = sample_texture(self.photo[None], pixels[at] / pixels.new_tensor([width, height]))
        seen = torch.zeros(len(points), dtype=torch.bool)
        seen[at] = True
        return colors, seen


@dataclass(frozen=True)
class _Layout:
    """Where a body's surface lies in its texture, and how the surface hangs together."""

    texel: Int64[Tensor, " n"]
    """The n texels that show the surface, row by row."""
    face: Int64[Tensor, " n"]
    """What they show, and where on it."""
    weights: Float[Tensor, "n 3"]
    shown: Int64[Tensor, "side side"]
    """Which of the n each texel shows, or those along the border the one next to them; -1 where there is nothing."""
    edges: Int64[Tensor, "2 e"]
    """Pairs of vertices that are next to each other, or mirror images of each other; both ways."""
    mirror: Int64[Tensor, " v"]
    """The vertex on the other side of the body."""

    def at_texels(self, faces: Int64[Tensor, "f 3"], values: Float[Tensor, "v c"]) -> Float[Tensor, "n c"]:
        """What vertices have, between them."""
        corners = faces.index_select(0, self.face).flatten()
        return (values.index_select(0, corners).unflatten(0, (-1, 3)) * self.weights[..., None]).sum(dim=1)


@lru_cache(maxsize=1)  # people of a batch of photos have one body model
def _layout(body: BodyModel, side: int) -> _Layout:
    if len(body.uv) == 0:
        raise InputError("texture: expected a body with texture coordinates, got one without; leave out the texture")
    points = torch.cat([body.uv * side, torch.ones(len(body.uv), 1)], dim=1)
    points[:, 1] = side - points[:, 1]
    texels = rasterize(points[None], body.faces_uv, side, side, cull=False)
    a, b, c = points[body.faces_uv.T, :2]
    (x1, y1), (x2, y2) = (b - a).T, (c - a).T
    if float((x1 * y2 - y1 * x2).abs().sum()) / 2 > _OVERLAP * int(texels.mask.sum()):
        raise InputError(
            "texture: expected a body of full detail, got one whose places share texels; leave out the texture, or use "
            "the full body"
        )
    texel = texels.mask.flatten().nonzero()[:, 0]
    shown = torch.full((side * side,), -1.0)
    shown[texel] = torch.arange(len(texel)).float()
    shown = shown.view(1, side, side)
    for _ in range(_MARGIN):
        shown = torch.where(shown < 0, max_pool2d(shown, 3, 1, 1), shown)
    mirror = _mirror_images(body.template)
    a, b, c = body.faces.T
    one, other = torch.cat([a, b, c, torch.arange(len(mirror))]), torch.cat([b, c, a, mirror])
    # Pairs as one number, which is far faster to sort than pairs.
    pairs = torch.unique(torch.cat([one, other]) * len(mirror) + torch.cat([other, one]))
    edges = torch.stack([torch.div(pairs, len(mirror), rounding_mode="floor"), pairs % len(mirror)])
    face, weights = texels.face.flatten()[texel], texels.barycentrics.flatten(0, -2)[texel]
    return _Layout(texel, face, weights, shown[0].long(), edges, mirror)


def _mirror_images(template: Float[Tensor, "v 3"]) -> Int64[Tensor, " v"]:
    """The vertex that is nearest to each vertex's mirror image."""
    flipped, mirror = template * template.new_tensor([-1.0, 1.0, 1.0]), torch.arange(len(template))
    left, right = ((template[:, 0] * sign >= 0).nonzero()[:, 0] for sign in (1, -1))
    for side, across in ((left, right), (right, left)):
        for some in side.split(1024):
            mirror[some] = across[torch.cdist(flipped[some], template[across]).argmin(1)]
    return mirror


def _texture(layout: _Layout, body: BodyModel, vertices: Float[Tensor, "v 3"], view: _View) -> np.ndarray:
    normals, labels = vertex_normals(vertices, body.faces), MERGE[14][body.face_parts]
    parts = labels.new_zeros(len(vertices)).index_put((body.faces.flatten(),), labels.repeat_interleave(3))
    made_up = _completed(layout, *view.look(vertices, normals, parts))
    points, normals = layout.at_texels(body.faces, torch.cat([vertices, normals], dim=1)).split(3, dim=1)
    colors, seen = view.look(points, normalize(normals, dim=1), labels[layout.face])
    texels = torch.cat([colors, torch.ones(len(colors), 1)], dim=1)
    texels[~seen] = layout.at_texels(body.faces, made_up)[~seen]
    texels[~seen, 3] = torch.where(texels[~seen, 3] * 255 > (GUESSED + MIRRORED) / 2, MIRRORED / 255, GUESSED / 255)
    texels = torch.cat([texels, torch.zeros(1, 4)])  # the last is nothing
    return (texels * 255).round().byte()[layout.shown].numpy()


def _completed(layout: _Layout, colors: Float[Tensor, "v 3"], seen: Bool[Tensor, " v"]) -> Float[Tensor, "v 4"]:
    """Colours of all vertices from those seen, and their kind as alpha, 0 .. 1."""
    kind = torch.where(seen, SEEN, torch.where(seen[layout.mirror], MIRRORED, GUESSED)) / 255
    colors = torch.where(seen[:, None], colors, colors[layout.mirror])
    known = seen | seen[layout.mirror]
    colors = torch.where(known[:, None], colors, colors[known].mean(0) if known.any() else torch.tensor(0.5))
    start, end = layout.edges

    def near(values: Tensor) -> Tensor:
        """Sums over the vertices next to each vertex."""
        return torch.zeros_like(values).index_add(0, end, values.index_select(0, start))

    reached = known
    while True:  # ring by ring, from what is known
        sums = near(torch.cat([colors * reached[:, None], reached[:, None].float()], dim=1))
        ring = ~reached & (sums[:, 3] > 0)
        if not ring.any():
            break
        colors[ring] = sums[ring, :3] / sums[ring, 3:]
        reached = reached | ring
    count = near(torch.ones(len(colors), 1))
    for _ in range(_SMOOTHING):
        colors = torch.where(known[:, None], colors, near(colors) / count)
    return torch.cat([colors, kind[:, None]], dim=1)


def _zoom(persons: Sequence["Person"]) -> float:
    """By which the photo is resized before it is looked at."""
    boxes = torch.stack([person.box for person in persons])
    return min(1.0, _MOST_PIXELS / float((boxes[:, 2:] - boxes[:, :2]).max()))
