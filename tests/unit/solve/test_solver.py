"""The solver on small problems with known answers."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from torch import Tensor

from nbf.solve.levenberg import CONVERGED, OUT_OF_STEPS, STALLED, Block, solve

TIMES = torch.linspace(0, 3, 25, dtype=torch.float64)


@dataclass(frozen=True)
class Numbers:
    """A flat space: a step is added."""

    values: Tensor

    def moved(self, step: Tensor) -> "Numbers":
        return Numbers(self.values + step)

    def chosen(self, other: "Numbers", where: Tensor) -> "Numbers":
        return Numbers(torch.where(where[:, None], other.values, self.values))


class Decay:
    """a exp(-b t) through noisy points, one curve a person."""

    def __init__(self, robust: float | None) -> None:
        noise = torch.randn(3, 25, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        self.seen = torch.tensor([[2.0], [1.0], [3.0]]) * torch.exp(-TIMES * torch.tensor([[1.0], [0.5], [2.0]]))
        self.seen = self.seen + 0.02 * noise
        self.seen[:, 7] += 2.0  # somebody wrote this one down wrongly
        self.robust = robust

    def residuals(self, values: Tensor) -> Tensor:
        return (values[:, :1] * torch.exp(-values[:, 1:] * TIMES) - self.seen) / 0.1

    def blocks(self, state: Numbers, jacobian: bool = True) -> list[Block]:
        slope = torch.exp(-state.values[:, 1:] * TIMES)
        columns = torch.stack([slope, -state.values[:, :1] * TIMES * slope], -1) / 0.1
        return [Block(self.residuals(state.values)[..., None], columns[:, :, None] if jacobian else None, self.robust)]


@pytest.mark.parametrize(("robust", "loss"), [(None, "linear"), (1.0, "cauchy")])
def test_finds_what_scipy_finds(robust: float | None, loss: str) -> None:
    problem = Decay(robust)
    found, report = solve(problem, Numbers(torch.ones(3, 2, dtype=torch.float64)), steps=60, tolerance=1e-12)
    for person in range(3):

        def one(values: np.ndarray, person: int = person) -> np.ndarray:
            return problem.residuals(torch.from_numpy(values)[None].expand(3, 2))[person].numpy()

        expected = least_squares(one, np.ones(2), loss=loss, f_scale=1.0, xtol=1e-12, ftol=1e-12)
        np.testing.assert_allclose(found.values[person].numpy(), expected.x, rtol=1e-4)
        assert float(report.after[person]) == pytest.approx(expected.cost, rel=1e-6)
    assert (report.reason == CONVERGED).all()


def test_people_do_not_disturb_each_other() -> None:
    problem = Decay(1.0)
    together, _ = solve(problem, Numbers(torch.ones(3, 2, dtype=torch.float64)), steps=60, tolerance=1e-12)
    problem.seen = problem.seen[1:2]
    alone, _ = solve(problem, Numbers(torch.ones(1, 2, dtype=torch.float64)), steps=60, tolerance=1e-12)
    torch.testing.assert_close(alone.values[0], together.values[1], rtol=1e-6, atol=1e-8)


class Lying:
    """A Jacobian that points uphill: no step can help."""

    def blocks(self, state: Numbers, jacobian: bool = True) -> list[Block]:
        wrong = -torch.ones(len(state.values), 1, 1, 1).to(state.values)
        return [Block(state.values[:, None], wrong if jacobian else None)]


def test_start_is_kept_where_nothing_helps() -> None:
    start = Numbers(torch.tensor([[1.0], [2.0]], dtype=torch.float64))
    found, report = solve(Lying(), start, steps=60)
    torch.testing.assert_close(found.values, start.values)
    torch.testing.assert_close(report.after, report.before)
    assert (report.reason == STALLED).all()
    assert (report.steps == 0).all()


def test_says_when_it_ran_out_of_steps() -> None:
    _, report = solve(Decay(None), Numbers(torch.ones(3, 2, dtype=torch.float64)), steps=1)
    assert (report.reason == OUT_OF_STEPS).all()
