"""Dressed people as one packed triangle soup, and its picture.

Every mesh type that can be seen (the body, a suit, a hairstyle) is a `Piece`: a linear blend shape mesh on the body's
own coefficients and joints. A crowd is posed piece by piece, over all the people who wear it; only the triangles that
can be seen go into the soup, which is drawn in one call.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from nbf.body.model import BodyOutput, dense_weights, skin_rows
from nbf.geometry.camera import Camera
from nbf.raster.attributes import sample_texture, vertex_normals
from nbf.raster.zbuffer import Fragments, faces_in_view, rasterize_packed
from nbf.synth.light import spherical_harmonics

ALPHA_THRESHOLD = 0.5
_AMBIENT_FLOOR = 0.08


@dataclass(frozen=True)
class Piece:
    """One mesh type on the body's blend shapes and joints; `regions` are `nbf.synth.recolor.GROUPS`."""

    rest: Float[Tensor, "n 3"]
    shape_dirs: Float[Tensor, "n 3 s"]
    skin_joints: Int[Tensor, "n k"]
    skin_weights: Float[Tensor, "n k"]
    faces: Int[Tensor, "f 3"]
    uv: Float[Tensor, "f 3 2"]
    parts: Int[Tensor, " f"]
    regions: Int[Tensor, " f"]
    surface: Float[Tensor, "n 3"]
    double_sided: bool
    transparent: bool


@dataclass(frozen=True)
class Wearing:
    """The people who show one piece, each with a texture; `shown` faces are given for the body alone."""

    piece: Piece
    people: Int[Tensor, " p"]
    texture: Int[Tensor, " p"]
    shown: Bool[Tensor, "p f"] | None = None


@dataclass(frozen=True)
class Posed:
    """One piece on the people who wear it: camera metres."""

    wear: Wearing
    vertices: Float[Tensor, "p 3 n"]


@dataclass(frozen=True)
class Soup:
    """Triangles in view: projected vertices, one row per triangle, and what all wearers of a piece share.

    `points` are (x px, y px, z m), `normals` unit vectors in the camera frame or None if nothing will be lit. `face`
    and `faces + shift` are rows of the tables, which hold each piece once, the body first.
    """

    points: Float[Tensor, "v 3"]
    normals: Float[Tensor, "v 3"] | None
    faces: Int[Tensor, "k 3"]
    shift: Int[Tensor, " k"]
    face: Int[Tensor, " k"]
    image: Int[Tensor, " k"]
    person: Int[Tensor, " k"]
    texture: Int[Tensor, " k"]
    surface: Float[Tensor, "n 3"]
    uv: Float[Tensor, "f 3 2"]
    parts: Int[Tensor, " f"]
    regions: Int[Tensor, " f"]
    is_body: Bool[Tensor, " f"]
    double_sided: Bool[Tensor, " f"]
    transparent: Bool[Tensor, " f"]

    def of_images(self, first: int, last: int) -> "Soup":
        """The triangles of images first .. last-1, which become images 0, 1, ..."""
        rows = ((self.image >= first) & (self.image < last)).nonzero()[:, 0]
        picked = {name: getattr(self, name)[rows] for name in ("faces", "shift", "face", "image", "person", "texture")}
        picked["image"] -= first
        return replace(self, **picked)


@dataclass(frozen=True)
class Paint:
    """How people are coloured: textures, recolouring per person, optionally painted body faces."""

    textures: UInt8[Tensor, "t side side 4"]
    tint: Float[Tensor, "p regions 3"]
    tint_mix: Float[Tensor, "p regions"]
    """0 keeps the texture's own colours, 1 replaces them by the texture's brightness times `tint`."""
    painted: Bool[Tensor, " p"]
    face_colors: Float[Tensor, "q f 3"]
    """Colours of the body's faces of the q painted people, in order: they stand for the skin texture."""


def pose_crowd(wearing: list[Wearing], betas: Float[Tensor, "p s"], crowd: BodyOutput) -> list[Posed]:
    """Put every piece on the people who wear it; the body itself is posed already."""
    posed = []
    for wear in wearing:
        piece, people = wear.piece, wear.people
        if len(people) == 0:
            continue
        if wear.shown is not None:
            vertices = crowd.vertices[people].mT
        else:
            moved = (betas[people] @ piece.shape_dirs.transpose(0, 1).flatten(0, 1).T).unflatten(1, (3, -1))
            weights = dense_weights(piece.skin_joints, piece.skin_weights)
            vertices = skin_rows(moved + piece.rest.T, weights, crowd.transforms[people])
        posed.append(Posed(wear, vertices.contiguous()))
    return posed


