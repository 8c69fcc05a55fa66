"""Least squares over a row of frames in which only neighbours are tied to each other: in time linear in their number.

The normal equations then are a band of blocks, one block a frame, which Cholesky's method takes frame by frame (Golub
& Van Loan 2013, "Matrix computations", section 4.5). What is left on the next frames when the first ones have been
eliminated is what these say about those: a Kalman filter in its information form (Thrun et al. 2005, "Probabilistic
robotics", section 3.5), so that a row without end can be solved piece by piece. Levenberg-Marquardt about it, as in
`nbf.solve.levenberg`, with one damping for the whole row.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

REACH = 2
"""A frame is tied to so many frames after it at most: accelerations need three frames."""
_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-4, 1e-9, 1e4
_LONGEST = 1.0  # of any component of a step, as in `nbf.solve.levenberg`


@dataclass(frozen=True)
class Link:
    """Residuals of one kind, in standard deviations, that each depend on a few neighbouring frames: m times g groups of
    d numbers. `robust` is Cauchy's scale, as in `nbf.solve.levenberg.Block`."""

    first: Int64[Tensor, " m"]
    """The first of the frames; no two the same."""
    residuals: Float[Tensor, "m g d"]
    jacobians: tuple[Float[Tensor, "m g d p"], ...]
    """Over steps of that frame, of the next one, and so on; empty where only values were asked for."""
    robust: float | None = None

    def cost(self) -> Float[Tensor, ""]:
        """As `Block.cost`, of everything."""
        squared = self.residuals.square().sum(-1)
        if self.robust is None:
            return squared.sum() / 2
        return torch.log1p(squared / self.robust**2).sum() * (self.robust**2 / 2)

    def before(self, frame: int) -> "Link":
        """Of the residuals, those that depend on frames before this one."""
        some = self.first < frame
        return Link(self.first[some], self.residuals[some], tuple(each[some] for each in self.jacobians), self.robust)

    def weights(self) -> Float[Tensor, "m g"]:
        """What is left of each group's weight by the robust loss, 0 to 1."""
        if self.robust is None:
            return torch.ones_like(self.residuals[..., 0])
        return 1 / (1 + self.residuals.square().sum(-1) / self.robust**2)


S = TypeVar("S", bound="Row")


@runtime_checkable
class Row(Protocol):
    """A state of t frames."""

    def moved(self: S, step: Float[Tensor, "t p"]) -> S: ...


Given = TypeVar("Given", bound=Row, contravariant=True)


@runtime_checkable
class Linked(Protocol[Given]):
    """What is to be made small."""

    def links(self, state: Given, jacobian: bool = True) -> list[Link]: ...


@dataclass(frozen=True)
class Band:
    """Normal equations of t frames: `blocks[k, i]` is the curvature between frames i and i + k."""

    blocks: Float[Tensor, "3 t p p"]
    slope: Float[Tensor, "t p"]

    @classmethod
    def of(cls, links: list[Link], frames: int, freedoms: int) -> "Band":
        """Of all residuals together, of `frames` frames with `freedoms` each."""
        like = links[0].residuals
        blocks, slope = like.new_zeros(REACH + 1, frames, freedoms, freedoms), like.new_zeros(frames, freedoms)
        for link in links:
            root = link.weights().sqrt()[..., None]
            residuals = (link.residuals * root).flatten(1)[..., None]
            columns = [(jacobian * root[..., None]).flatten(1, 2) for jacobian in link.jacobians]
            for i, one in enumerate(columns):
                slope.index_add_(0, link.first + i, (one.mT @ residuals)[..., 0])
                for j in range(i, len(columns)):
                    blocks[j - i].index_add_(0, link.first + i, one.mT @ columns[j])
        return cls(blocks, slope)

    def damped(self, damping: float) -> "Band":
        """With a share of the diagonal added to itself."""
        blocks = self.blocks.clone()
        diagonal = torch.diagonal(blocks[0], dim1=-2, dim2=-1)
        diagonal += damping * diagonal + 1e-9 * diagonal.amax()
        return Band(blocks, self.slope)

    def step(self) -> Float[Tensor, "t p"]:
        """To where the slope vanishes, by the curvature."""
        step = torch.zeros_like(self.slope)
        eliminated, _, _ = self._eliminated(len(step))
        for t, (lower, ties, reduced) in reversed(list(enumerate(eliminated))):
            later = step[t + 1 : t + 1 + REACH].flatten()
            step[t] = torch.linalg.solve_triangular(lower.mT, -(reduced + ties @ later)[:, None], upper=True)[:, 0]
        return step

    def remaining(self, count: int) -> tuple[Float[Tensor, "q q"], Float[Tensor, " q"]]:
        """Curvature and slope that the first `count` frames leave on the `REACH` frames after them, once they are where
        those want them (Schur's complement). The band must be that of `Link.before` this count."""
        _, blocks, slope = self._eliminated(count)
        here, tie, there = blocks[0, count], blocks[1, count], blocks[0, count + 1]
        matrix = torch.cat([torch.cat([here, tie], 1), torch.cat([tie.mT, there], 1)])
        return matrix, slope[count : count + REACH].flatten()

    def _eliminated(self, count: int) -> tuple[list[tuple[Tensor, Tensor, Tensor]], Tensor, Tensor]:
        """Of each of the first frames its lower Cholesky factor, and ties to the next ones and its slope divided by it;
        and what is left of blocks and slopes."""
        blocks, slope, eliminated = self.blocks.clone(), self.slope.clone(), []
        for t in range(count):
            lower, _ = torch.linalg.cholesky_ex(blocks[0, t])
            after = min(REACH, len(slope) - 1 - t)
            right = torch.cat([*blocks[1 : after + 1, t], slope[t, :, None]], 1)
            solved = torch.linalg.solve_triangular(lower, right, upper=False)
            ties, reduced = solved[:, :-1], solved[:, -1]
            each = ties.split(len(lower), 1)
            for i in range(after):
                slope[t + 1 + i] -= each[i].mT @ reduced
                for j in range(i, after):
                    blocks[j - i, t + 1 + i] -= each[i].mT @ each[j]
            eliminated.append((lower, ties, reduced))
        return eliminated, blocks, slope


def cost(problem: Linked[S], state: S) -> float:
    """Total cost of the row."""
    return float(sum(link.cost() for link in problem.links(state, jacobian=False)))


def solve(problem: Linked[S], state: S, frames: int, freedoms: int, *, steps: int = 12, tolerance: float = 1e-3) -> S:
    """Make the cost small from a start; it never grows.

    Args:
        problem: the residuals.
        state: the start, of `frames` frames with `freedoms` each.
        steps: tries at most, good and bad.
        tolerance: done when a good step lowers the cost by less than this share of it.
    """
    best, damping = cost(problem, state), _FIRST_DAMPING
    band = Band.of(problem.links(state), frames, freedoms)
    for _ in range(steps):
        step = band.damped(damping).step()
        # Frame by frame: a frame that has far to go must not hold up the others.
        step = step * (_LONGEST / step.abs().amax(1, keepdim=True).clamp_min(_LONGEST))
        tried = state.moved(step)
        value = cost(problem, tried)
        if not value < best:
            damping *= 10
            if damping > _MOST_DAMPING:
                break
            continue
        done, state, best = best - value <= tolerance * best, tried, value
        damping = max(damping / 10, _LEAST_DAMPING)
        if done:
            break
        band = Band.of(problem.links(state), frames, freedoms)
    return state
