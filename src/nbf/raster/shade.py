"""Simple shaded pictures of a mesh: one key light that travels with the camera, and ambient light."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from nbf.geometry.camera import Camera
from nbf.raster.attributes import gather_faces, interpolate, vertex_normals
from nbf.raster.zbuffer import rasterize


@dataclass(frozen=True)
class Light:
    """A distant key light and an even ambient light, both white; their sum is the brightest that a surface gets."""

    to_light: tuple[float, float, float] = (-0.3, -0.5, -0.9)
    """Towards the light, in camera axes (x right, y down, z forward): by default from over the left shoulder."""
    key: float = 0.6
    ambient: float = 0.4


def shade(normals: Float[Tensor, "*b 3"], colors: Float[Tensor, "*#b 3"], light: Light) -> Float[Tensor, "*b 3"]:
    """Lambert's law: colours in [0, 1] under a light, for unit normals in camera axes."""
    direction = functional.normalize(torch.tensor(light.to_light, dtype=normals.dtype, device=normals.device), dim=0)
    lit = (normals * direction).sum(dim=-1, keepdim=True).clamp_min(0.0)
    return colors * (light.ambient + light.key * lit)


def render_shaded(
    vertices: Float[Tensor, "b v 3"],
    faces: Int64[Tensor, "f 3"],
    camera: Camera,
    height: int,
    width: int,
    *,
    colors: Float[Tensor, " 3"] | Float[Tensor, "f 3"],
    light: Light | None = None,
    supersample: int = 2,
) -> Float[Tensor, "b 4 {height} {width}"]:
    """Pictures of a mesh in b poses (camera metres), smoothly shaded, with straight alpha: RGBA in [0, 1].

    `colors` is one colour or one for each face. `supersample` x `supersample` samples a pixel smooth the edges: alpha
    is the share of them that hit the mesh. Several people in one picture: one mesh, with their vertices joined.
    """
    pixels_depth = camera.scaled(supersample).pixels_depth(vertices)
    fragments = rasterize(pixels_depth, faces, height * supersample, width * supersample)
    normals = functional.normalize(interpolate(fragments, faces, vertex_normals(vertices, faces)), dim=-1)
    base = colors if colors.ndim == 1 else gather_faces(fragments, colors, 0.0)
    mask = fragments.mask[..., None].to(vertices.dtype)
    color = shade(normals, base, light or Light()) * mask
    mean = functional.avg_pool2d(torch.cat([color, mask], dim=-1).permute(0, 3, 1, 2), supersample)
    # The mean colour is darkened by the samples that hit nothing: undo it.
    return torch.cat([mean[:, :3] / mean[:, 3:].clamp_min(1e-6), mean[:, 3:]], dim=1).clamp(0, 1)
