"""Pictures of results: part maps, meshes over the photo and from the side, and the one summary picture."""

from nbf.render.mesh import draw_mesh, side_view
from nbf.render.overlay import over, overlay, resized
from nbf.render.parts import part_colors, part_labels
from nbf.render.summary import summary

__all__ = ["draw_mesh", "over", "overlay", "part_colors", "part_labels", "resized", "side_view", "summary"]
