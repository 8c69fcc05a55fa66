"""Simple shaded pictures of a mesh: one key light that travels with the camera, and ambient light."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from nbf.geometry.camera import Camera
from nbf.raster.attributes import vertex_normals
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
    # Only the part of the picture that the mesh can reach is drawn: photos are large and people in them small.
    left, top, right, bottom = _reach(camera.project(vertices), height, width)
    window = Camera(camera.focal, camera.center - camera.center.new_tensor([left, top])).scaled(supersample)
    rows, columns = bottom - top, right - left
    fragments = rasterize(window.pixels_depth(vertices), faces, rows * supersample, columns * supersample)
    picture, row, column = fragments.mask.nonzero(as_tuple=True)
    face = fragments.face[picture, row, column]
    corners = vertex_normals(vertices, faces)[picture[:, None], faces[face]]
    normals = (corners * fragments.barycentrics[picture, row, column][..., None]).sum(dim=1)
    color = shade(functional.normalize(normals, dim=-1), colors if colors.ndim == 1 else colors[face], light or Light())
    # Sums of colour and number of hits over the samples of each pixel.
    pixel = (picture * rows + row // supersample) * columns + column // supersample
    sums = color.new_zeros(len(vertices) * rows * columns, 4)
    sums = sums.index_add(0, pixel, functional.pad(color, (0, 1), value=1.0))
    alpha = sums[:, 3:] / supersample**2
    drawn = torch.cat([sums[:, :3] / sums[:, 3:].clamp_min(1.0), alpha], dim=1)
    drawn = drawn.reshape(len(vertices), rows, columns, 4).permute(0, 3, 1, 2)
    return functional.pad(drawn, (left, width - right, top, height - bottom)).clamp(0.0, 1.0)


def _reach(pixels: Tensor, height: int, width: int) -> tuple[int, int, int, int]:
    """The smallest window (left, top, right, bottom) of a picture that holds every vertex inside of the picture."""
    pixels = pixels.reshape(-1, 2).nan_to_num()
    frame = pixels.new_tensor([width, height])
    first = pixels.amin(dim=0).floor().clamp_min(0.0).minimum(frame)
    last = pixels.amax(dim=0).ceil().minimum(frame).maximum(first)
    left, top, right, bottom = torch.cat([first, last]).long().tolist()
    return left, top, right, bottom
