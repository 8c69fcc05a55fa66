"""The people of one picture together: everybody's place along their line of sight, by a floor that they share, by who
hides whom, and by the room that they need.

Of one picture a body's size and its distance are hardly known apart: larger and farther by the same factor, it looks
the same. So each fit keeps one freedom, the log of that factor, and one small problem is solved over all of them and
the floor. Everything else of a body then follows its factor as its own covariance has it, as a Kalman filter takes in
the measurement of one number (Kalman 1960, "A new approach to linear filtering and prediction problems").
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nbf.body.bodies import DEPTH, SHAPE_START, Bodies
from nbf.body.landmarks import Landmarks, Placed, place
from nbf.body.model import BodyModel
from nbf.geometry import Camera
from nbf.solve import terms
from nbf.solve.floor import FLOOR, MEAN, Standing, likely, on_floor, standing, upright
from nbf.solve.levenberg import Block, normal_equations, solve
from nbf.solve.order import Order, in_order, neighbours, order
from nbf.solve.parting import Parting
from nbf.solve.spheres import Spheres
from nbf.solve.uncertainty import joint_sigmas

APART_SIGMA = 0.01
"""Metres by which people may sink into each other."""
SEEN_SIGMA = 0.01
"""Crop sides by which joints may move in the picture."""
_OF_EACH = "parts", "feet", "covariance", "joint_error", "shape_covariance"


@dataclass(frozen=True)
class Singles:
    """People of one picture, each fitted alone, and how sure that is."""

    bodies: Bodies
    camera: Camera
    """Of their crops, in crop sides."""
    parts: Float[Tensor, "n 25 h h"]
    """The part map of each crop."""
    feet: Float[Tensor, "n 2"]
    """How much of the left and of the right foot is seen, 0 to 1."""
    covariance: Float[Tensor, "n p p"]
    """Of a step (`Bodies.moved`)."""
    joint_error: Float[Tensor, "n 24"]
    """Metres, relative to the pelvis."""
    shape_covariance: Float[Tensor, "n s s"]
    """Of the betas, calibrated."""


def joined(singles: Sequence[Singles]) -> Singles:
    """All of them, in this order."""
    bodies = [each.bodies for each in singles]
    return Singles(
        Bodies(*(torch.cat([getattr(each, name) for each in bodies]) for name in ("betas", "rotations", "pelvis"))),
        Camera.joined([each.camera for each in singles]),
        *(torch.cat([getattr(each, name) for each in singles]) for name in _OF_EACH),
    )


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
        one, other = self.pairs.unbind(1)
        # Of the many that could touch, those that do: so the work grows with the people and not with its square.
        touching = self.pairs[(spheres[one] - spheres[other]).norm(dim=-1) < radii[one] + radii[other]]
        which, pairs = touching.unique(return_inverse=True)
        spheres, radii, owner = spheres[which], radii[which], self.owner[which]
        columns = spheres.new_zeros(*spheres.shape, state.scale.shape[1] + FLOOR)
        columns[torch.arange(len(spheres)), :, owner] = spheres
        weights = torch.full((1, len(pairs)), 1 / APART_SIGMA).to(spheres)
        block = terms.apart(Placed(spheres[None], columns[None]), pairs, radii[None], weights)
        assert block.jacobian is not None
        # Who comes nearer becomes thinner as well.
        for sphere in pairs.unbind(1):
            block.jacobian[0, torch.arange(len(sphere)), 0, owner[sphere]] += radii[sphere] / APART_SIGMA
        return block


class Together:
    """Arranges people who were fitted one by one. One person stays as they are."""

    def __init__(self, body: BodyModel, small: BodyModel) -> None:
        """`small` is the same body with fewer vertices, for what is drawn."""
        self.small = small
        self.spheres = Spheres.of(body)
        self.joints = Landmarks.keypoints(body, "smpl24")
        self.parting = Parting(small)

    @torch.no_grad()
    def __call__(self, singles: Singles) -> Singles:
        if len(singles.feet) < 2:
            return singles
        problem = self.problem(singles)
        scale = torch.zeros_like(problem.sigma)[None]
        # First as if people were air: who has to go through somebody must not get stuck there.
        state, _ = solve(replace(problem, pairs=problem.pairs[:0]), Arrangement(scale, torch.tensor([MEAN]).to(scale)))
        state, _ = solve(problem, state)
        matrix, _ = normal_equations(problem, state)
        spread = torch.linalg.inv(matrix)[0].diagonal()[: scale.shape[1]].sqrt()
        arranged = self.following(singles, state.scale[0], spread / problem.sigma)
        return replace(arranged, bodies=self.parting(arranged.bodies, arranged.covariance))

    def problem(self, singles: Singles) -> ArrangementProblem:
        """Of some people."""
        bodies = singles.bodies
        posed = bodies.posed(self.small)
        pairs = neighbours(posed.vertices)
        centres = place(self.spheres.landmarks, bodies, jacobian=False).points
        radii = self.spheres.radii(bodies.betas)
        touching = _covering(centres, radii, pairs)
        which, pairs_left = touching.unique(return_inverse=True)
        return ArrangementProblem(
            singles.covariance[:, DEPTH, DEPTH].sqrt(),
            standing(self.small, posed, singles.feet),
            order(self.small, posed.vertices, singles.camera, singles.parts, pairs),
            centres.flatten(0, 1)[which],
            radii.flatten()[which],
            which // radii.shape[1],
            pairs_left,
        )

    def following(self, singles: Singles, scale: Float[Tensor, " n"], surer: Float[Tensor, " n"]) -> Singles:
        """People whose log depth is now `scale` more and has `surer` times the standard deviation, and what of their
        bodies follows from it."""
        column = singles.covariance[:, :, DEPTH]
        variance = column[:, DEPTH, None]
        fixed = column[:, :, None] * column[:, None] / variance[..., None]
        bodies = self._seen_alike(singles, column / variance * scale[:, None], singles.covariance - fixed)
        less = (1 - surer**2).clamp_min(0)[:, None, None] * fixed
        covariance = singles.covariance - less
        before = joint_sigmas(self.joints, singles.bodies, singles.covariance)
        after = joint_sigmas(self.joints, bodies, covariance)
        return replace(
            singles,
            bodies=bodies,
            covariance=covariance,
            # The pelvis is exact, being what the others are relative to.
            joint_error=singles.joint_error * torch.where(before > 0, after / before, 1.0),
            shape_covariance=singles.shape_covariance - less[:, SHAPE_START:, SHAPE_START:],
        )

    def _seen_alike(self, singles: Singles, step: Float[Tensor, "n p"], covariance: Float[Tensor, "n p p"]) -> Bodies:
        """Bodies a step away, corrected so that their joints stay where they are in the picture; the step is as long as
        it is straight. `covariance` is that of what else may change."""
        before = singles.camera.project(place(self.joints, singles.bodies, jacobian=False).points)
        bodies = singles.bodies.moved(step)
        pixels = terms.project(place(self.joints, bodies), singles.camera)
        assert pixels.jacobian is not None
        columns = pixels.jacobian.flatten(1, 2)
        carried = covariance @ columns.mT
        noise = SEEN_SIGMA**2 * torch.eye(columns.shape[1]).to(columns)
        missed = (before - pixels.points).flatten(1)[..., None]
        return bodies.moved((carried @ torch.linalg.solve(columns @ carried + noise, missed))[..., 0])


def _covering(
    centres: Float[Tensor, "n k 3"], radii: Float[Tensor, "n k"], pairs: Int64[Tensor, "m 2"]
) -> Int64[Tensor, "p 2"]:
    """Pairs of spheres, counted through all people, of neighbours that cover each other as seen from the camera."""
    distance = centres.norm(dim=-1)
    rays, width = centres / distance[..., None], radii / distance
    one, other = pairs.unbind(1)
    near = torch.cdist(rays[one], rays[other]) < width[one, :, None] + width[other, None]
    pair, first, second = near.nonzero().unbind(1)
    return torch.stack([one[pair] * radii.shape[1] + first, other[pair] * radii.shape[1] + second], 1)
