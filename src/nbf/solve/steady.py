"""A person in a row of frames as one least-squares problem: what each frame's fit says and how sure it is of it, that
people move smoothly, and that feet on the ground stay where they are.

A fit stands for its picture by its mean and the curvature of its residuals (Laplace's approximation), so nothing of
the picture is needed any more. Motion has white noise for acceleration, of a strength that each joint has of its own
(Bar-Shalom et al. 2001, "Estimation with applications to tracking and navigation", section 6.2); it makes the most
likely motion a smoothing spline.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nbf.body.anatomy import inverse_right_jacobian
from nbf.body.bodies import PLACE, SHAPE_START, TURNS, Bodies
from nbf.body.joints import SMPL24
from nbf.body.landmarks import Landmarks, Placed, place
from nbf.geometry.quaternions import quaternion_from_matrix, rotation_vector
from nbf.solve.chain import Link

FREEDOMS = SHAPE_START
"""Of a frame: 72 turns and 3 of place; the shape is the same in all."""
FEET = tuple(SMPL24.index(name) for name in ("left_ankle", "right_ankle", "left_foot", "right_foot"))
"""What stays where it is on the ground: heels by their ankles, and balls of the feet."""


@dataclass(frozen=True)
class Steadiness:
    """How much each kind of residual counts."""

    doubt: float = 1.0
    """Standard deviations of fits over those that they say."""
    moves: float = 150.0
    """Density of the white noise on acceleration of joints' places, (m/s^2)^2 s."""
    turns: float = 60.0
    """The same of joints' rotations, (rad/s^2)^2 s."""
    outlier: float = 8.0
    """Standard deviations, over all freedoms together, beyond which a frame's fit counts less and less."""
    slip: float = 0.15
    """Metres a second by which a foot on the ground may move, as a standard deviation."""
    slips: float = 3.0
    """Standard deviations beyond which a foot is not held any more."""


@dataclass(frozen=True)
class Row:
    """t frames of one person, all with the same betas."""

    bodies: Bodies

    def moved(self, step: Float[Tensor, "t p"]) -> "Row":
        still = step.new_zeros(len(step), self.bodies.freedoms - FREEDOMS)
        return Row(self.bodies.moved(torch.cat([step, still], 1)))


def difference(one: Bodies, other: Bodies) -> tuple[Float[Tensor, "t p"], Float[Tensor, "t 24 3 3"]]:
    """The step (`Bodies.moved`) from one body to another, and how its turns change with turns of the other."""
    turn = rotation_vector(quaternion_from_matrix(one.rotations.mT @ other.rotations))
    seen = [torch.cat([each.pelvis[:, :2] / each.pelvis[:, 2:], each.pelvis[:, 2:].log()], 1) for each in (one, other)]
    return torch.cat([turn.flatten(1), seen[1] - seen[0], other.betas - one.betas], 1), inverse_right_jacobian(turn)


@dataclass(frozen=True)
class Past:
    """What frames that are gone say about the first ones that are left (`Band.remaining`)."""

    matrix: Float[Tensor, "q q"]
    slope: Float[Tensor, " q"]
    at: Bodies
    """Where that was found; as many frames as it is about."""


