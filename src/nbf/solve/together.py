"""The people of one picture together: everybody's place along their line of sight, by a floor that they share, by who
hides whom, and by the room that they need.

Of one picture a body's size and its distance are hardly known apart: larger and farther by the same factor, it looks
the same. So each fit keeps one freedom, the log of that factor, and one small problem is solved over all of them and
the floor. Everything else of a body then follows its factor as its own covariance has it, as a Kalman filter takes in
the measurement of one number (Kalman 1960, "A new approach to linear filtering and prediction problems").
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nbf.body.bodies import SHAPE_START, Bodies
from nbf.body.landmarks import Landmarks, Placed, place
from nbf.body.model import BodyModel
from nbf.geometry import Camera
from nbf.solve import terms
from nbf.solve.floor import FLOOR, MEAN, Standing, likely, on_floor, standing, upright
from nbf.solve.levenberg import Block, normal_equations, solve
from nbf.solve.order import Order, in_order, order
from nbf.solve.spheres import Spheres
from nbf.solve.uncertainty import joint_sigmas

DEPTH = 74
"""The column of a step that changes the log of the depth."""
APART_SIGMA = 0.01
"""Metres by which people may sink into each other."""


@dataclass(frozen=True)
class Singles:
    """People of one picture, each fitted alone, and how sure that is."""

    bodies: Bodies
    camera: Camera
    """Of their crops, in crop sides."""
    silhouettes: Float[Tensor, "n h h"]
    """Probability of the person in each crop."""
    feet: Float[Tensor, "n 2"]
    """How much of the left and of the right foot is seen, 0 to 1."""
    covariance: Float[Tensor, "n p p"]
    """Of a step (`Bodies.moved`), calibrated as far as size and distance go."""
    joint_error: Float[Tensor, "n 24"]
    """Metres, relative to the pelvis."""
    shape_covariance: Float[Tensor, "n s s"]
    """Of the betas."""


@dataclass(frozen=True)
class Arrangement:
    """Logs of the factors by which n people are moved along their rays and made larger, and the floor."""

    scale: Float[Tensor, "1 n"]
    floor: Float[Tensor, "1 3"]
    """As `nbf.solve.floor` has it."""

    def moved(self, step: Float[Tensor, "1 p"]) -> "Arrangement":
        return Arrangement(self.scale + step[:, :-FLOOR], self.floor + step[:, -FLOOR:])

    def chosen(self, other: "Arrangement", where: Bool[Tensor, " 1"]) -> "Arrangement":
        return other if where else self


@dataclass(frozen=True)
class ArrangementProblem:
    """What an arrangement has to agree with."""

    sigma: Float[Tensor, " n"]
    """Standard deviations of the logs of the factors, each person for themselves."""
    stand: Standing
    order: Order
    spheres: Float[Tensor, "k 3"]
    radii: Float[Tensor, " k"]
    owner: Int64[Tensor, " k"]
    """Whose sphere it is."""
    pairs: Int64[Tensor, "m 2"]
    """Spheres of different people that cover each other in the picture, and so could touch."""

    def blocks(self, state: Arrangement, jacobian: bool = True) -> list[Block]:
        """All residuals, in standard deviations; always with their Jacobians, which cost nothing."""
        count = state.scale.shape[1]
        size = count + FLOOR
        alone = torch.eye(count, size).to(state.scale) / self.sigma[:, None]
        return [
            Block((state.scale / self.sigma)[..., None], alone[None, :, None]),
            likely(state.floor, size),
            on_floor(self.stand, state.scale, state.floor),
            upright(self.stand, state.floor),
            in_order(self.order, state.scale, size),
            self._apart(state),
        ]

    def _apart(self, state: Arrangement) -> Block:
        factor = state.scale[0, self.owner].exp()
        spheres, radii = self.spheres * factor[:, None], self.radii * factor
        columns = spheres.new_zeros(*spheres.shape, state.scale.shape[1] + FLOOR)
        columns[torch.arange(len(spheres)), :, self.owner] = spheres
        weights = torch.full((1, len(self.pairs)), 1 / APART_SIGMA).to(spheres)
        return terms.apart(Placed(spheres[None], columns[None]), self.pairs, radii[None], weights)


class Together:
    """Arranges people who were fitted one by one. One person stays as they are."""

    def __init__(self, body: BodyModel, small: BodyModel) -> None:
        """`small` is the same body with fewer vertices, for what is drawn."""
        self.small = small
        self.spheres = Spheres.of(body)
        self.joints = Landmarks.keypoints(body, "smpl24")

    @torch.no_grad()
    def __call__(self, singles: Singles) -> Singles:
        if len(singles.feet) < 2:
            return singles
        problem = self.problem(singles)
        scale = torch.zeros_like(problem.sigma)[None]
        state, _ = solve(problem, Arrangement(scale, torch.tensor([MEAN]).to(scale)))
        matrix, _ = normal_equations(problem, state)
        spread = torch.linalg.inv(matrix)[0].diagonal()[: scale.shape[1]]
        return self.following(singles, state.scale[0], spread)

    def problem(self, singles: Singles) -> ArrangementProblem:
        """Of some people."""
        bodies = singles.bodies
        centres = place(self.spheres.landmarks, bodies, jacobian=False).points
        radii = self.spheres.radii(bodies.betas)
        owner = torch.arange(len(centres))[:, None].expand(radii.shape).flatten()
        centres, radii = centres.flatten(0, 1), radii.flatten()
        return ArrangementProblem(
            singles.covariance[:, DEPTH, DEPTH].sqrt(),
            standing(self.small, bodies, singles.feet),
            order(self.small, bodies, singles.camera, singles.silhouettes),
            centres,
            radii,
            owner,
            _covering(centres, radii, owner),
        )

    def following(self, singles: Singles, scale: Float[Tensor, " n"], spread: Float[Tensor, " n"]) -> Singles:
        """People whose log depth is now `scale` more, with a variance of `spread`, and what follows from it."""
        column = singles.covariance[:, :, DEPTH]
        before = column[:, DEPTH]
        gain = column / before[:, None]
        step = gain * scale[:, None]
        bodies = singles.bodies.moved(step)
        less = (before - spread).clamp_min(0)[:, None, None]
        covariance = singles.covariance - gain[:, :, None] * gain[:, None] * less
        known = covariance[:, SHAPE_START:, SHAPE_START:], singles.covariance[:, SHAPE_START:, SHAPE_START:]
        errors = [
            joint_sigmas(self.joints, some, spread)
            for some, spread in ((bodies, covariance), (singles.bodies, singles.covariance))
        ]
        return Singles(
            bodies,
            singles.camera,
            singles.silhouettes,
            singles.feet,
            covariance,
            singles.joint_error * errors[0] / errors[1],
            singles.shape_covariance + known[0] - known[1],
        )


def _covering(
    centres: Float[Tensor, "k 3"], radii: Float[Tensor, " k"], owner: Int64[Tensor, " k"]
) -> Int64[Tensor, "m 2"]:
    """Pairs of spheres of different people who cover each other as seen from the camera: no others ever meet, however
    far people are moved along their rays."""
    distance = centres.norm(dim=-1)
    rays, width = centres / distance[:, None], radii / distance
    near = torch.cdist(rays, rays) < width[:, None] + width
    return (near & (owner[:, None] < owner)).nonzero()
