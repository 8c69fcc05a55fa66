"""Akhter & Black 2015, "Pose-conditioned joint angle limits for 3D human pose reconstruction", section 4.

The members of a basis as Ramakrishna's, but all of pose and camera solved together each time one is added, under bones
of known lengths and limits of joints that depend on how the parent is held. Theirs rejects impossible poses; here the
distance from what is possible counts against a pose, so that least squares finds its way back. The limits themselves
are ours (`nbf.solve.lifting.limits`).
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.func import jacfwd, vmap

from nbf.geometry import matrix_from_axis_angle
from nbf.solve.levenberg import Block, cost, solve
from nbf.solve.lifting.basis import PoseBasis, bones
from nbf.solve.lifting.camera import Lifted, Seen
from nbf.solve.lifting.limits import beyond, held, nearest
from nbf.solve.lifting.pursuit import Guess, pursuit

MEMBERS = 10
_STEPS = 4
# Standard deviations: of joints, shares of the person's spread in the picture; of bones, metres; of limbs, as the
# distance of their unit vectors; of factors, metres.
_JOINT, _BONE, _LIMB, _FACTOR = 0.03, 0.03, 0.1, 0.5


def lift_akhter(seen: Seen, basis: PoseBasis, members: int = MEMBERS) -> Lifted:
    """Poses of so many members each."""
    guess = pursuit(seen, basis, members, _improve)
    points = guess.points(basis)
    likely = cost(LimitedProblem(seen.repeated(4), basis, guess), Unknowns.of(guess))
    return Lifted(points, guess.rotations, guess.scale, likely).best(4)


@dataclass(frozen=True)
class Unknowns:
    """Cameras and factors of b people, a point of a manifold: a step is a turn, a change of log scale and of factors."""

    rotations: Float[Tensor, "b 3 3"]
    scale: Float[Tensor, " b"]
    factors: Float[Tensor, "b j"]

    @classmethod
    def of(cls, guess: Guess) -> "Unknowns":
        """Those of a guess; a scale of zero cannot grow."""
        return cls(guess.rotations, guess.scale.clamp_min(0.05), guess.factors)

    def moved(self, step: Float[Tensor, "b p"]) -> "Unknowns":
        """The state a step away."""
        rotations = matrix_from_axis_angle(step[:, :3]) @ self.rotations
        return Unknowns(rotations, self.scale * step[:, 3].exp(), self.factors + step[:, 4:])

    def chosen(self, other: "Unknowns", where: Bool[Tensor, " b"]) -> "Unknowns":
        """`other` for the people at `where`."""
        pairs = zip(vars(self).values(), vars(other).values())
        return Unknowns(*(torch.where(where.view(-1, *[1] * (one.ndim - 1)), two, one) for one, two in pairs))


@dataclass(frozen=True)
class LimitedProblem:
    """Joints where they are seen, bones as long as a body's, limbs as they can be held."""

    seen: Seen
    basis: PoseBasis
    guess: Guess
    """Says which members."""

    def blocks(self, state: Unknowns, jacobian: bool = True) -> list[Block]:
        """All residuals, in standard deviations."""
        points = replace(self.guess, factors=state.factors).points(self.basis)
        shown = self.seen.about(points) @ state.rotations.mT * state.scale[:, None, None]
        root = self.seen.weights.sqrt() * self.seen.weights.gt(0).sum(1, keepdim=True).sqrt() / _JOINT
        joints = (shown[..., :2] - self.seen.points) * root[..., None]
        likeness = nearest(held(points), self.basis.limbs)
        members = self.basis.deviations[self.guess.chosen]
        form = self._form(state.factors, members, likeness)
        if not jacobian:
            return [Block(joints, None), Block(form[..., None], None)]
        moves = torch.stack([self.seen.about(members[:, j]) for j in range(members.shape[1])], 1)
        moves = moves @ state.rotations.mT[:, None] * state.scale[:, None, None, None]
        turns = torch.linalg.cross(torch.eye(3).to(shown)[:, None, None], shown[None], dim=-1)
        columns = torch.cat([turns.permute(1, 2, 3, 0), shown[..., None], moves.permute(0, 2, 3, 1)], -1)
        slopes = vmap(jacfwd(self._form))(state.factors, members, likeness)
        slopes = torch.cat([slopes.new_zeros(*slopes.shape[:2], 4), slopes], 2)
        return [
            Block(joints, columns[:, :, :2] * root[..., None, None]),
            Block(form[..., None], slopes[:, :, None]),
        ]

    def _form(
        self, factors: Float[Tensor, "*b j"], members: Float[Tensor, "*b j 41 3"], likeness: Float[Tensor, "*b 6 6"]
    ) -> Float[Tensor, "*b 29+j"]:
        """Residuals that no picture has a part in."""
        points = self.basis.mean + torch.einsum("...j,...jpi->...pi", factors, members)
        long = bones(points).square().sum(-1).clamp_min(1e-8).sqrt() - self.basis.lengths
        outside = beyond(held(points), likeness, self.basis.reach)
        return torch.cat([long / _BONE, outside / _LIMB, factors / _FACTOR], -1)


def _improve(seen: Seen, basis: PoseBasis, guess: Guess) -> Guess:
    state, _ = solve(LimitedProblem(seen, basis, guess), Unknowns.of(guess), steps=_STEPS)
    return Guess(guess.chosen, state.factors, state.rotations, state.scale)
