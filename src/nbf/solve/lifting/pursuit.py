"""Projected matching pursuit: the members of a basis that a pose needs, one at a time (Ramakrishna et al. 2012, section
3.3)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nbf.solve.lifting.basis import PoseBasis
from nbf.solve.lifting.camera import Seen, facing, placed


@dataclass(frozen=True)
class Guess:
    """Poses of b people as the mean and some j members of the basis, and their cameras."""

    chosen: Int64[Tensor, "b j"]
    """The members."""
    factors: Float[Tensor, "b j"]
    """Metres."""
    rotations: Float[Tensor, "b 3 3"]
    scale: Float[Tensor, " b"]

    def points(self, basis: PoseBasis) -> Float[Tensor, "b 41 3"]:
        """Metres, in the basis' frame."""
        return basis.mean + torch.einsum("bj,bjpi->bpi", self.factors, basis.deviations[self.chosen])


Improve = Callable[[Seen, PoseBasis, Guess], Guess]
"""Solves for camera and factors of the members chosen so far."""


def pursuit(seen: Seen, basis: PoseBasis, members: int, improve: Improve) -> Guess:
    """From the mean pose, add the member whose picture is most like what is left over, and solve again.

    From four ways to face for each person: four guesses in a row.
    """
    starts = facing(len(seen.points), seen.points)
    seen = seen.repeated(4)
    rotations, scale = placed(seen, seen.about(basis.mean.expand(len(starts), -1, -1)), starts, 10)
    none = torch.zeros(len(starts), 0, device=scale.device)
    guess = Guess(none.long(), none.to(scale), rotations, scale)
    around = seen.about_each(basis.deviations)
    root = seen.weights.sqrt()[..., None]
    for _ in range(members):
        drawn = (seen.about(guess.points(basis)) @ guess.rotations.mT)[..., :2] * guess.scale[:, None, None]
        left = (seen.points - drawn) * root
        shown = (around @ guess.rotations.mT[:, None])[..., :2] * root[:, None]
        like = torch.einsum("bkpi,bpi->bk", shown, left).abs() / shown.flatten(2).norm(dim=2).clamp_min(1e-6)
        like = like.scatter(1, guess.chosen, -1.0)
        chosen = torch.cat([guess.chosen, like.argmax(1, keepdim=True)], 1)
        factors = torch.cat([guess.factors, torch.zeros_like(guess.scale)[:, None]], 1)
        guess = improve(seen, basis, replace(guess, chosen=chosen, factors=factors))
    return guess
