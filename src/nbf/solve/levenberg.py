"""Levenberg-Marquardt over batches: each person's own damping, robust losses, steps in a tangent space.

Sources: Levenberg 1944, Marquardt 1963; gain ratio and damping of Nielsen, "Damping parameter in Marquardt's method",
1999; robust losses by iteratively reweighted least squares (Holland & Welsch 1977) with Cauchy's loss.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nbf.geometry.products import by_vectors, total

CONVERGED, STALLED, OUT_OF_STEPS = 0, 1, 2
REASONS = ("cost stopped falling", "no step makes it better", "out of steps")
"""Why a person's search ended, by the codes above."""

_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-2, 1e-7, 1e7
# Added to the diagonal besides the damping, so that what nothing holds does not make the matrix singular.
_FLOOR = 1e-6
_LONGEST = 1.0  # of any component of a step: beyond that the linearisation knows nothing


@dataclass(frozen=True)
class Block:
    """Residuals of one kind, in standard deviations: g groups of d numbers for each of b people.

    `robust` is Cauchy's scale: a group whose length is well beyond it pulls less and less. None is least squares.
    """

    residuals: Float[Tensor, "b g d"]
    jacobian: Float[Tensor, "b g d p"] | None
    robust: float | None = None

    def cost(self) -> Float[Tensor, " b"]:
        """Half the squared lengths, or Cauchy's c^2/2 log(1 + length^2/c^2), over all groups."""
        if self.robust is None:
            return self.residuals.flatten(1).square().sum(-1) / 2
        squared = self.residuals.square().sum(-1)
        return torch.log1p(squared / self.robust**2).sum(-1) * (self.robust**2 / 2)

    def weighted(self) -> tuple[Float[Tensor, "b r p"], Float[Tensor, "b r"]]:
        """Jacobian and residuals, times the root of the robust loss's weights at these residuals."""
        assert self.jacobian is not None  # only values were asked for
        residuals, jacobian = self.residuals, self.jacobian
        if self.robust is not None:
            root = (1 + residuals.square().sum(-1, keepdim=True) / self.robust**2).rsqrt()
            residuals, jacobian = residuals * root, jacobian * root[..., None]
        return jacobian.flatten(1, 2), residuals.flatten(1)


Same = TypeVar("Same")


@runtime_checkable
class State(Protocol):
    """A point of a manifold, one for each person of a batch."""

    def moved(self: Same, step: Float[Tensor, "b p"]) -> Same: ...
    def chosen(self: Same, other: Same, where: Bool[Tensor, " b"]) -> Same: ...


S = TypeVar("S", bound=State)
Given = TypeVar("Given", bound=State, contravariant=True)


@runtime_checkable
class Problem(Protocol[Given]):
    """What is to be made small."""

    def blocks(self, state: Given, jacobian: bool = True) -> list[Block]: ...


@dataclass(frozen=True)
class Report:
    """How a search went, for each person."""

    before: Float[Tensor, " b"]
    after: Float[Tensor, " b"]
    """Cost; never above `before`."""
    steps: Int64[Tensor, " b"]
    """Steps that made it better."""
    reason: Int64[Tensor, " b"]
    """Index into REASONS."""
    curvature: Float[Tensor, "b p p"]
    """Of the cost (Gauss-Newton's) where the search ended, over steps of the state."""


def cost(problem: Problem[S], state: S) -> Float[Tensor, " b"]:
    """Total cost of each person."""
    return _cost(problem.blocks(state, jacobian=False))


def _cost(blocks: list[Block]) -> Float[Tensor, " b"]:
    return total([block.cost() for block in blocks])


