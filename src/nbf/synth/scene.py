"""Dressed people as one packed triangle soup, and its picture.

Every mesh type that can be seen (the body, a suit, a hairstyle) is a `Piece`: a linear blend shape mesh on the body's
own coefficients and joints. A crowd is posed piece by piece, over all the people who wear it, and drawn in one call.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from nbf.body.model import skin
from nbf.raster.attributes import interpolate, sample_texture, vertex_normals
from nbf.raster.zbuffer import Fragments, rasterize_packed
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
class Soup:
    """All people's triangles: vertices in camera metres; one row per face for everything that a face carries."""

    vertices: Float[Tensor, "v 3"]
    normals: Float[Tensor, "v 3"]
    surface: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    uv: Float[Tensor, "f 3 2"]
    texture: Int[Tensor, " f"]
    parts: Int[Tensor, " f"]
    regions: Int[Tensor, " f"]
    person: Int[Tensor, " f"]
    piece_face: Int[Tensor, " f"]
    is_body: Bool[Tensor, " f"]
    double_sided: Bool[Tensor, " f"]
    transparent: Bool[Tensor, " f"]


@dataclass(frozen=True)
class Paint:
    """How people are coloured: textures, recolouring per person, optionally painted body faces."""

    textures: UInt8[Tensor, "t side side 4"]
    tint: Float[Tensor, "p regions 3"]
    tint_mix: Float[Tensor, "p regions"]
    """0 keeps the texture's own colours, 1 replaces them by the texture's brightness times `tint`."""
    painted: Bool[Tensor, " p"]
    face_colors: Float[Tensor, "p f 3"]
    """Colours of the body's faces of painted people: they stand for the skin texture."""


def pose_crowd(
    wearing: list[Wearing],
    betas: Float[Tensor, "p s"],
    transforms: Float[Tensor, "p 24 3 4"],
) -> Soup:
    """Pose every piece on the people who wear it and concatenate the triangles."""
    rows: dict[str, list[Tensor]] = {name: [] for name in Soup.__dataclass_fields__}
    base = 0
    for wear in wearing:
        piece, people = wear.piece, wear.people
        count, n, f = len(people), len(piece.rest), len(piece.faces)
        if count == 0:
            continue
        rest = piece.rest + torch.einsum("nds,ps->pnd", piece.shape_dirs, betas[people])
        vertices = skin(rest, piece.skin_joints, piece.skin_weights, transforms[people])
        offsets = base + n * torch.arange(count, device=betas.device)[:, None, None]
        values = {
            "faces": piece.faces + offsets,
            "uv": piece.uv.expand(count, f, 3, 2),
            "texture": wear.texture[:, None].expand(count, f),
            "parts": piece.parts.expand(count, f),
            "regions": piece.regions.expand(count, f),
            "person": people[:, None].expand(count, f),
            "piece_face": torch.arange(f, device=betas.device).expand(count, f),
            "is_body": torch.full((count, f), wear.shown is not None, device=betas.device),
            "double_sided": torch.full((count, f), piece.double_sided, device=betas.device),
            "transparent": torch.full((count, f), piece.transparent, device=betas.device),
        }
        for name, value in values.items():
            rows[name].append(value.flatten(0, 1) if wear.shown is None else value[wear.shown])
        rows["vertices"].append(vertices.flatten(0, 1))
        rows["normals"].append(vertex_normals(vertices, piece.faces).flatten(0, 1))
        rows["surface"].append(piece.surface.repeat(count, 1))
        base += count * n
    return Soup(**{name: torch.cat(parts) for name, parts in rows.items()})


def draw(
    soup: Soup,
    image_of_person: Int[Tensor, " p"],
    focal: Float[Tensor, " n"],
    center: Float[Tensor, "n 2"],
    resolution: int,
    textures: UInt8[Tensor, "t side side 4"],
) -> Fragments:
    """Z-buffer the soup into one square picture per camera; see-through texels of hair are discarded."""
    image = image_of_person[soup.person]
    image_of_vertex = torch.zeros(len(soup.vertices), dtype=torch.int64, device=image.device)
    image_of_vertex[soup.faces.reshape(-1)] = image.repeat_interleave(3)
    depth = soup.vertices[:, 2]
    pixels = (
        soup.vertices[:, :2] / depth[:, None].clamp(min=1e-3) * focal[image_of_vertex, None] + center[image_of_vertex]
    )
    points = torch.cat([pixels, depth[:, None]], -1)

    def keep(faces: Int[Tensor, " k"], barycentrics: Float[Tensor, "k 3"]) -> Bool[Tensor, " k"]:
        opaque = ~soup.transparent[faces]
        hair = (~opaque).nonzero()[:, 0]
        uv = (soup.uv[faces[hair]] * barycentrics[hair, :, None]).sum(1)
        side = textures.shape[1]
        texel = (uv * side).long().clamp(0, side - 1)
        alpha = textures[soup.texture[faces[hair]], texel[:, 1], texel[:, 0], 3]
        opaque[hair] = alpha >= ALPHA_THRESHOLD * 255
        return opaque

    return rasterize_packed(
        points, soup.faces, image, len(focal), resolution, resolution, cull=~soup.double_sided, keep=keep
    )


def shade(
    soup: Soup, fragments: Fragments, paint: Paint, lights: Float[Tensor, "n 9 3"], gloss: Float[Tensor, " n"]
) -> Float[Tensor, "n r r 3"]:
    """Colours of the covered pixels (zero elsewhere): texture or painted colour, recoloured, under harmonic light."""
    covered = fragments.face >= 0
    face = fragments.face[covered]
    weights = fragments.barycentrics[covered]
    person, region = soup.person[face], soup.regions[face]
    uv = (soup.uv[face] * weights[..., None]).sum(1)
    albedo = sample_texture(paint.textures, uv, soup.texture[face])[..., :3]
    bare = paint.painted[person] & soup.is_body[face]
    albedo = torch.where(bare[:, None], paint.face_colors[person, soup.piece_face[face] * bare], albedo)
    mix = paint.tint_mix[person, region][:, None]
    albedo = albedo * (1 - mix) + albedo.mean(-1, keepdim=True) * 2 * paint.tint[person, region] * mix
    normals = torch.nn.functional.normalize((soup.normals[soup.faces[face]] * weights[..., None]).sum(1), dim=-1)
    position = (soup.vertices[soup.faces[face]] * weights[..., None]).sum(1)
    view = torch.nn.functional.normalize(position, dim=-1)
    normals = torch.where(((normals * view).sum(-1) > 0)[:, None], -normals, normals)
    image = covered.nonzero()[:, 0]
    light = torch.einsum("kb,kbc->kc", spherical_harmonics(normals), lights[image]).clamp(min=_AMBIENT_FLOOR)
    rim = (1 + (normals * view).sum(-1)).clamp(min=0) ** 3
    out = torch.zeros(*covered.shape, 3, device=face.device)
    out[covered] = (albedo * light + gloss[image, None] * rim[:, None]).clamp(0, 1)
    return out


def surface_map(soup: Soup, fragments: Fragments) -> Float[Tensor, "n r r 3"]:
    """Canonical surface coordinate of every covered pixel."""
    return interpolate(fragments, soup.faces, soup.surface)
