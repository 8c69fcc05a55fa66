"""Batched inverse kinematics of the 24-joint skeleton: many poses at once, damped Gauss-Newton on the joint rotations.

What is seen of a pose comes as *points* (a spot fixed in a joint's frame, and where it was seen) and *directions* (an
axis fixed in a joint's frame, and where it pointed). A prior on the anatomical angles (see `anatomy`) says what is
free, what is stiff and what is out of reach; it also shares a turn out over the joints that could make it. Jacobians
are analytic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.anatomy import (
    angle_jacobian,
    angles_from_quaternion,
    limits,
    matrix,
    multiply,
    quaternion,
    skew,
)
from nbf.body.joints import MIRROR_SMPL24, PARENTS

SOLVED = 22  # the two hand joints carry no landmark of their own and keep their rest rotation
LIMIT_SIGMA = 0.06  # radians beyond a limit that count as one unit of cost

# Standard deviation of the angles about x, y and z in radians: a wide one leaves the joint to the picture, a narrow
# one makes a hinge or stiffens it. Equal widths along a chain share a turn out equally (trunk; pronation over elbow
# and wrist).
SIGMAS: dict[int, tuple[float, float, float]] = {
    1: (3.0, 0.6, 2.0),
    3: (0.30, 0.30, 0.30),
    4: (4.0, 0.12, 0.05),
    6: (0.30, 0.30, 0.30),
    7: (0.60, 0.25, 0.25),
    9: (0.30, 0.30, 0.30),
    10: (0.30, 0.05, 0.05),
    12: (0.35, 0.35, 0.35),
    13: (0.06, 0.25, 0.25),
    15: (0.35, 0.35, 0.35),
    16: (0.8, 2.0, 2.0),
    18: (0.6, 4.0, 0.05),
    20: (0.5, 0.25, 0.40),
}


@dataclass(frozen=True)
class Seen:
    """What is seen of n poses; a weight of zero (with any finite target) marks what is not.

    Attributes:
        point_joints: the joint that carries each of the k points.
        point_offsets: (n,k,3) metres in that joint's frame.
        points: (n,k,3) metres, where they were seen.
        point_weights: (n,k) in 1/metre.
        axis_joints: the joint that carries each of the d directions.
        axes: (n,d,3) unit vectors in that joint's frame.
        directions: (n,d,3) unit vectors, where they pointed.
        axis_weights: (n,d) in 1/radian.
    """

    point_joints: Sequence[int]
    point_offsets: Float[Tensor, "n k 3"]
    points: Float[Tensor, "n k 3"]
    point_weights: Float[Tensor, "n k"]
    axis_joints: Sequence[int]
    axes: Float[Tensor, "n d 3"]
    directions: Float[Tensor, "n d 3"]
    axis_weights: Float[Tensor, "n d"]

    def __getitem__(self, rows: slice) -> "Seen":
        """The same for some of the poses."""
        return Seen(
            self.point_joints,
            self.point_offsets[rows],
            self.points[rows],
            self.point_weights[rows],
            self.axis_joints,
            self.axes[rows],
            self.directions[rows],
            self.axis_weights[rows],
        )


def ancestry() -> Float[Tensor, "24 24"]:
    """1 where column a is joint k (the row) or above it."""
    table = torch.eye(24)
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            table[joint] += table[parent]
    return table


def forward(
    q: Float[Tensor, "n 24 4"], translation: Float[Tensor, "n 3"], offsets: Float[Tensor, "n 24 3"]
) -> tuple[Float[Tensor, "n 24 3 3"], Float[Tensor, "n 24 3"]]:
    """Joint frames and positions.

    Args:
        q: local rotations as unit quaternions, the root's included.
        translation: where the root joint stands, metres.
        offsets: rest position of each joint from its parent's, metres (the root's is not used).
    """
    local = matrix(q)
    frames, places = [local[:, 0]], [translation]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        frames.append(frames[parent] @ local[:, joint])
        places.append(places[parent] + (frames[parent] @ offsets[:, joint, :, None]).squeeze(-1))
    return torch.stack(frames, 1), torch.stack(places, 1)


def _prior_weights(like: Tensor) -> Float[Tensor, "24 3"]:
    weights = torch.zeros(24, 3)
    for joint, sigmas in SIGMAS.items():
        weights[joint] = 1 / torch.tensor(sigmas)
        weights[MIRROR_SMPL24[joint]] = weights[joint]
    return weights.to(like)


def _prior(
    q: Float[Tensor, "n 24 4"],
) -> tuple[Float[Tensor, "n 24 3"], Float[Tensor, "n 24 3"], Float[Tensor, "n 24 3"]]:
    """Angles as residuals, overshoot of the limits as residuals, and where the limits are overshot (0 or 1)."""
    angles = angles_from_quaternion(q)
    bounds = limits(q.device, q.dtype)
    over = (angles - bounds[..., 1]).clamp_min(0) - (bounds[..., 0] - angles).clamp_min(0)
    over = over * (torch.arange(24, device=q.device) > 0)[:, None]
    return angles * _prior_weights(q), over / LIMIT_SIGMA, (over != 0).to(q.dtype)


def residuals(
    q: Float[Tensor, "n 24 4"], translation: Float[Tensor, "n 3"], offsets: Float[Tensor, "n 24 3"], seen: Seen
) -> Float[Tensor, "n r"]:
    """Everything the solver makes small, one row a pose."""
    frames, places = forward(q, translation, offsets)
    anchors = places[:, seen.point_joints] + (frames[:, seen.point_joints] @ seen.point_offsets[..., None]).squeeze(-1)
    axes = (frames[:, seen.axis_joints] @ seen.axes[..., None]).squeeze(-1)
    parts = [
        (anchors - seen.points) * seen.point_weights[..., None],
        (axes - seen.directions) * seen.axis_weights[..., None],
    ]
    return torch.cat([p.flatten(1) for p in [*parts, *_prior(q)[:2]]], 1)


def normal_equations(
    q: Float[Tensor, "n 24 4"], translation: Float[Tensor, "n 3"], offsets: Float[Tensor, "n 24 3"], seen: Seen
) -> tuple[Float[Tensor, "n m m"], Float[Tensor, "n m"]]:
    """J'J and J'r of `residuals` for the step (delta of joints 0..21, each in its own frame; then the translation)."""
    frames, places = forward(q, translation, offsets)
    above = ancestry().to(q)[:, :SOLVED]
    n, k, d = len(q), len(seen.point_joints), len(seen.axis_joints)
    anchors = places[:, seen.point_joints] + (frames[:, seen.point_joints] @ seen.point_offsets[..., None]).squeeze(-1)
    axes = (frames[:, seen.axis_joints] @ seen.axes[..., None]).squeeze(-1)
    arms = torch.cat([anchors[:, :, None] - places[:, None, :SOLVED], axes[:, :, None].expand(n, d, SOLVED, 3)], 1)
    arms = arms * above[[*seen.point_joints, *seen.axis_joints]][None, :, :, None]
    weights = torch.cat([seen.point_weights, seen.axis_weights], 1)
    turn = (skew(-arms * weights[:, :, None, None]) @ frames[:, None, :SOLVED]).transpose(2, 3)
    shift = (
        torch.eye(3).to(q) * torch.cat([seen.point_weights, torch.zeros_like(seen.axis_weights)], 1)[..., None, None]
    )
    J = torch.cat([turn.reshape(n, 3 * (k + d), 3 * SOLVED), shift.reshape(n, 3 * (k + d), 3)], 2)
    misfit = torch.cat([anchors - seen.points, axes - seen.directions], 1) * weights[..., None]
    H = J.transpose(1, 2) @ J
    g = (J.transpose(1, 2) @ misfit.reshape(n, -1, 1)).squeeze(-1)

    held, over, outside = _prior(q)
    stiffness = _prior_weights(q)
    slope = angle_jacobian(q)[:, :SOLVED]
    curvature = (stiffness**2 + outside / LIMIT_SIGMA**2)[:, :SOLVED]
    pull = (held * stiffness + over / LIMIT_SIGMA)[:, :SOLVED]
    blocks = slope.transpose(2, 3) @ (curvature[..., None] * slope)
    for joint in range(SOLVED):
        H[:, 3 * joint : 3 * joint + 3, 3 * joint : 3 * joint + 3] += blocks[:, joint]
    g[:, : 3 * SOLVED] += (slope.transpose(2, 3) @ pull[..., None]).reshape(n, -1)
    return H, g


def solve(
    q: Float[Tensor, "n 24 4"],
    translation: Float[Tensor, "n 3"],
    offsets: Float[Tensor, "n 24 3"],
    seen: Seen,
    *,
    rounds: int = 14,
    tolerance: float = 1e-3,
) -> tuple[Float[Tensor, "n 24 4"], Float[Tensor, "n 3"], Float[Tensor, " n"]]:
    """Levenberg-Marquardt from a start; every pose has its own damping and never ends worse than it began.

    Args:
        rounds: steps at most.
        tolerance: stop when no pose's cost fell by more than this share of itself.

    Returns:
        Local rotations as quaternions, root positions, and the cost (half the squared residuals).
    """
    cost = residuals(q, translation, offsets, seen).square().sum(1) / 2
    damping = torch.full_like(cost, 1e-2)
    for _ in range(rounds):
        H, g = normal_equations(q, translation, offsets, seen)
        diagonal = torch.diagonal(H, dim1=1, dim2=2)
        diagonal += damping[:, None] * diagonal + 1e-3
        factor, _ = torch.linalg.cholesky_ex(H)
        step = -torch.cholesky_solve(g[..., None], factor).squeeze(-1)
        turn = step[:, : 3 * SOLVED].reshape(-1, SOLVED, 3)
        # A step above a radian is outside of what the linearisation knows.
        turn = turn / turn.norm(dim=-1, keepdim=True).clamp_min(1.0)
        tried_q = q.clone()
        tried_q[:, :SOLVED] = torch.nn.functional.normalize(multiply(q[:, :SOLVED], quaternion(turn)), dim=-1)
        tried_t = translation + step[:, 3 * SOLVED :]
        tried = residuals(tried_q, tried_t, offsets, seen).square().sum(1) / 2
        better = tried < cost
        gain = torch.where(better, (cost - tried) / cost.clamp_min(1e-9), 0.0)
        q = torch.where(better[:, None, None], tried_q, q)
        translation = torch.where(better[:, None], tried_t, translation)
        cost = torch.where(better, tried, cost)
        damping = torch.where(better, damping / 5, damping * 8).clamp(1e-6, 1e3)
        if bool((gain < tolerance).all() & better.any()):
            break
    return q, translation, cost