@dataclass(frozen=True)
class SteadyProblem:
    """What a row has to agree with."""

    joints: Landmarks
    fits: Bodies
    """What was fitted to each frame; anything where nothing was."""
    root: Float[Tensor, "t p p"]
    """Of the fits' precisions, R^T R; zero where nothing was fitted."""
    rate: float
    """Frames a second."""
    weights: Steadiness
    contact: Bool[Tensor, "t 4"]
    """Which of FEET are on the ground, in each frame."""
    past: Past | None = None

    def links(self, state: Row, jacobian: bool = True) -> list[Link]:
        """All residuals, in standard deviations."""
        placed = place(self.joints, state.bodies, jacobian)
        if placed.jacobian is not None:
            placed = Placed(placed.points, placed.jacobian[..., :FREEDOMS])
        links = [self._fitted(state.bodies, jacobian)]
        if len(self.fits.betas) > 2:
            links += [self._smooth(placed), self._turning(state.bodies, jacobian)]
        if (self.contact[1:] & self.contact[:-1]).any():
            links.append(self._held(placed))
        if self.past is not None:
            links.append(_remembered(self.past, state.bodies, jacobian))
        return links

    def _fitted(self, bodies: Bodies, jacobian: bool) -> Link:
        step, slopes = difference(self.fits, bodies)
        root = self.root / self.weights.doubt
        columns: tuple[Tensor, ...] = ()
        if jacobian:
            turned = torch.einsum("tqja,tjab->tqjb", root[..., TURNS].unflatten(-1, (24, 3)), slopes)
            columns = (torch.cat([turned.flatten(2), root[..., PLACE]], -1)[:, None],)
        return Link(_frames(bodies), (root @ step[..., None]).mT, columns, self.weights.outlier)

    def _smooth(self, placed: Placed) -> Link:
        points = placed.points
        scale = 1 / (self.weights.moves / self.rate**3) ** 0.5
        acceleration = points[2:] - 2 * points[1:-1] + points[:-2]
        columns: tuple[Tensor, ...] = ()
        if placed.jacobian is not None:
            slopes = placed.jacobian * scale
            columns = (slopes[:-2], -2 * slopes[1:-1], slopes[2:])
        return Link(torch.arange(len(acceleration)), acceleration * scale, columns)

    def _turning(self, bodies: Bodies, jacobian: bool) -> Link:
        scale = 1 / (self.weights.turns / self.rate**3) ** 0.5
        between = bodies.rotations[:-1].mT @ bodies.rotations[1:]
        turn = rotation_vector(quaternion_from_matrix(between))
        columns: tuple[Tensor, ...] = ()
        if jacobian:
            slopes = inverse_right_jacobian(turn) * scale
            back = slopes.mT
            own = (back[:-1], -slopes[:-1] - back[1:], slopes[1:])
            columns = tuple(_of_turns(each) for each in own)
        return Link(torch.arange(len(turn) - 1), (turn[1:] - turn[:-1]) * scale, columns)

    def _held(self, placed: Placed) -> Link:
        on = (self.contact[1:] & self.contact[:-1]).to(placed.points)[..., None]
        scale = on * self.rate / self.weights.slip
        points = placed.points[:, list(FEET)]
        columns: tuple[Tensor, ...] = ()
        if placed.jacobian is not None:
            slopes = placed.jacobian[:, list(FEET)]
            columns = (-slopes[:-1] * scale[..., None], slopes[1:] * scale[..., None])
        return Link(torch.arange(len(on)), (points[1:] - points[:-1]) * scale, columns, self.weights.slips)


def _frames(bodies: Bodies) -> Int64[Tensor, " t"]:
    return torch.arange(len(bodies.betas))


def _of_turns(own: Float[Tensor, "m 24 3 3"]) -> Float[Tensor, "m 24 3 p"]:
    """Jacobians of residuals that each depend on the turn of its own joint."""
    columns = own.new_zeros(len(own), 24, 3, FREEDOMS)
    rows = torch.arange(24)
    columns[..., TURNS].unflatten(-1, (24, 3))[:, rows, :, rows] = own.transpose(0, 1)
    return columns


def _remembered(past: Past, bodies: Bodies, jacobian: bool) -> Link:
    """The quadratic that is left of frames that are gone, as residuals whose squares it is."""
    step, slopes = difference(past.at, bodies[: len(past.at.betas)])
    floor = 1e-9 * past.matrix.diagonal().amax() * torch.eye(len(past.matrix)).to(past.matrix)
    lower, _ = torch.linalg.cholesky_ex(past.matrix + floor)
    lead = torch.linalg.solve_triangular(lower, past.slope[:, None], upper=False)[:, 0]
    residuals = lower.mT @ step[:, :FREEDOMS].flatten() + lead
    columns: tuple[Tensor, ...] = ()
    if jacobian:
        blocks = []
        for i, one in enumerate(lower.mT.split(FREEDOMS, 1)):
            turned = torch.einsum("qja,jab->qjb", one[:, TURNS].unflatten(-1, (24, 3)), slopes[i])
            blocks.append(torch.cat([turned.flatten(1), one[:, PLACE]], -1)[None, None])
        columns = tuple(blocks)
    return Link(torch.zeros(1, dtype=torch.int64), residuals[None, None], columns)
