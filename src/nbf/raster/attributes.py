"""Attributes of what a picture sees: interpolated vertex values, values of faces, normals, textures."""

import torch
from jaxtyping import Float, Int64, Shaped, UInt8
from torch import Tensor

from nbf.raster.zbuffer import Fragments

# Meshes whose normals are computed together on a CPU: they then stay in its cache.
_MESHES_CPU = 4
_TINY = 1e-24  # square of the length below which a normal has no direction


def interpolate(
    fragments: Fragments, faces: Int64[Tensor, "f 3"], values: Float[Tensor, "*b v c"], fill: float | int = 0.0
) -> Float[Tensor, "i h w c"]:
    """Values of the vertices at each pixel, perspective correct; `fill` where nothing is seen.

    `values` are the same for all pictures (v, c; also after `rasterize_packed`, with its packed faces) or one set for
    each picture (b, v, c). Differentiable in `values`.
    """
    pixel = fragments.mask.flatten().nonzero()[:, 0]
    corners = faces.index_select(0, fragments.face.flatten().index_select(0, pixel))
    if values.ndim == 3:
        picture = torch.div(pixel, fragments.face[0].numel(), rounding_mode="floor")
        corners = corners + picture[:, None] * values.shape[1]
    # index_select copies whole rows: several times as fast on a CPU as indexing by a tensor.
    seen = values.flatten(0, -2).index_select(0, corners.flatten()).unflatten(0, (-1, 3))
    weights = fragments.barycentrics.flatten(0, -2).index_select(0, pixel).to(values.dtype)
    result = values.new_full((fragments.face.numel(), values.shape[-1]), fill)
    return result.index_copy(0, pixel, (seen * weights[..., None]).sum(dim=1)).unflatten(0, fragments.face.shape)


def gather_faces(fragments: Fragments, values: Shaped[Tensor, "f *c"], fill: float | int) -> Shaped[Tensor, "b h w *c"]:
    """The value of the face seen at each pixel (part label, material, ...); `fill` where nothing is seen."""
    mask = fragments.mask
    result = values.new_full((*mask.shape, *values.shape[1:]), fill)
    result[mask] = values[fragments.face[mask]]
    return result


def vertex_normals(vertices: Float[Tensor, "*b v 3"], faces: Int64[Tensor, "f 3"]) -> Float[Tensor, "*b v 3"]:
    """Unit normals of the vertices: normals of the faces around, weighted by area. Differentiable.

    Vertices of no face, or of faces without area, get a zero normal.
    """
    # Coordinates before vertices, and gather rather than indexing: several times as fast on a CPU.
    rows = vertices.mT.flatten(0, -3) if vertices.ndim > 2 else vertices.mT[None]
    corners = faces.T.flatten()
    normals = []
    for mesh in rows.split(_MESHES_CPU if rows.device.type == "cpu" else max(len(rows), 1)):
        x, y, z = mesh.gather(2, corners.expand(*mesh.shape[:2], -1)).unflatten(2, (3, -1)).unbind(1)
        (x1, x2), (y1, y2), (z1, z2) = ((t[:, 1:] - t[:, :1]).unbind(1) for t in (x, y, z))
        cross = torch.stack([y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2], 1)
        total = torch.zeros_like(mesh)
        for corner in range(3):
            total = total.index_add(2, faces[:, corner], cross)
        x, y, z = total.unbind(1)
        length = (x * x + y * y + z * z).clamp_min(_TINY).sqrt()
        normals.append((total / length[:, None]).mT)
    return torch.cat(normals).reshape(vertices.shape)


def sample_texture(
    textures: Float[Tensor, "t h w c"] | UInt8[Tensor, "t h w c"],
    uv: Float[Tensor, "*p 2"],
    index: Int64[Tensor, "*p"] | None = None,
) -> Float[Tensor, "*p c"]:
    """Bilinear lookup in textures of one size: `index` names the texture of each lookup (none: the first).

    `uv` in [0, 1]: u to the right, v downwards as picture rows, texel centres at half-integers; beyond the border the
    border's colour goes on. uint8 textures give value/255.
    """
    _, height, width, channels = textures.shape
    x = (uv[..., 0] * width - 0.5).clamp(0, width - 1)
    y = (uv[..., 1] * height - 0.5).clamp(0, height - 1)
    left, top = x.long().clamp_max(max(width - 2, 0)), y.long().clamp_max(max(height - 2, 0))
    right, bottom = (left + 1).clamp_max(width - 1), (top + 1).clamp_max(height - 1)
    across, down = (x - left)[..., None], (y - top)[..., None]
    texels = textures.reshape(-1, channels)
    base = 0 if index is None else index * (height * width)

    def texel(row: Tensor, column: Tensor) -> Tensor:
        place = base + row * width + column
        return texels.index_select(0, place.flatten()).unflatten(0, place.shape).to(uv.dtype)

    upper = torch.lerp(texel(top, left), texel(top, right), across.expand(*uv.shape[:-1], channels))
    lower = torch.lerp(texel(bottom, left), texel(bottom, right), across.expand(*uv.shape[:-1], channels))
    color = torch.lerp(upper, lower, down.expand(*uv.shape[:-1], channels))
    return color / 255.0 if textures.dtype == torch.uint8 else color
