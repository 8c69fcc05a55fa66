"""Laws of the anatomical angles and of the inverse-kinematics solver."""

import math

import pytest
import torch

from nbf.body import anatomy
from nbf.body.joints import MIRROR_SMPL24
from nbf.synth import ik

torch.manual_seed(0)
OFFSETS = torch.randn(24, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 0.2


def some_angles(n: int, seed: int = 0) -> torch.Tensor:
    bounds = anatomy.limits(dtype=torch.float64)
    share = torch.rand(n, 24, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    angles = bounds[..., 0] + share * (bounds[..., 1] - bounds[..., 0])
    angles[:, 0] = 0.5 * angles[:, 0]
    return angles


def some_seen(n: int, q: torch.Tensor, translation: torch.Tensor, noise: float) -> ik.Seen:
    generator = torch.Generator().manual_seed(5)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=generator)  # noqa: E731
    joints, axis_joints = tuple(range(22)), (7, 8, 10, 11, 15, 15, 20, 20, 21, 21)
    frames, places = ik.forward(q, translation, OFFSETS.expand(n, 24, 3))
    offsets = 0.05 * draw(n, 22, 3)
    points = places[:, joints] + (frames[:, joints] @ offsets[..., None]).squeeze(-1) + noise * draw(n, 22, 3)
    axes = torch.nn.functional.normalize(draw(n, len(axis_joints), 3), dim=-1)
    directions = (frames[:, axis_joints] @ axes[..., None]).squeeze(-1) + noise * draw(n, len(axis_joints), 3)
    weights = torch.rand(n, 22, dtype=torch.float64, generator=generator) * 50
    axis_weights = torch.rand(n, len(axis_joints), dtype=torch.float64, generator=generator) * 10
    return ik.Seen(joints, offsets, points, weights, axis_joints, axes, directions, axis_weights)


def stepped(q: torch.Tensor, translation: torch.Tensor, step: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    turn = torch.zeros(len(q), 24, 3, dtype=q.dtype)
    turn = torch.cat([step[:, : 3 * ik.SOLVED].reshape(-1, ik.SOLVED, 3), turn[:, ik.SOLVED :]], 1)
    return anatomy.multiply(q, anatomy.quaternion(turn)), translation + step[:, 3 * ik.SOLVED :]


def test_angles_round_trip() -> None:
    angles = some_angles(200)
    angles[:, 16:18, 1:] *= 0.9
    back = anatomy.angles_from_rotations(anatomy.rotations_from_angles(angles))
    torch.testing.assert_close(back, angles, atol=1e-6, rtol=0)


def test_rotation_round_trip_at_any_rotation() -> None:
    q = torch.nn.functional.normalize(torch.randn(500, 24, 4, dtype=torch.float64), dim=-1)
    rotations = anatomy.matrix(q)
    again = anatomy.rotations_from_angles(anatomy.angles_from_rotations(rotations))
    torch.testing.assert_close(again, rotations, atol=1e-6, rtol=0)


def test_a_rotation_about_one_axis_is_that_angle() -> None:
    for axis in range(3):
        angles = torch.zeros(24, 3, dtype=torch.float64)
        angles[:, axis] = math.radians(40)
        torch.testing.assert_close(
            anatomy.angles_from_quaternion(anatomy.quaternion(angles)), angles, atol=1e-9, rtol=0
        )


def test_limits_mirror() -> None:
    bounds = anatomy.limits()
    flipped = bounds[list(MIRROR_SMPL24)] * torch.tensor([1.0, -1, -1])[:, None]
    torch.testing.assert_close(flipped.sort(-1).values, bounds)
    assert (bounds[..., 0] <= 0).all()
    assert (bounds[..., 1] >= 0).all()


def test_angle_jacobian_is_the_derivative() -> None:
    q = anatomy.quaternion_from_angles(some_angles(3, seed=1))
    moved = lambda d: anatomy.angles_from_quaternion(anatomy.multiply(q, anatomy.quaternion(d)))  # noqa: E731
    step, expected = 1e-6, []
    for axis in range(3):
        d = torch.zeros(3, 24, 3, dtype=torch.float64)
        d[..., axis] = step
        expected.append((moved(d) - moved(-d)) / (2 * step))
    torch.testing.assert_close(anatomy.angle_jacobian(q), torch.stack(expected, -1), atol=1e-5, rtol=1e-5)


def test_normal_equations_are_those_of_the_residuals() -> None:
    n = 2
    q = anatomy.quaternion_from_angles(1.1 * some_angles(n, seed=2))
    translation = torch.randn(n, 3, dtype=torch.float64)
    seen = some_seen(n, q, translation, noise=0.1)
    offsets = OFFSETS.expand(n, 24, 3)
    # Central differences of the plain residuals: the twin of the analytic Jacobian.
    columns, h = [], 1e-6
    for i in range(3 * ik.SOLVED + 3):
        step = torch.zeros(n, 3 * ik.SOLVED + 3, dtype=torch.float64)
        step[:, i] = h
        ahead = ik.residuals(*stepped(q, translation, step), offsets, seen)
        columns.append((ahead - ik.residuals(*stepped(q, translation, -step), offsets, seen)) / (2 * h))
    J = torch.stack(columns, -1)
    r = ik.residuals(q, translation, offsets, seen)
    H, g = ik.normal_equations(q, translation, offsets, seen)
    torch.testing.assert_close(H, J.transpose(1, 2) @ J, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(g, (J.transpose(1, 2) @ r[..., None]).squeeze(-1), atol=1e-3, rtol=1e-4)


def test_recovers_a_known_pose() -> None:
    n = 20
    truth = 0.4 * some_angles(n, seed=4)
    truth[:, 22:] = 0
    q, translation = anatomy.quaternion_from_angles(truth), torch.randn(n, 3, dtype=torch.float64)
    seen = some_seen(n, q, translation, noise=0.0)
    offsets = OFFSETS.expand(n, 24, 3)
    nudge = anatomy.quaternion(0.2 * torch.randn(n, 24, 3, dtype=torch.float64) * (torch.arange(24) < 22)[:, None])
    found, place, _ = ik.solve(anatomy.multiply(q, nudge), translation + 0.1, offsets, seen, rounds=30, tolerance=0.0)
    _, expected = ik.forward(q, translation, offsets)
    _, got = ik.forward(found, place, offsets)
    # The prior pulls a little away from the truth; points are worth 25/m on average.
    assert (got - expected)[:, :22].norm(dim=-1).median() < 0.02


def test_never_ends_worse_and_batch_equals_single() -> None:
    n = 4
    q = anatomy.quaternion_from_angles(some_angles(n, seed=6))
    translation = torch.zeros(n, 3, dtype=torch.float64)
    seen = some_seen(n, anatomy.quaternion_from_angles(some_angles(n, seed=7)), translation, noise=0.05)
    offsets = OFFSETS.expand(n, 24, 3)
    before = ik.residuals(q, translation, offsets, seen).square().sum(1) / 2
    together = ik.solve(q, translation, offsets, seen, rounds=5, tolerance=0.0)
    assert (together[2] <= before).all()
    for i in range(n):
        rows = slice(i, i + 1)
        alone = ik.solve(q[rows], translation[rows], offsets[rows], seen[rows], rounds=5, tolerance=0.0)
        torch.testing.assert_close(alone[2], together[2][rows], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("side", [0, 1])
def test_hinges_bend_the_natural_way_from_the_first_guess(side: int) -> None:
    from nbf.synth.ik_start import first_guess

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
    _, joints = ik.forward(anatomy.quaternion_from_angles(angles), torch.zeros(1, 3), rest[None])
    guess = first_guess(joints[:, :22], torch.zeros(1, 3), torch.zeros(1), torch.ones(1))
    got = anatomy.angles_from_quaternion(guess)
    moved = [1 + side, 4 + side, 16 + side, 18 + side]
    torch.testing.assert_close(got[:, moved], angles[:, moved], atol=math.radians(6), rtol=0)
