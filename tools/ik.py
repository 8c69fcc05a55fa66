"""Batched inverse kinematics of the 24-joint skeleton: joint rotations from what is seen of many poses at once.

What is seen of a pose comes as *points* (a spot fixed in a joint's frame, and where it was seen) and *directions* (an
axis fixed in a joint's frame, and where it pointed). A prior on the anatomical angles (see `nbf.body.anatomy`) says
what is free, what is stiff and what is out of reach; it also shares a turn out over the joints that could make it.
`nbf.solve.levenberg` makes it small; Jacobians are analytic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.body.anatomy import angle_jacobian, angles_from_quaternion, limits
from nbf.body.joints import MIRROR_SMPL24, ancestry
from nbf.body.model import pose_joints
from nbf.geometry.quaternions import matrix, multiply, quaternion, skew
from nbf.solve.levenberg import Block

SOLVED = 22  # the two hand joints carry no landmark of their own and keep their rest rotation
FREEDOMS = 3 * SOLVED + 3
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


@dataclass(frozen=True)
class Pose:
    """n poses: a point of a manifold, with steps of FREEDOMS numbers (turns of joints 0..21, radians about the axes of
    the joint's own frame; then the root's way, metres)."""

    q: Float[Tensor, "n 24 4"]
    """Local rotations as unit quaternions, real part first, the root's included."""
    root: Float[Tensor, "n 3"]
    """Where the root joint stands, metres."""

    def moved(self, step: Float[Tensor, "n p"]) -> "Pose":
        """The poses a step away."""
        turn = quaternion(step[:, : 3 * SOLVED].unflatten(1, (SOLVED, 3)))
        turned = torch.nn.functional.normalize(multiply(self.q[:, :SOLVED], turn), dim=-1)
        return Pose(torch.cat([turned, self.q[:, SOLVED:]], 1), self.root + step[:, 3 * SOLVED :])

    def chosen(self, other: "Pose", where: Bool[Tensor, " n"]) -> "Pose":
        """`other` where chosen, these elsewhere."""
        return Pose(
            torch.where(where[:, None, None], other.q, self.q), torch.where(where[:, None], other.root, self.root)
        )

    def placed(self, rest: Float[Tensor, "n 24 3"]) -> tuple[Float[Tensor, "n 24 3 3"], Float[Tensor, "n 24 3"]]:
        """Joint frames and positions of skeletons whose joints rest there, the root's at the origin, metres."""
        transforms, places = pose_joints(rest, matrix(self.q), self.root)
        return transforms[..., :3], places


@dataclass(frozen=True)
class PoseProblem:
    """Which poses explain what is seen of n skeletons and are such as a body can take."""

    rest: Float[Tensor, "n 24 3"]
    """Rest joints, metres, the root's at the origin."""
    seen: Seen

    def blocks(self, state: Pose, jacobian: bool = True) -> list[Block]:
        """Residuals of points and directions, of the angles, and of how far they are beyond their limits."""
        return [self._evidence(state, jacobian), *_prior(state.q, jacobian)]

    def _evidence(self, state: Pose, jacobian: bool) -> Block:
        seen = self.seen
        frames, places = state.placed(self.rest)
        anchors = (frames[:, seen.point_joints] @ seen.point_offsets[..., None])[..., 0] + places[:, seen.point_joints]
        axes = (frames[:, seen.axis_joints] @ seen.axes[..., None])[..., 0]
        weights = torch.cat([seen.point_weights, seen.axis_weights], 1)[..., None]
        residuals = torch.cat([anchors - seen.points, axes - seen.directions], 1) * weights
        if not jacobian:
            return Block(residuals, None)
        # Turning a joint about an axis of its frame moves what hangs on it by axis x lever arm.
        arms = torch.cat(
            [anchors[:, :, None] - places[:, None, :SOLVED], axes[:, :, None].expand(-1, -1, SOLVED, -1)], 1
        )
        arms = arms * ancestry(arms)[[*seen.point_joints, *seen.axis_joints], :SOLVED, None] * weights[..., None]
        turns = (skew(-arms) @ frames[:, None, :SOLVED]).transpose(2, 3).flatten(3)
        shifts = torch.eye(3).to(weights) * torch.cat([seen.point_weights, 0 * seen.axis_weights], 1)[..., None, None]
        return Block(residuals, torch.cat([turns, shifts], 3))


def _prior(q: Float[Tensor, "n 24 4"], jacobian: bool) -> list[Block]:
    """Of joints 1..21: angles in standard deviations, and what is beyond the limits."""
    angles, bounds = angles_from_quaternion(q), limits(q.device, q.dtype)
    stiffness = _stiffness().to(q)
    over = (angles - bounds[..., 1]).clamp_min(0) - (bounds[..., 0] - angles).clamp_min(0)
    held, beyond = (angles * stiffness)[:, 1:SOLVED], over[:, 1:SOLVED] / LIMIT_SIGMA
    if not jacobian:
        return [Block(held, None), Block(beyond, None)]
    slope = angle_jacobian(q)[:, 1:SOLVED]
    outside = (beyond != 0).to(q)[..., None] / LIMIT_SIGMA
    return [
        Block(held, _own_columns(slope * stiffness[1:SOLVED, :, None])),
        Block(beyond, _own_columns(slope * outside)),
    ]


def _own_columns(slope: Float[Tensor, "n j 3 3"]) -> Float[Tensor, "n j 3 p"]:
    """Jacobian of numbers of joints 1..21, each of which depends on its own joint's turn alone."""
    columns, joints = slope.new_zeros(*slope.shape[:3], FREEDOMS), torch.arange(slope.shape[1])
    turns = columns[..., : 3 * SOLVED].unflatten(-1, (SOLVED, 3))
    turns[:, joints, :, joints + 1] = slope.transpose(0, 1)
    return columns


def _stiffness() -> Float[Tensor, "24 3"]:
    """1 / SIGMAS of both sides; zero where there are none."""
    weights = torch.zeros(24, 3)
    for joint, sigmas in SIGMAS.items():
        weights[joint] = weights[MIRROR_SMPL24[joint]] = 1 / torch.tensor(sigmas)
    return weights
