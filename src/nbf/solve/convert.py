"""Parameters of one body model -> those of another that looks the same: mesh to mesh, through a map of vertices."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.landmarks import Landmarks, Placed, place
from nbf.body.model import BodyModel
from nbf.raster.attributes import vertex_normals
from nbf.solve import terms
from nbf.solve.levenberg import Block, solve

SIGMA, ROBUST = 0.005, 3.0
"""Metres by which mapped points may differ, and beyond how many of these they count less: the models differ there."""
FARTHEST, LEAST_FACING = 0.03, 0.5
"""Metres between a vertex and the other model's surface, and cosine between their normals, within which the vertex is
mapped: hair, shoes, fingers and the inside of a mouth are not on both."""
_ROUNDS = 3  # of matching and fitting
_CANDIDATES = 24  # faces with the nearest centres, of which one is nearest
_AHEAD = 5.0  # metres in front of a camera at the origin, where bodies are fitted
_WEAK_SHAPE, _WEAK_TURN = 0.05, 1.0  # so that what no point tells does not drift: sigmas a beta, sigmas a radian
_WEAK_HANDS = 5.0
_STRONG_SHAPE = 1e3  # of a shape that is known
_MOST_POINTS = 1500  # that are fitted; more take longer and tell nothing new
_POINTS_AT_ONCE = 1024  # whose distances from all faces are in memory
_STEPS = 25


@dataclass(frozen=True)
class VertexMap:
    """Points of a source model's surface, each with the vertex of the target model that lies there."""

    vertex: Int64[Tensor, " n"]
    """Of the target."""
    corners: Int64[Tensor, "n 3"]
    """Vertices of the source."""
    weights: Float[Tensor, "n 3"]
    """Barycentric."""

    def points(self, vertices: Float[Tensor, "b v 3"]) -> Float[Tensor, "b n 3"]:
        """Where the mapped points of source meshes are."""
        return (vertices[:, self.corners] * self.weights[..., None]).sum(2)


class Conversion:
    """From a source model to a target model, both of SMPL's 24 joints."""

    def __init__(self, source: BodyModel, target: BodyModel) -> None:
        self.source, self.target = source, target
        self.map = _mapped(source, target)
        self._fitted = _spread(len(self.map.vertex))
        self._landmarks = Landmarks.vertices(target, self.map.vertex[self._fitted])

    @torch.no_grad()
    def __call__(
        self,
        betas: Float[Tensor, "b s"],
        rotations: Float[Tensor, "b 24 3 3"],
        translation: Float[Tensor, "b 3"],
        shape: Float[Tensor, " t"] | None = None,
    ) -> tuple[Float[Tensor, "b t"], Float[Tensor, "b 24 3 3"], Float[Tensor, "b 3"], Float[Tensor, " b"]]:
        """Betas, rotations and translations of the target, and the mean distance of mapped points that is left, metres.

        Everything may be in any frame; where a body stands makes no difference to how it is converted. `shape` is what
        the target's betas must be, if they are known.
        """
        ahead = translation.new_tensor([0.0, 0.0, _AHEAD])
        pelvis = self.source.rest_joints(betas)[:, 0] + translation
        points = self.map.points(self.source(betas, rotations, translation - pelvis + ahead).vertices)
        likely = betas.new_zeros(self.target.shape_count) if shape is None else shape
        start = Bodies(likely.expand(len(betas), -1), rotations, ahead.expand(len(betas), 3))
        found, wanted, reached = start, points[:, self._fitted], points
        # Landmarks do not know of bulges by the pose: what they come to is taken off what is fitted.
        for _ in range(1 if self.target.pose_dirs is None else 2):
            problem = _Surfaces(self._landmarks, wanted, start, shape is not None)
            found = solve(problem, found, steps=_STEPS)[0].orthonormal()
            reached = found.posed(self.target).vertices[:, self.map.vertex]
            bulge = reached[:, self._fitted] - place(self._landmarks, found, jacobian=False).points
            wanted = points[:, self._fitted] - bulge
        left = (reached - points).norm(dim=-1).mean(1)
        rest = self.target.rest_joints(found.betas)[:, 0]
        return found.betas, found.rotations, found.pelvis - ahead + pelvis - rest, left


def _spread(count: int) -> Int64[Tensor, " m"]:
    """Indices of points that are fitted, spread over all of them: a surface is known by far fewer than it has."""
    return torch.linspace(0, count - 1, min(count, _MOST_POINTS)).long()


