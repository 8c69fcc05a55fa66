"""A z-buffer rasteriser in plain PyTorch (any device, no OpenGL) and attributes of what is seen."""

from nbf.raster.attributes import gather_faces, interpolate, sample_texture, vertex_normals
from nbf.raster.zbuffer import Fragments, faces_in_view, rasterize, rasterize_packed

__all__ = [
    "Fragments",
    "faces_in_view",
    "gather_faces",
    "interpolate",
    "rasterize",
    "rasterize_packed",
    "sample_texture",
    "vertex_normals",
]
