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

from nbf.geometry import matrix_from_axis_angle
from nbf.geometry.quaternions import skew
from nbf.solve.levenberg import Block, cost, solve
from nbf.solve.lifting.basis import PoseBasis, bones
from nbf.solve.lifting.camera import Lifted, Seen
from nbf.solve.lifting.limits import OF_CHAINS, held, held_slopes, nearest
from nbf.solve.lifting.pursuit import Guess, pursuit

MEMBERS = 10
_STEPS = 4
# Standard deviations: of joints, shares of the person's spread in the picture; of bones, metres; of limbs, as the
# distance of their unit vectors; of factors, metres.
_JOINT, _BONE, _LIMB, _FACTOR = 0.05, 0.03, 0.05, 0.3


def lift_akhter(seen: Seen, basis: PoseBasis, members: int = MEMBERS) -> Lifted:
    """Poses of so many members each."""
    guess = pursuit(seen, basis, members, _improve)
    points = guess.points(basis)
    likely = cost(LimitedProblem(seen.repeated(4), basis, guess), Unknowns.of(guess))
    return Lifted(points, guess.rotations, guess.scale, likely).best(4)


@dataclass(frozen=True)
class Unknowns:
    """Cameras and factors of b people, a point of a manifold: a step is a turn and changes of log scale and factors."""

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
        basis, seen = self.basis, self.seen
        points = replace(self.guess, factors=state.factors).points(basis)
        shown = seen.about(points) @ state.rotations.mT * state.scale[:, None, None]
        # As large as if all that are seen were seen alike.
        sure = (seen.weights * seen.weights.gt(0).sum(1, keepdim=True)).sqrt() / _JOINT
        joints = (shown[..., :2] - seen.points) * sure[..., None]
        lines, ways = bones(points), held(points)
        long = lines.norm(dim=-1).clamp_min(1e-6)
        away = ways - nearest(ways, basis.limbs)
        apart = away.norm(dim=-1).clamp_min(1e-6)
        beyond = (apart - basis.reach[list(OF_CHAINS)]).clamp_min(0)
        values = [joints, ((long - basis.lengths) / _BONE)[..., None], (beyond / _LIMB)[..., None]]
        values.append((state.factors / _FACTOR)[..., None])
        if not jacobian:
            return [Block(value, None) for value in values]
        members = basis.deviations[self.guess.chosen]
        moves = torch.stack([seen.about(members[:, j]) for j in range(members.shape[1])], -1)
        moves = torch.einsum("bqi,bpij->bpqj", state.rotations * state.scale[:, None, None], moves)
        turns = -skew(shown)
        of_joints = torch.cat([turns, shown[..., None], moves], -1)[:, :, :2] * sure[..., None, None]
        of_bones = torch.einsum("bri,bjri->brj", lines / long[..., None], bones(members)) / _BONE
        of_ways = torch.einsum("bci,bjci->bcj", away / apart[..., None], held_slopes(points, members))
        of_ways = of_ways * (beyond > 0)[..., None] / _LIMB
        of_factors = torch.eye(members.shape[1]).to(shown).expand(len(shown), -1, -1) / _FACTOR
        slopes = [torch.nn.functional.pad(slope, (4, 0))[:, :, None] for slope in (of_bones, of_ways, of_factors)]
        return [Block(value, slope) for value, slope in zip(values, [of_joints, *slopes])]


def _improve(seen: Seen, basis: PoseBasis, guess: Guess) -> Guess:
    state, _ = solve(LimitedProblem(seen, basis, guess), Unknowns.of(guess), steps=_STEPS)
    return Guess(guess.chosen, state.factors, state.rotations, state.scale)