@dataclass(frozen=True)
class _Surfaces:
    """Mapped vertices where the source's surface is."""

    landmarks: Landmarks
    points: Float[Tensor, "b n 3"]
    start: Bodies
    shaped: bool = False
    """The start has the shape."""

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        placed = place(self.landmarks, state, jacobian)
        return [
            terms.points_3d(placed, self.points, torch.full(self.points.shape[:2], 1 / SIGMA).to(self.points), ROBUST),
            *_held(state, self.start, jacobian, self.shaped),
        ]


def _held(state: Bodies, start: Bodies, jacobian: bool, shaped: bool = False) -> list[Block]:
    turn = torch.full((24,), _WEAK_TURN).to(state.betas)
    turn[[22, 23]] = _WEAK_HANDS
    betas, root = start.betas, torch.eye(start.betas.shape[1]).to(start.betas)
    root = root * (_STRONG_SHAPE if shaped else _WEAK_SHAPE)
    return [
        terms.shape_among(state, betas, root.expand(len(betas), *root.shape), jacobian),
        terms.near_start(state, start, turn, None, jacobian),
    ]


@torch.no_grad()
def _mapped(source: BodyModel, target: BodyModel) -> VertexMap:
    """The map between two models, by fitting the target's joints, then its surface, to the source's template."""
    one = source.template.new_zeros
    identity, ahead = torch.eye(3).repeat(1, 24, 1, 1), torch.tensor([[0.0, 0.0, _AHEAD]])
    betas = one(1, source.shape_count)
    mesh = source(betas, identity, ahead - source.rest_joints(betas)[:, 0])
    normals = vertex_normals(mesh.vertices, source.faces)[0]
    state = start = Bodies(one(1, target.shape_count), identity, ahead)
    joints = Landmarks.keypoints(target, "smpl24")
    state, _ = solve(_Joints(joints, mesh.joints, start), start, steps=_STEPS)
    found = _closest(target, state, mesh.vertices[0], source.faces, normals)
    for _ in range(_ROUNDS):
        some = _spread(len(found.vertex))
        landmarks = Landmarks.vertices(target, found.vertex[some])
        state, _ = solve(_Surfaces(landmarks, found.points(mesh.vertices)[:, some], start), state, steps=_STEPS)
        found = _closest(target, state, mesh.vertices[0], source.faces, normals)
    return found


@dataclass(frozen=True)
class _Joints:
    landmarks: Landmarks
    joints: Float[Tensor, "b 24 3"]
    start: Bodies

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        placed: Placed = place(self.landmarks, state, jacobian)
        weights = torch.full(self.joints.shape[:2], 1 / (4 * SIGMA)).to(self.joints)
        return [terms.points_3d(placed, self.joints, weights), *_held(state, self.start, jacobian)]


def _closest(
    target: BodyModel,
    state: Bodies,
    vertices: Float[Tensor, "v 3"],
    faces: Int64[Tensor, "f 3"],
    normals: Float[Tensor, "v 3"],
) -> VertexMap:
    """The target's vertices that lie on the source's surface, and where."""
    posed = state.posed(target).vertices
    points, facing = posed[0], vertex_normals(posed, target.faces)[0]
    corners = vertices[faces]
    centres, count = corners.mean(1), min(_CANDIDATES, len(faces))
    near = torch.cat(
        [torch.cdist(some, centres).topk(count, largest=False).indices for some in points.split(_POINTS_AT_ONCE)]
    )
    weights = _barycentric(points, corners[near])
    at = (corners[near] * weights[..., None]).sum(2)
    distance, best = (at - points[:, None]).norm(dim=-1).min(1)
    rows = torch.arange(len(points))
    chosen, shares = faces[near[rows, best]], weights[rows, best]
    normal = torch.nn.functional.normalize((normals[chosen] * shares[..., None]).sum(1), dim=-1)
    kept: Bool[Tensor, " n"] = (distance < FARTHEST) & ((normal * facing).sum(-1) > LEAST_FACING)
    return VertexMap(kept.nonzero()[:, 0], chosen[kept], shares[kept])


def _barycentric(points: Float[Tensor, "n 3"], corners: Float[Tensor, "n k 3 3"]) -> Float[Tensor, "n k 3"]:
    """Of each point's foot on a triangle's plane, moved to the triangle's rim where it lies beside it."""
    a, b, c = corners.unbind(2)
    u, v, w = b - a, c - a, points[:, None] - a
    uu, uv, vv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    area = (uu * vv - uv * uv).clamp_min(torch.finfo(points.dtype).tiny)
    second, third = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    weights = torch.stack([1 - second - third, second, third], -1).clamp(0, 1)
    return weights / weights.sum(-1, keepdim=True)
