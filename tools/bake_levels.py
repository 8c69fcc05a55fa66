"""The two levels of detail: the faces of Anny's mesh that are kept, and a coarse mesh tied to it barycentrically."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from anny.face_segmentation import get_face_segmentation_mask
from anny.models.model_transforms import _project_onto_symmetry_plane
from anny.models.retopology import _load_target_topology_mesh
from anny.utils.mesh_utils import triangulate_faces
from anny.utils.warp_mesh_utils import point_to_mesh_distance_and_face_uvs
from bake_rig import Rig, to_body_frame
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

# Never seen from outside: the body's inner linings and the far side of the eyeballs.
HIDDEN = ("mouth_cavity", "eye_cavity.L", "eye_cavity.R", "tongue", "eye_back.L", "eye_back.R")
# Anny's own decimation to 1229 vertices, toes joined.
COARSE = "notoes_collapse10pc"


@dataclass(frozen=True)
class Level:
    """A mesh whose vertices are barycentric combinations of base vertices: v vertices, f faces, u texture points."""

    corners: Tensor  # v 3 int64, base vertex ids
    weights: Tensor  # v 3
    faces: Tensor  # f 3
    uv: Tensor  # u 2
    faces_uv: Tensor  # f 3

    def lift(self, base: Tensor) -> Tensor:
        """Values at base vertices (19158 ...) -> values at this level's (v ...)."""
        weights = self.weights.to(base.dtype).reshape(*self.weights.shape, *([1] * (base.ndim - 1)))
        return (base[self.corners] * weights).sum(1)


def seen_faces(rig: Rig) -> Tensor:
    """Mask (f,) of the faces of Anny's mesh that can be seen from outside."""
    return ~get_face_segmentation_mask(rig.model, list(HIDDEN))


def full_level(rig: Rig) -> Level:
    """Anny's mesh less what is hidden."""
    model, keep = rig.model, seen_faces(rig)
    faces, faces_uv = model.faces[keep], rig.faces_uv[keep]
    # Closed lips still let one see in through the slit; the eyes' openings are filled by the eyeballs.
    lips = openings(faces, across_midline=to_body_frame(model.template_vertices)[:, 0])
    texture = torch.zeros(len(model.template_vertices), dtype=torch.int64).scatter(
        0, faces.flatten(), faces_uv.flatten()
    )
    faces, faces_uv = torch.cat([faces, lips]), torch.cat([faces_uv, texture[lips]])
    vertices, faces = torch.unique(faces, return_inverse=True)
    points, faces_uv = torch.unique(faces_uv, return_inverse=True)
    weights = torch.tensor([[1.0, 0.0, 0.0]]).repeat(len(vertices), 1)
    return Level(vertices[:, None].repeat(1, 3), weights, faces, rig.uv[points], faces_uv)


def small_level(rig: Rig, full: Level) -> Level:
    """Anny's coarse mesh, tied to the full one in Anny's rest pose; the texture layout is carried over by chart."""
    fine, seen = to_body_frame(rig.model.template_vertices), seen_faces(rig)
    everything = rig.model.faces
    points, polygons = _load_target_topology_mesh(COARSE)
    points = to_body_frame(points).float()
    faces = torch.tensor(triangulate_faces(points, polygons.tolist() if torch.is_tensor(polygons) else polygons))
    faces = faces.reshape(-1, 3)
    # Tied to the whole mesh first, hidden linings included: the coarse mesh has the mouth's too, which must not land on
    # the cheeks. What lies on the linings is dropped then, and the openings that this leaves (eyes, mouth) are closed.
    face, bary = closest(points, fine, everything)
    faces = faces[seen[face][faces].any(1)]
    faces = torch.cat([faces, openings(faces)])
    corners = everything[face]
    middle = points[:, 0].abs() < 1e-6
    # The nearest point of a dent in the midline is ambiguous (left or right): keep those in the plane, as Anny does.
    plane, plane_bary, _ = _project_onto_symmetry_plane(points[middle].double(), fine.double(), everything, axis=0)
    corners[middle], bary[middle] = plane, plane_bary.float()
    used, faces = torch.unique(faces, return_inverse=True)
    level = Level(corners[used], bary[used], faces, full.uv[:1], faces)
    placed, ids = level.lift(fine), full.corners[:, 0]
    chart_of_face = charts(full.faces_uv)
    centre_face, _ = closest(placed[faces].mean(1), fine[ids], full.faces)
    wanted = chart_of_face[centre_face]
    uv: list[Tensor] = []
    faces_uv = torch.empty_like(faces)
    for chart in wanted.unique():
        mine = wanted == chart
        members = torch.nonzero(chart_of_face == chart)[:, 0]
        used, local = torch.unique(faces[mine], return_inverse=True)
        near, near_bary = closest(placed[used], fine[ids], full.faces[members])
        faces_uv[mine] = local + sum(map(len, uv))
        uv.append((full.uv[full.faces_uv[members[near]]] * near_bary[..., None]).sum(1))
    return Level(level.corners, level.weights, faces, torch.cat(uv), faces_uv)


def openings(faces: Tensor, across_midline: Tensor | None = None) -> Tensor:
    """Fans of faces that close a mesh's openings, winding as their neighbours do.

    With `across_midline` (x of every vertex) only the openings that reach both sides of x = 0.
    """
    edges = {(a, b) for f in faces.tolist() for a, b in zip(f, f[1:] + f[:1])}
    after = {b: a for a, b in edges if (b, a) not in edges}
    fans: list[list[int]] = []
    while after:
        start, loop = min(after), []
        while start in after:
            loop.append(start)
            start = after.pop(start)
        if across_midline is None or across_midline[loop].min() < 0 < across_midline[loop].max():
            fans += [[loop[0], a, b] for a, b in pairwise(loop[1:])]
    return torch.tensor(fans, dtype=faces.dtype).reshape(-1, 3)


def closest(points: Tensor, vertices: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest face (n,) and barycentric coordinates (n 3) on it of each point."""
    _, face, uv = point_to_mesh_distance_and_face_uvs(
        points=points.float(), vertices=vertices.float(), faces=faces, max_dist=1000.0
    )
    bary = torch.cat([uv, 1 - uv.sum(1, keepdim=True)], 1)
    return face.long(), bary


def charts(faces_uv: Tensor) -> Tensor:
    """Connected piece of the texture layout that each face lies in."""
    ends = faces_uv.numpy()
    rows, columns = ends[:, [0, 1, 2]].ravel(), ends[:, [1, 2, 0]].ravel()
    size = int(ends.max()) + 1
    _, piece = connected_components(coo_matrix((np.ones(len(rows)), (rows, columns)), (size, size)), directed=False)
    return torch.from_numpy(piece).long()[faces_uv[:, 0]]
