"""A z-buffer rasteriser in plain PyTorch (any device, no OpenGL), attributes of what is seen, and simple shading."""

from nbf.raster.attributes import gather_faces, interpolate, sample_texture, vertex_normals
from nbf.raster.shade import Light, render_shaded, shade
from nbf.raster.zbuffer import Fragments, rasterize, rasterize_packed

__all__ = [
    "Fragments",
    "Light",
    "gather_faces",
    "interpolate",
    "rasterize",
    "rasterize_packed",
    "render_shaded",
    "sample_texture",
    "shade",
    "vertex_normals",
]
