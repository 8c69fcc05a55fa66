"""Laws of refinement: analytic Jacobians against autograd, agreement with the body model, an Adam twin, recovery."""

from functools import cache

import pytest
import torch
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.body.landmarks import Landmarks, place
from nbf.body.model import BodyModel
from nbf.body.pose_prior import PosePrior
from nbf.geometry import Camera, align
from nbf.raster import rasterize
from nbf.solve import terms
from nbf.solve.evidence_problem import BodyProblem, Evidence
from nbf.solve.levenberg import Block, cost, solve
from nbf.solve.surface import Surface

PEOPLE = 3
FLIP = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def small() -> BodyModel:
    return load_body("anny24", "small").double()


@cache
def poses(count: int) -> Tensor:
    """Poses of the bundled prior, upright before the camera."""
    rotations = PosePrior.load(root=True).sample(count, generator()).double()
    return torch.cat([(FLIP @ rotations[:, :1]), rotations[:, 1:]], 1)


@cache
def mixture() -> PosePrior:
    return PosePrior.fit(poses(1200).float(), 3, generator())


def truth(count: int = PEOPLE) -> Bodies:
    betas = 0.5 * torch.randn(count, 11, generator=generator(1), dtype=torch.float64)
    return Bodies(betas, poses(1200)[:count], torch.tensor([[0.0, 0.0, 3.0]]).double().expand(count, 3))


def shaken(state: Bodies, size: float, seed: int = 2) -> Bodies:
    return state.moved(size * torch.randn(len(state.betas), state.freedoms, generator=generator(seed)).double())


def problem() -> BodyProblem:
    """Evidence of true bodies, sought from a start beside them."""
    body, state = small(), truth()
    camera = Camera(torch.full((PEOPLE,), 1.4).double(), torch.full((PEOPLE, 2), 0.5).double())
    output = state.posed(body)
    seen = rasterize(camera.scaled(64).pixels_depth(output.vertices), body.faces, 64, 64)
    labels = torch.where(seen.mask, body.face_parts[seen.face.clamp_min(0)], 0)
    parts = torch.nn.functional.one_hot(labels, 25).movedim(-1, 1).double()
    keypoints = camera.project(body.keypoints(output, "coco17"))
    keypoints = torch.cat([keypoints, torch.ones_like(keypoints[..., :1])], -1)
    evidence = Evidence.of_maps(camera, keypoints, parts)
    return BodyProblem.make(Surface.spread(body, 120), evidence, mixture(), shaken(state, 0.05), pitch=0.1)


def numeric(function, state: Bodies) -> Tensor:
    """Jacobian of (b, ...) values over steps of the state, by autograd; (b, ..., p)."""
    steps = torch.zeros(len(state.betas), state.freedoms, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda step: function(state.moved(step)).sum(0), steps)
    assert isinstance(jacobian, Tensor)
    return jacobian.movedim(-2, 0)


@pytest.mark.parametrize("kind", ["smpl24", "coco17", "lsp14"])
def test_landmarks_lie_where_the_body_model_puts_them(kind: str) -> None:
    state = truth()
    placed = place(Landmarks.keypoints(small(), kind), state)
    torch.testing.assert_close(placed.points, small().keypoints(state.posed(small()), kind))


def test_jacobian_of_landmarks_is_that_of_autograd() -> None:
    body, state = small(), truth()
    points = Landmarks.keypoints(body, "coco17") + Landmarks.vertices(body, torch.arange(0, 1164, 97))
    expected = numeric(lambda moved: place(points, moved, jacobian=False).points, state)
    torch.testing.assert_close(place(points, state).jacobian, expected, atol=1e-6, rtol=1e-6)


def test_jacobians_of_all_residuals_are_those_of_autograd() -> None:
    given = problem()
    state = shaken(given.start, 0.02, seed=3)
    for index, block in enumerate(given.blocks(state)):
        expected = numeric(lambda moved, i=index: given.blocks(moved, jacobian=False)[i].residuals, state)
        scale = float(expected.abs().max().clamp_min(1.0))
        assert block.jacobian is not None
        assert float((block.jacobian - expected).abs().max()) < 1e-5 * scale, f"block {index}"


def test_values_do_not_depend_on_whether_jacobians_are_asked_for() -> None:
    given = problem()
    for plain, full in zip(given.blocks(given.start, jacobian=False), given.blocks(given.start), strict=True):
        torch.testing.assert_close(plain.residuals, full.residuals)


def test_search_lowers_the_cost_at_least_as_far_as_adam() -> None:
    given = problem()
    found, report = solve(given, given.start, steps=40, tolerance=1e-6)
    steps = torch.zeros(PEOPLE, given.start.freedoms, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([steps], lr=0.01)
    for _ in range(150):
        adam.zero_grad()
        cost(given, given.start.moved(steps)).sum().backward()
        adam.step()
    twin = cost(given, given.start.moved(steps.detach()))
    torch.testing.assert_close(report.after, cost(given, found))
    assert (report.after < report.before).all()
    assert (report.after <= twin * 1.02).all()


class _Evidence:
    """True places of joints (3D) and of surface points (2D), and a weak shape prior."""

    def __init__(self, state: Bodies) -> None:
        body = small()
        self.joints = Landmarks.keypoints(body, "smpl24")
        self.points = self.joints + Surface.spread(body, 150).landmarks
        self.camera = Camera(torch.tensor(1000.0).double(), torch.tensor([500.0, 500.0]).double())
        placed = place(self.points, state, jacobian=False).points
        self.places, self.pixels = placed[:, :24], self.camera.project(placed[:, 24:])

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        placed = place(self.points, state, jacobian)
        joints, surface = placed[slice(0, 24)], terms.project(placed[slice(24, None)], self.camera)
        metres = torch.full(self.places.shape[:2], 100.0).to(self.places)
        pixels = torch.full(self.pixels.shape[:2], 1.0).to(self.pixels)
        return [
            terms.points_3d(joints, self.places, metres),
            terms.points_2d(surface, self.pixels, pixels, None),
            terms.shape(state, 0.01, jacobian),
        ]


def test_perturbed_pose_is_recovered_from_true_evidence() -> None:
    state = truth(12)
    turn = torch.zeros(12, state.freedoms, dtype=torch.float64)
    turn[:, :72] = torch.randn(12, 72, generator=generator(5)).double()
    angle = turn[:, :72].unflatten(1, (24, 3)).norm(dim=-1).mean(1)
    start = state.moved(turn * (torch.deg2rad(torch.tensor(15.0)) / angle)[:, None])
    found, report = solve(_Evidence(state), start, steps=40)
    vertices, true = found.posed(small()).vertices, state.posed(small()).vertices
    error = 1000 * (align(vertices, true) - true).norm(dim=-1).mean(1)
    assert (error < 10).float().mean() >= 0.9
    assert (report.after <= report.before).all()
