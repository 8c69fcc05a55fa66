"""Laws of the anatomical angles and of the inverse-kinematics solver."""

import math

import ik
import pytest
import torch
from ik_start import first_guess

from nbf.body import anatomy
from nbf.body.joints import MIRROR_SMPL24, PARENTS
from nbf.geometry import quaternions
from nbf.solve.levenberg import cost, normal_equations, solve

torch.manual_seed(0)
OFFSETS = torch.randn(24, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 0.2


def some_angles(n: int, seed: int = 0) -> torch.Tensor:
    bounds = anatomy.limits(dtype=torch.float64)
    share = torch.rand(n, 24, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    angles = bounds[..., 0] + share * (bounds[..., 1] - bounds[..., 0])
    angles[:, 0] = 0.5 * angles[:, 0]
    return angles


def rest_places(offsets: torch.Tensor) -> torch.Tensor:
    """Rest joints, the root's at the origin, from each one's offset to its parent."""
    places = [torch.zeros_like(offsets[0])]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        places.append(places[parent] + offsets[joint])
    return torch.stack(places)


REST = rest_places(OFFSETS)


def some_problem(pose: ik.Pose, noise: float) -> ik.PoseProblem:
    n = len(pose.q)
    generator = torch.Generator().manual_seed(5)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=generator)  # noqa: E731
    joints, axis_joints = tuple(range(22)), (7, 8, 10, 11, 15, 15, 20, 20, 21, 21)
    frames, places = pose.placed(REST.expand(n, 24, 3))
    offsets = 0.05 * draw(n, 22, 3)
    points = places[:, joints] + (frames[:, joints] @ offsets[..., None]).squeeze(-1) + noise * draw(n, 22, 3)
    axes = torch.nn.functional.normalize(draw(n, len(axis_joints), 3), dim=-1)
    directions = (frames[:, axis_joints] @ axes[..., None]).squeeze(-1) + noise * draw(n, len(axis_joints), 3)
    weights = torch.rand(n, 22, dtype=torch.float64, generator=generator) * 50
    axis_weights = torch.rand(n, len(axis_joints), dtype=torch.float64, generator=generator) * 10
    seen = ik.Seen(joints, offsets, points, weights, axis_joints, axes, directions, axis_weights)
    return ik.PoseProblem(REST.expand(n, 24, 3), seen)


def residuals(problem: ik.PoseProblem, pose: ik.Pose) -> torch.Tensor:
    return torch.cat([block.residuals.flatten(1) for block in problem.blocks(pose, jacobian=False)], 1)


def test_angles_round_trip() -> None:
    angles = some_angles(200)
    angles[:, 16:18, 1:] *= 0.9
    back = anatomy.angles_from_rotations(anatomy.rotations_from_angles(angles))
    torch.testing.assert_close(back, angles, atol=1e-6, rtol=0)


def test_rotation_round_trip_at_any_rotation() -> None:
    q = torch.nn.functional.normalize(torch.randn(500, 24, 4, dtype=torch.float64), dim=-1)
    rotations = quaternions.matrix(q)
    again = anatomy.rotations_from_angles(anatomy.angles_from_rotations(rotations))
    torch.testing.assert_close(again, rotations, atol=1e-6, rtol=0)


def test_a_rotation_about_one_axis_is_that_angle() -> None:
    for axis in range(3):
        angles = torch.zeros(24, 3, dtype=torch.float64)
        angles[:, axis] = math.radians(40)
        torch.testing.assert_close(
            anatomy.angles_from_quaternion(quaternions.quaternion(angles)), angles, atol=1e-9, rtol=0
        )


def test_limits_mirror() -> None:
    bounds = anatomy.limits()
    flipped = bounds[list(MIRROR_SMPL24)] * torch.tensor([1.0, -1, -1])[:, None]
    torch.testing.assert_close(flipped.sort(-1).values, bounds)
    assert (bounds[..., 0] <= 0).all()
    assert (bounds[..., 1] >= 0).all()


def test_angle_jacobian_is_the_derivative() -> None:
    q = anatomy.quaternion_from_angles(some_angles(3, seed=1))
    moved = lambda d: anatomy.angles_from_quaternion(quaternions.multiply(q, quaternions.quaternion(d)))  # noqa: E731
    step, expected = 1e-6, []
    for axis in range(3):
        d = torch.zeros(3, 24, 3, dtype=torch.float64)
        d[..., axis] = step
        expected.append((moved(d) - moved(-d)) / (2 * step))
    torch.testing.assert_close(anatomy.angle_jacobian(q), torch.stack(expected, -1), atol=1e-5, rtol=1e-5)


def test_normal_equations_are_those_of_the_residuals() -> None:
    n = 2
    q = anatomy.quaternion_from_angles(1.1 * some_angles(n, seed=2))
    pose = ik.Pose(q, torch.randn(n, 3, dtype=torch.float64))
    problem = some_problem(pose, noise=0.1)
    # Central differences of the plain residuals: the twin of the analytic Jacobian.
    columns, h = [], 1e-6
    for i in range(ik.FREEDOMS):
        step = torch.zeros(n, ik.FREEDOMS, dtype=torch.float64)
        step[:, i] = h
        ahead, behind = residuals(problem, pose.moved(step)), residuals(problem, pose.moved(-step))
        columns.append((ahead - behind) / (2 * h))
    J, r = torch.stack(columns, -1), residuals(problem, pose)
    H, g = normal_equations(problem, pose)
    torch.testing.assert_close(H, J.mT @ J, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(g, (J.mT @ r[..., None])[..., 0], atol=1e-3, rtol=1e-4)


def test_recovers_a_known_pose() -> None:
    n = 20
    truth = 0.4 * some_angles(n, seed=4)
    truth[:, 22:] = 0
    pose = ik.Pose(anatomy.quaternion_from_angles(truth), torch.randn(n, 3, dtype=torch.float64))
    problem = some_problem(pose, noise=0.0)
    nudge = quaternions.quaternion(0.2 * torch.randn(n, 24, 3, dtype=torch.float64) * (torch.arange(24) < 22)[:, None])
    found, _ = solve(problem, ik.Pose(quaternions.multiply(pose.q, nudge), pose.root + 0.1), steps=30, tolerance=0.0)
    got, expected = found.placed(problem.rest)[1], pose.placed(problem.rest)[1]
    # The prior pulls a little away from the truth; points are worth 25/m on average.
    assert (got - expected)[:, :22].norm(dim=-1).median() < 0.02


def test_gets_better_and_batch_equals_single() -> None:
    n = 4
    root = torch.zeros(n, 3, dtype=torch.float64)
    start, other = (ik.Pose(anatomy.quaternion_from_angles(some_angles(n, seed=seed)), root) for seed in (6, 7))
    problem = some_problem(other, noise=0.05)
    _, together = solve(problem, start, steps=5, tolerance=0.0)
    assert (together.after < cost(problem, start)).all()
    for one in (slice(i, i + 1) for i in range(n)):
        alone = ik.PoseProblem(problem.rest[one], problem.seen[one])
        _, report = solve(alone, ik.Pose(start.q[one], start.root[one]), steps=5, tolerance=0.0)
        torch.testing.assert_close(report.after, together.after[one], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("side", [0, 1])
def test_hinges_bend_the_natural_way_from_the_first_guess(side: int) -> None:
    angles = torch.zeros(1, 24, 3)
    sign = 1 - 2 * side
    angles[0, 4 + side, 0], angles[0, 1 + side, 0] = math.radians(80), math.radians(-50)
    angles[0, 18 + side, 1], angles[0, 16 + side, 2] = -sign * math.radians(90), -sign * math.radians(60)
    rest = torch.zeros(24, 3)
    rest[1], rest[2], rest[3] = torch.tensor([0.1, -0.1, 0]), torch.tensor([-0.1, -0.1, 0]), torch.tensor([0, 0.1, 0.0])
    rest[4:9:3], rest[5:9:3] = torch.tensor([0, -0.4, 0]), torch.tensor([0, -0.4, 0])
    rest[6], rest[9] = torch.tensor([0, 0.15, 0]), torch.tensor([0, 0.15, 0])
    rest[10:12] = torch.tensor([0, -0.04, 0.1])
    rest[13], rest[14] = torch.tensor([0.1, 0.05, 0]), torch.tensor([-0.1, 0.05, 0])
    for left, x in ((16, 0.1), (18, 0.3), (20, 0.25)):
        rest[left], rest[left + 1] = torch.tensor([x, 0, 0]), torch.tensor([-x, 0, 0])
    pose = ik.Pose(anatomy.quaternion_from_angles(angles), torch.zeros(1, 3))
    _, joints = pose.placed(rest_places(rest)[None])
    guess = first_guess(joints[:, :22], torch.zeros(1, 3), torch.zeros(1), torch.ones(1))
    got = anatomy.angles_from_quaternion(guess)
    moved = [1 + side, 4 + side, 16 + side, 18 + side]
    torch.testing.assert_close(got[:, moved], angles[:, moved], atol=math.radians(6), rtol=0)
