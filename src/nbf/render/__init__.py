"""Pictures of results: part maps, meshes over the photo and from the side, the one summary picture, turntables,
reliability; labels over pictures; sheets of many."""

from nbf.render.labels import bones, draw_box, draw_joints, over_labels
from nbf.render.mesh import draw_mesh, gathered, side_view
from nbf.render.overlay import faded, over, overlay, resized
from nbf.render.parts import part_colors, part_labels
from nbf.render.reliability import reliability, reliability_plot
from nbf.render.sheet import Tile, contact_sheet
from nbf.render.studio import in_studio, studio
from nbf.render.summary import summary

__all__ = [
    "Tile",
    "bones",
    "contact_sheet",
    "draw_box",
    "draw_joints",
    "draw_mesh",
    "faded",
    "gathered",
    "in_studio",
    "over",
    "over_labels",
    "overlay",
    "part_colors",
    "part_labels",
    "reliability",
    "reliability_plot",
    "resized",
    "side_view",
    "studio",
    "summary",
]