def solve(problem: Problem[S], state: S, *, steps: int = 30, tolerance: float = 1e-3) -> tuple[S, Report]:
    """Make the cost small from a start; nobody ends worse than they began.

    Args:
        steps: tries at most, good and bad.
        tolerance: a person is done when a good step lowers their cost by less than this share of it.

    Returns:
        The best state found and how the search went.
    """
    before, matrix, slope = _around(problem, state)
    best = before
    damping, factor = torch.full_like(best, _FIRST_DAMPING), torch.full_like(best, 2.0)
    reason = torch.full_like(best, OUT_OF_STEPS, dtype=torch.int64)
    taken = torch.zeros_like(reason)
    active = torch.ones_like(best, dtype=torch.bool)
    for _ in range(steps):
        step, predicted = _damped_step(matrix, slope, damping)
        step = torch.where(active[:, None], step, 0.0)
        tried = state.moved(step)
        # Most tries are good ones, so curvature and slope are found along with the cost: the work is mostly the same.
        value, *there = _around(problem, tried)
        gain = (best - value) / predicted.clamp_min(torch.finfo(best.dtype).tiny)
        better = active & (value < best)
        done = better & (best - value <= tolerance * best)
        # Nielsen 1999: a good model lowers the damping by up to three, a bad one raises it ever faster.
        eased = damping * (1 - (2 * gain - 1) ** 3).clamp(1 / 3, 2)
        damping = torch.where(better, eased, damping * factor).clamp_min(_LEAST_DAMPING)
        factor = torch.where(better, 2.0, factor * 2)
        lost = active & ~better & (damping > _MOST_DAMPING)
        state, best = state.chosen(tried, better), torch.where(better, value, best)
        matrix, slope = (
            torch.where(better.view(-1, *[1] * (here.ndim - 1)), new, here) for here, new in zip((matrix, slope), there)
        )
        taken += better
        reason = torch.where(done, CONVERGED, torch.where(lost, STALLED, reason))
        active = active & ~done & ~lost
        if not active.any():
            break
    return state, Report(before, best, taken, reason, matrix)


def normal_equations(problem: Problem[S], state: S) -> tuple[Float[Tensor, "b p p"], Float[Tensor, "b p"]]:
    """Curvature of the cost (Gauss-Newton's) and its slope, over steps of the state."""
    _, matrix, slope = _around(problem, state)
    return matrix, slope


def inverse(curvature: Float[Tensor, "b p p"]) -> Float[Tensor, "b p p"]:
    """The covariance that a curvature stands for (Laplace's approximation).

    By Cholesky's method, which does not care how different the units of the entries are: by others, variances of bodies
    whose residuals change very unlike in some directions come out negative in float32.
    """
    factor, failed = torch.linalg.cholesky_ex(curvature)
    covariance = torch.cholesky_inverse(factor)
    if failed.any():
        covariance = torch.where(failed[:, None, None] > 0, torch.linalg.inv(curvature), covariance)
    return covariance


def _around(problem: Problem[S], state: S) -> tuple[Float[Tensor, " b"], Float[Tensor, "b p p"], Float[Tensor, "b p"]]:
    """Cost, curvature and slope: J'WJ and J'Wr, with the weights W of the robust losses."""
    blocks = problem.blocks(state)
    (first, residuals), *others = (block.weighted() for block in blocks)
    matrix, slope = first.mT @ first, by_vectors(first.mT, residuals)
    for jacobian, residuals in others:
        matrix = torch.baddbmm(matrix, jacobian.mT, jacobian)
        slope = slope + by_vectors(jacobian.mT, residuals)
    return _cost(blocks), matrix, slope


def _damped_step(
    matrix: Float[Tensor, "b p p"], slope: Float[Tensor, "b p"], damping: Float[Tensor, " b"]
) -> tuple[Float[Tensor, "b p"], Float[Tensor, " b"]]:
    """A step, and by how much the quadratic model says that it lowers the cost."""
    diagonal = torch.diagonal(matrix, dim1=1, dim2=2)
    added = damping[:, None] * diagonal + _FLOOR * diagonal.amax(1, keepdim=True).clamp_min(_FLOOR)
    damped = matrix.clone()
    damped.diagonal(dim1=1, dim2=2).add_(added)
    factor, _ = torch.linalg.cholesky_ex(damped)
    step = -torch.cholesky_solve(slope[..., None], factor)[..., 0]
    step = step * (_LONGEST / step.abs().amax(1, keepdim=True).clamp_min(_LONGEST))
    return step, -(step * (slope + by_vectors(matrix, step) / 2)).sum(1)
