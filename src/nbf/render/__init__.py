"""Pictures of results: part maps, meshes over the photo and from the side, the one summary picture, reliability."""

from nbf.render.mesh import draw_mesh, side_view
from nbf.render.overlay import over, overlay, resized
from nbf.render.parts import part_colors, part_labels
from nbf.render.reliability import reliability, reliability_plot
from nbf.render.summary import summary

__all__ = [
    "draw_mesh",
    "over",
    "overlay",
    "part_colors",
    "part_labels",
    "reliability",
    "reliability_plot",
    "resized",
    "side_view",
    "summary",
]
