"""What files of posed meshes share."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from torch import Tensor

from nbf.export.world import World
from nbf.raster.attributes import vertex_normals


@dataclass(frozen=True, eq=False)
class Mesh:
    """A mesh as read from a file, in the file's frame and unit."""

    vertices: Float[ndarray, "v 3"]
    faces: Int64[ndarray, "f 3"]
    """Counter-clockwise from outside."""


def points_and_normals(
    vertices: Float[Tensor, "n v 3"], faces: Int64[Tensor, "f 3"], world: World
) -> tuple[Float32[ndarray, "n v 3"], Float32[ndarray, "n v 3"]]:
    """Vertices in the camera's frame, and unit normals, as they are in the world."""
    turn, shift = world.from_camera[:3, :3].T.numpy(), world.from_camera[:3, 3].numpy()
    normals = vertex_normals(vertices, faces).numpy() @ turn
    return (vertices.numpy() @ turn + shift).astype(np.float32), normals.astype(np.float32)