def look_at(
    posed: list[Posed],
    image_of_person: Int[Tensor, " p"],
    focal: Float[Tensor, " n"],
    center: Float[Tensor, "n 2"],
    resolution: int,
    lit: bool = True,
) -> Soup:
    """The triangles that cameras of square pictures see; `lit` soups can be shaded."""
    rows: dict[str, list[Tensor]] = {name: [] for name in Soup.__dataclass_fields__}
    packed = vertex_row = face_row = 0
    for each in posed:
        wear, piece = each.wear, each.wear.piece
        count, n, f = len(wear.people), len(piece.rest), len(piece.faces)
        image = image_of_person[wear.people]
        depth = each.vertices[:, 2:]
        pixels = each.vertices[:, :2] / depth.clamp(min=1e-3) * focal[image, None, None] + center[image, :, None]
        points = torch.cat([pixels, depth], 1)
        seen = faces_in_view(points, piece.faces, resolution, resolution, cull=not piece.double_sided)
        if wear.shown is not None:
            seen &= wear.shown
        visible = seen.flatten().nonzero()[:, 0]
        wearer = torch.div(visible, f, rounding_mode="floor")
        face = visible - wearer * f
        base = packed + n * wearer
        rows["points"].append(points.mT.reshape(-1, 3))
        if lit:
            rows["normals"].append(vertex_normals(each.vertices.mT, piece.faces).reshape(-1, 3))
        rows["faces"].append(piece.faces.index_select(0, face) + base[:, None])
        rows["shift"].append(vertex_row - base)
        rows["face"].append(face + face_row)
        for name, value in (("image", image), ("person", wear.people), ("texture", wear.texture)):
            rows[name].append(value.index_select(0, wearer))
        for name in ("surface", "uv", "parts", "regions"):
            rows[name].append(getattr(piece, name))
        flags = {"is_body": wear.shown is not None} | {k: getattr(piece, k) for k in ("double_sided", "transparent")}
        for name, value in flags.items():
            rows[name].append(torch.full((f,), value, device=face.device))
        packed, vertex_row, face_row = packed + n * count, vertex_row + n, face_row + f
    lists = rows.pop("normals")
    normals = torch.cat(lists) if lit else None
    return Soup(normals=normals, **{name: torch.cat(parts) for name, parts in rows.items()})


def draw(soup: Soup, count: int, resolution: int, textures: UInt8[Tensor, "t side side 4"]) -> Fragments:
    """Z-buffer the soup into `count` square pictures; see-through texels of hair are discarded."""

    def keep(faces: Int[Tensor, " k"], barycentrics: Float[Tensor, "k 3"]) -> Bool[Tensor, " k"]:
        uv = (soup.uv[soup.face[faces]] * barycentrics[..., None]).sum(1)
        side = textures.shape[1]
        texel = (uv * side).long().clamp(0, side - 1)
        return textures[soup.texture[faces], texel[:, 1], texel[:, 0], 3] >= ALPHA_THRESHOLD * 255

    return rasterize_packed(
        soup.points, soup.faces, soup.image, count, resolution, resolution,
        cull=~soup.double_sided[soup.face], keep=keep, see_through=soup.transparent[soup.face],
    )  # fmt: skip


def shade(
    soup: Soup,
    fragments: Fragments,
    camera: Camera,
    paint: Paint,
    lights: Float[Tensor, "n 9 3"],
    gloss: Float[Tensor, " n"],
) -> Float[Tensor, "n r r 3"]:
    """Colours of the covered pixels (zero elsewhere): texture or painted colour, recoloured, under harmonic light.

    `camera` is the one of the pictures, in their pixels; the soup must be lit.
    """
    assert soup.normals is not None
    side = fragments.face.shape[-1]
    pixel = fragments.mask.flatten().nonzero()[:, 0]
    row = fragments.face.flatten().index_select(0, pixel)
    # From here on coordinates and colours come before pixels: everything runs along contiguous rows.
    weights = fragments.barycentrics.flatten(0, -2).index_select(0, pixel).T.contiguous()
    line = torch.div(pixel, side, rounding_mode="floor")
    image = torch.div(line, side, rounding_mode="floor")
    face, person = soup.face.index_select(0, row), soup.person.index_select(0, row)
    uv = (soup.uv.index_select(0, face).permute(2, 1, 0).contiguous() * weights).sum(1)
    albedo = sample_texture(paint.textures, uv.T, soup.texture.index_select(0, row)).T[:3].contiguous()
    bare = (paint.painted.index_select(0, person) & soup.is_body.index_select(0, face)).nonzero()[:, 0]
    place = paint.painted.cumsum(0) - 1
    albedo[:, bare] = paint.face_colors[place[person[bare]], face[bare]].T
    dye = person * paint.tint_mix.shape[1] + soup.regions.index_select(0, face)
    mix = paint.tint_mix.flatten().index_select(0, dye)
    tint = paint.tint.flatten(0, 1).index_select(0, dye).T
    albedo = albedo * (1 - mix) + albedo.sum(0) * (2 / 3) * tint * mix
    corners = soup.faces.index_select(0, row).T.flatten()
    normals = (soup.normals.index_select(0, corners).T.contiguous().unflatten(1, (3, -1)) * weights).sum(1)
    normals = _unit(normals)
    position = torch.stack([pixel - line * side, line - image * side]) + 0.5
    ray = (position - camera.center.index_select(0, image).T) / camera.focal.index_select(0, image)
    view = _unit(torch.cat([ray, torch.ones_like(ray[:1])]))
    facing = (normals * view).sum(0)
    normals, facing = normals * -facing.sign(), -facing.abs()
    basis = spherical_harmonics(normals.T).T
    light = (basis[:, None] * lights.flatten(1).index_select(0, image).T.unflatten(0, (9, 3))).sum(0)
    shine = gloss.index_select(0, image) * (1 + facing).clamp(min=0) ** 3
    out = torch.zeros(fragments.face.numel(), 3, device=face.device)
    out.index_copy_(0, pixel, (albedo * light.clamp(min=_AMBIENT_FLOOR) + shine).clamp_(0, 1).T.contiguous())
    return out.unflatten(0, fragments.face.shape)


def _unit(vectors: Float[Tensor, "3 k"]) -> Float[Tensor, "3 k"]:
    x, y, z = vectors
    return vectors / (x * x + y * y + z * z).clamp_min(1e-24).sqrt()
