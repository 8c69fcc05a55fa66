"""Attributes of what a picture sees: interpolated vertex values, values of faces, normals, textures."""

import torch
from jaxtyping import Float, Int64, Shaped, UInt8
from torch import Tensor
from torch.nn import functional

from nbf.raster.zbuffer import Fragments


def interpolate(
    fragments: Fragments, faces: Int64[Tensor, "f 3"], values: Float[Tensor, "*b v c"], fill: float | int = 0.0
) -> Float[Tensor, "i h w c"]:
    """Values of the vertices at each pixel, perspective correct; `fill` where nothing is seen.

    `values` are the same for all pictures (v, c; also after `rasterize_packed`, with its packed faces) or one set for
    each picture (b, v, c). Differentiable in `values`.
    """
    picture, row, column = fragments.mask.nonzero(as_tuple=True)
    corners = faces[fragments.face[picture, row, column]]
    seen = values[corners] if values.ndim == 2 else values[picture[:, None], corners]
    weights = fragments.barycentrics[picture, row, column].to(values.dtype)
    result = values.new_full((*fragments.face.shape, values.shape[-1]), fill)
    return result.index_put((picture, row, column), (seen * weights[..., None]).sum(dim=1))


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
    a, b, c = (vertices[..., faces[:, corner], :] for corner in range(3))
    normals = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total = total.index_add(-2, faces[:, corner], normals)
    return functional.normalize(total, dim=-1)


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
        return texels[base + row * width + column].to(uv.dtype)

    upper = torch.lerp(texel(top, left), texel(top, right), across.expand(*uv.shape[:-1], channels))
    lower = torch.lerp(texel(bottom, left), texel(bottom, right), across.expand(*uv.shape[:-1], channels))
    color = torch.lerp(upper, lower, down.expand(*uv.shape[:-1], channels))
    return color / 255.0 if textures.dtype == torch.uint8 else color
