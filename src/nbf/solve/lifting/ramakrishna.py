"""Ramakrishna, Kanade & Sheikh 2012, "Reconstructing 3D human pose from 2D image landmarks".

Few members of a basis, chosen greedily; the camera and their factors in turn; and of all poses that project to the
joints one whose squared bone lengths add up to those of a body.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.solve.lifting.basis import PoseBasis, bones
from nbf.solve.lifting.camera import Lifted, Seen, placed
from nbf.solve.lifting.pursuit import Guess, pursuit

MEMBERS = 10
_ROUNDS = 4
# Pull of the factors towards zero, against a mean square residual: noise of 17 joints does not determine all of them.
_RIDGE = 1e-3
_BISECTIONS = 40


def lift_ramakrishna(seen: Seen, basis: PoseBasis, members: int = MEMBERS) -> Lifted:
    """Poses of so many members each."""
    guess = pursuit(seen, basis, members, _improve)
    points = guess.points(basis)
    every = seen.repeated(4)
    drawn = (every.about(points) @ guess.rotations.mT)[..., :2] * guess.scale[:, None, None]
    return Lifted(
        points, guess.rotations, guess.scale, every.missed(drawn) + _RIDGE * guess.factors.square().sum(1)
    ).best(4)


def _improve(seen: Seen, basis: PoseBasis, guess: Guess) -> Guess:
    """Factors of a known camera, then the camera of a known pose, and again."""
    members = basis.deviations[guess.chosen]
    count = members.shape[1]
    around = torch.stack([seen.about(members[:, j]) for j in range(count)], 1)
    mean = seen.about(basis.mean.expand(len(members), -1, -1))
    root = seen.weights.sqrt()[..., None]
    own, of_mean = bones(members).flatten(2), bones(basis.mean).flatten()
    eye = torch.eye(count).to(own)
    gram = own @ own.mT + 1e-6 * eye
    pull = own @ of_mean
    length = basis.lengths.square().sum()
    for _ in range(_ROUNDS):
        scale = guess.scale[:, None, None]
        shown = ((around @ guess.rotations.mT[:, None])[..., :2] * scale[:, None] * root[:, None]).flatten(2)
        left = ((seen.points - (mean @ guess.rotations.mT)[..., :2] * scale) * root).flatten(1)
        matrix = shown @ shown.mT + _RIDGE * eye
        factors = on_ellipsoid(matrix, (shown @ left[..., None])[..., 0], gram, pull, length - of_mean.square().sum())
        guess = replace(guess, factors=factors)
        rotations, scale = placed(seen, seen.about(guess.points(basis)), guess.rotations, 1)
        guess = replace(guess, rotations=rotations, scale=scale)
    return guess


def on_ellipsoid(
    matrix: Float[Tensor, "b j j"],
    slope: Float[Tensor, "b j"],
    gram: Float[Tensor, "b j j"],
    pull: Float[Tensor, "b j"],
    rest: Float[Tensor, ""],
) -> Float[Tensor, "b j"]:
    """The w that makes w' matrix w / 2 - slope' w least among those with w' gram w + 2 pull' w = rest, or, where there
    are none, that comes nearest to it.

    An equality of squares beside least squares: one multiplier, found by bisection in the eigenvectors of both (Gander
    1980, "Least squares with a quadratic constraint"). Both matrices are positive definite.
    """
    lower = torch.linalg.cholesky(gram)
    middle = -torch.cholesky_solve(pull[..., None], lower)
    radius = (rest - (middle[..., 0] * pull).sum(1)).clamp_min(0).sqrt()
    # w = middle + lower'^-1 u with |u| = radius.
    half = torch.linalg.solve_triangular(lower, matrix, upper=False)
    curved, vectors = torch.linalg.eigh(torch.linalg.solve_triangular(lower, half.mT, upper=False))
    down = torch.linalg.solve_triangular(lower, slope[..., None] - matrix @ middle, upper=False)
    down = (vectors.mT @ down)[..., 0]
    # |u| falls from infinity to zero as the multiplier rises from minus the least curvature.
    strength = down.norm(dim=1)
    low = torch.zeros_like(radius)
    high = strength / radius.clamp_min(1e-9) + 1e-9
    above = (curved - curved[:, :1]).clamp_min(0)
    for _ in range(_BISECTIONS):
        tried = (low + high) / 2
        long = (down / (above + tried[:, None]).clamp_min(1e-12)).norm(dim=1) > radius
        low, high = torch.where(long, tried, low), torch.where(long, high, tried)
    u = down / (above + high[:, None]).clamp_min(1e-12)
    return (middle + torch.linalg.solve_triangular(lower.mT, vectors @ u[..., None], upper=True))[..., 0]
