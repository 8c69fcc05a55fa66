"""Pictures of results: part maps, meshes over the photo and from the side, the one summary picture, reliability; and
labels over pictures."""

from nbf.render.labels import bones, draw_box, draw_joints, over_labels
from nbf.render.mesh import draw_mesh, side_view
from nbf.render.overlay import faded, over, overlay, resized
from nbf.render.parts import part_colors, part_labels
from nbf.render.reliability import reliability, reliability_plot
from nbf.render.summary import summary

__all__ = [
    "bones",
    "draw_box",
    "draw_joints",
    "draw_mesh",
    "faded",
    "over",
    "over_labels",
    "overlay",
    "part_colors",
    "part_labels",
    "reliability",
    "reliability_plot",
    "resized",
    "side_view",
    "summary",
]
