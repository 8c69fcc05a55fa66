"""Laws of residuals: analytic Jacobians against differences, ground, spheres and steadiness, scipy's answer."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from bodies import PEOPLE, camera, generator, noise, people, prior, small
from scipy.optimize import least_squares
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.joints import SMPL24, mirror_rotations
from nbf.body.landmarks import Landmarks, Placed, place
from nbf.body.measure import height
from nbf.geometry import matrix_from_axis_angle
from nbf.solve import terms
from nbf.solve.levenberg import Block, cost, solve
from nbf.solve.maps import Fields
from nbf.solve.spheres import Spheres

Terms = Callable[[Bodies, bool], list[Block]]
DIRECTIONS = torch.randn(6, 86, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
"""Of steps: two different Jacobians agree along random ones with probability zero."""


@cache
def spheres() -> Spheres:
    return Spheres.of(small())


def joints(state: Bodies, jacobian: bool) -> Placed:
    return place(Landmarks.keypoints(small(), "smpl24"), state, jacobian)


def every_term() -> dict[str, Terms]:
    """Every residual, of made-up evidence."""
    start, ones = people(), torch.ones(PEOPLE, 24).double()
    view, betas = camera(), small().shape_count
    among = noise(PEOPLE, betas, betas)
    fields = Fields(torch.rand(PEOPLE, 15, 16, 16, generator=generator()).double())
    channel = torch.randint(0, 15, (PEOPLE, 24), generator=generator())
    vertex = torch.randint(0, 24, (PEOPLE, 9), generator=generator())
    normals = torch.nn.functional.normalize(noise(PEOPLE, 9, 2), dim=-1)
    down = torch.nn.functional.normalize(noise(PEOPLE, 3), dim=-1)
    tall, aside = torch.tensor([1.7, torch.nan]).double(), noise(3)
    inflated = 2.5 * spheres().radii(start.betas)
    every = torch.ones(PEOPLE, len(spheres().pairs)).double()

    def pixels(state: Bodies, jacobian: bool) -> Placed:
        return terms.project(joints(state, jacobian), view)

    places, spots, stiff = noise(PEOPLE, 24, 3), noise(PEOPLE, 24, 2), torch.linspace(0.5, 2, 24).double()
    away, tangents, even = shaken(start), noise(PEOPLE, 9, 2), torch.ones(PEOPLE, 9).double()
    return {
        "points_2d": lambda s, j: [terms.points_2d(pixels(s, j), spots, ones, None)],
        "points_3d": lambda s, j: [terms.points_3d(joints(s, j), places, ones)],
        "inside": lambda s, j: [terms.inside(pixels(s, j), fields, channel, ones, None)],
        "normals": lambda s, j: [terms.along_normals(pixels(s, j), vertex, tangents, normals, even, None)],
        "along": lambda s, j: [terms.along(joints(s, j), aside, ones[0], None)],
        "pose": lambda s, j: [terms.pose(s, prior(), 0.7, j)],
        "shape": lambda s, j: [terms.shape(s, 0.7, j)],
        "shape_among": lambda s, j: [terms.shape_among(s, noise(PEOPLE, betas), among, j)],
        "height": lambda s, j: [terms.height(s, small(), tall, 0.1, j)],
        "near_start": lambda s, j: [terms.near_start(s, away, stiff, None, j)],
        "above_ground": lambda s, j: [terms.above_ground(joints(s, j), down, down[:, 2] * 3, ones)],
        "apart": lambda s, j: [terms.apart(placed_spheres(s, j), spheres().pairs, inflated, every)],
        "steady": lambda s, j: [terms.steady(joints(s, j), places, ones)],
    }


def placed_spheres(state: Bodies, jacobian: bool = False) -> Placed:
    return place(spheres().landmarks, state, jacobian)


def shaken(state: Bodies, size: float = 0.1, seed: int = 7) -> Bodies:
    return state.moved(size * noise(len(state.betas), state.freedoms, seed=seed))


def along_directions(values: Callable[[Bodies], Tensor], state: Bodies, size: float = 1e-5) -> Tensor:
    """Central differences of values (b, ...) along DIRECTIONS of the step; (b, ..., 6)."""
    steps = [size * direction.expand(len(state.betas), -1) for direction in DIRECTIONS]
    return torch.stack([values(state.moved(step)) - values(state.moved(-step)) for step in steps], -1) / (2 * size)


@pytest.mark.parametrize("name", every_term())
def test_jacobian_is_that_of_differences(name: str) -> None:
    term, state = every_term()[name], people()
    for index, block in enumerate(term(state, True)):
        expected = along_directions(lambda moved, i=index: term(moved, False)[i].residuals, state)
        assert block.jacobian is not None
        torch.testing.assert_close(block.residuals, term(state, False)[index].residuals)
        torch.testing.assert_close(block.jacobian @ DIRECTIONS.T, expected, atol=1e-5, rtol=1e-5)
    assert any(bool((block.residuals != 0).any()) for block in term(state, False))


def test_known_heights_are_those_of_measure() -> None:
    state = people(4)
    tall = height(small().rest_vertices(state.betas))
    assert float(terms.height(state, small(), tall, 0.01, False).residuals.abs().max()) < 1e-6


def test_shape_among_is_the_mahalanobis_distance() -> None:
    state, root, means = (
        people(4),
        torch.eye(small().shape_count).double() + 0.3 * noise(4, 11, 11).tril(),
        noise(4, 11),
    )
    covariances = torch.linalg.inv(root.mT @ root)
    found = terms.shape_among(state, means, root, False).residuals.square().sum((1, 2))
    away = state.betas - means
    torch.testing.assert_close(found, torch.einsum("ni,nij,nj->n", away, torch.linalg.inv(covariances), away))
    # Of whom nobody knows anything, nothing is asked.
    assert (terms.shape_among(state, means, 0 * root, False).residuals == 0).all()


def test_ground_costs_nothing_to_whom_it_carries() -> None:
    state = people()
    points = joints(state, True)
    up = torch.tensor([[0.0, -1.0, 0.0]]).double().expand(PEOPLE, 3)
    height_above = (points.points * up[:, None]).sum(-1)
    ones = torch.ones(PEOPLE, 24).double()
    block = terms.above_ground(points, up, height_above.amin(1) - 1e-6, ones)
    assert block.jacobian is not None
    assert (block.residuals == 0).all()
    assert (block.jacobian == 0).all()
    sunk = terms.above_ground(points, up, height_above.amin(1) + 0.05, ones)
    torch.testing.assert_close(sunk.residuals.amax((1, 2)), torch.full((PEOPLE,), 0.05).double())


def test_ground_lifts_a_body_that_stands_in_it() -> None:
    state, up = people(), torch.tensor([[0.0, -1.0, 0.0]]).double().expand(PEOPLE, 3)
    floor = (joints(state, False).points * up[:, None]).sum(-1).amin(1) + 0.1

    class Standing:
        def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
            ones = torch.ones(PEOPLE, 24).double()
            away = terms.steady(joints(state, jacobian), joints(start, False).points, ones)
            return [terms.above_ground(joints(state, jacobian), up, floor, 1000 * ones), away]

    start = state
    found, _ = solve(Standing(), state)
    deepest = (joints(found, False).points * up[:, None]).sum(-1).amin(1) - floor
    assert (deepest > -1e-3).all()


def depths(state: Bodies) -> Tensor:
    pairs = spheres().pairs
    every = torch.ones(len(state.betas), len(pairs)).double()
    return terms.apart(placed_spheres(state), pairs, spheres().radii(state.betas), every).residuals[..., 0]


def resting(count: int = 1) -> Bodies:
    eye = torch.eye(3).double().repeat(count, 24, 1, 1)
    return Bodies(torch.zeros(count, small().shape_count).double(), eye, torch.tensor([[0.0, 0.0, 3.0]]).double())


def test_spheres_lie_within_the_body_and_touch_nothing_at_rest() -> None:
    radii = spheres().radii(people(4).betas)
    assert float(radii.min()) > 0.005
    assert float(radii.max()) < 0.2
    assert (depths(resting()) == 0).all()


def test_mirror_image_sinks_as_deep() -> None:
    state = people(20, seed=3)
    mirrored = Bodies(
        state.betas, mirror_rotations(state.rotations), state.pelvis * state.pelvis.new_tensor([-1, 1, 1])
    )
    assert float(depths(state).amax()) > 0
    torch.testing.assert_close(depths(state).sum(1), depths(mirrored).sum(1), rtol=0.05, atol=2e-3)


def test_hand_comes_out_of_the_belly() -> None:
    start = resting()
    turn = torch.zeros(24, 3).double()
    turn[SMPL24.index("left_shoulder"), 2] = turn[SMPL24.index("left_elbow"), 2] = -1.2
    start = Bodies(start.betas, matrix_from_axis_angle(turn)[None], start.pelvis)
    assert float(depths(start).max()) > 0.03

    class Apart:
        def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
            placed, pairs = placed_spheres(state, jacobian), spheres().pairs
            hundred = torch.full((1, len(pairs)), 100.0).double()
            stiff = torch.ones(24).double()
            return [
                terms.apart(placed, pairs, spheres().radii(state.betas), hundred),
                terms.near_start(state, start, stiff, None, jacobian),
                terms.shape(state, 100.0, jacobian),
            ]

    found, report = solve(Apart(), start)
    assert (report.after < report.before).all()
    assert float(depths(found).max()) < 0.01


def test_steady_points_cost_nothing_and_others_in_metres() -> None:
    state = people()
    points = joints(state, False)
    ones = torch.ones(PEOPLE, 24).double()
    assert (terms.steady(points, points.points, ones).residuals == 0).all()
    moved = terms.steady(points, points.points + 0.3, ones / 0.1).residuals
    torch.testing.assert_close(moved, torch.full_like(moved, -3.0))


class Places:
    """3D places of the joints of true bodies, known to a centimetre, and the shape prior."""

    def __init__(self, state: Bodies) -> None:
        self.start = state
        self.places = joints(state, False).points + 0.01 * noise(len(state.betas), 24, 3, seed=5)

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        known = torch.full(self.places.shape[:2], 100.0).double()
        away = terms.points_3d(joints(state, jacobian), self.places, known)
        turns = terms.near_start(state, self.start, torch.ones(24).double(), None, jacobian)
        return [away, terms.shape(state, 1.0, jacobian), turns]


def test_body_is_as_near_as_scipy_gets() -> None:
    true = people(1)
    problem, start = Places(true), shaken(true, 0.08)
    found, report = solve(problem, start, steps=60, tolerance=1e-9)

    def values(step: np.ndarray) -> np.ndarray:
        blocks = problem.blocks(start.moved(torch.from_numpy(step)[None]), False)
        return torch.cat([block.residuals.flatten() for block in blocks]).numpy()

    expected = least_squares(values, np.zeros(start.freedoms), xtol=1e-6, ftol=1e-6)
    assert float(report.after[0]) == pytest.approx(expected.cost, rel=1e-4)
    torch.testing.assert_close(report.after, cost(problem, found))
