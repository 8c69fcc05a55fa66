"""A few hundred points spread over the body's surface, with the part each lies on, and which of them a camera sees."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.landmarks import Landmarks
from nbf.body.model import BodyModel
from nbf.body.parts import merge_labels
from nbf.geometry import Camera
from nbf.raster import rasterize, vertex_normals
from nbf.solve.maps import MERGED

POINTS = 360
_RASTER = 64
# Metres that a point may lie behind what the coarse raster shows and still count as seen.
_BEHIND = 0.04
# Cosine between a point's normal and the line of sight below which it may lie on the outline.
_GRAZING = 0.5


@dataclass(frozen=True)
class Surface:
    """n of the body's vertices."""

    body: BodyModel
    index: Int64[Tensor, " n"]
    part: Int64[Tensor, " n"]
    """Merged part, 1..14."""
    landmarks: Landmarks

    @classmethod
    def spread(cls, body: BodyModel, count: int = POINTS) -> "Surface":
        """Evenly spread: each next point the furthest from those before (Gonzalez 1985), from vertex 0."""
        template = body.template
        chosen = [0]
        distance = (template - template[0]).norm(dim=1)
        while len(chosen) < min(count, len(template)):
            chosen.append(int(distance.argmax()))
            distance = torch.minimum(distance, (template - template[chosen[-1]]).norm(dim=1))
        index = torch.tensor(chosen).sort().values
        return cls(body, index, vertex_parts(body)[index], Landmarks.vertices(body, index))

    def seen_by(
        self, state: Bodies, camera: Camera
    ) -> tuple[Bool[Tensor, "b n"], Bool[Tensor, "b n"], Float[Tensor, "b n 2"]]:
        """Of each point: whether it is seen; whether it may lie on the outline; its outward normal on the picture.

        `camera` is in units of the map's side (0..1 both ways).
        """
        vertices = state.posed(self.body).vertices
        pixels = camera.scaled(_RASTER).pixels_depth(vertices)
        depth = rasterize(pixels, self.body.faces, _RASTER, _RASTER).depth
        points = pixels[:, self.index]
        x, y = points[..., :2].long().clamp(0, _RASTER - 1).unbind(-1)
        people = torch.arange(len(points), device=points.device)[:, None]
        inside = ((points[..., :2] >= 0) & (points[..., :2] < _RASTER)).all(-1)
        normals = vertex_normals(vertices, self.body.faces)[:, self.index]
        sight = torch.nn.functional.normalize(vertices[:, self.index], dim=-1)
        cosine = (normals * sight).sum(-1)
        seen = (points[..., 2] < depth[people, y, x] + _BEHIND) & (cosine < 0.1) & inside
        rim = (cosine.abs() < _GRAZING) & inside
        return seen, rim, torch.nn.functional.normalize(normals[..., :2], dim=-1)


def vertex_parts(body: BodyModel) -> Int64[Tensor, " v"]:
    """The merged part (1..14) to which most faces around each vertex belong."""
    votes = torch.zeros(len(body.template), MERGED + 1)
    labels = merge_labels(body.face_parts, MERGED)
    for corner in range(3):
        votes.index_put_((body.faces[:, corner], labels), torch.ones(len(labels)), accumulate=True)
    return votes.argmax(1)
