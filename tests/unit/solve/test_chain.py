"""The band of a row of frames says the same as the whole matrix."""

from dataclasses import dataclass

import pytest
import torch

from nbf.solve.chain import REACH, Band, Link, solve

FRAMES, FREEDOMS = 7, 3


def links(seed: int = 0, robust: float | None = None) -> list[Link]:
    generator = torch.Generator().manual_seed(seed)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    made = []
    for frames in (1, 2, 3):
        first = torch.arange(FRAMES - frames + 1)
        columns = tuple(some(len(first), 2, 4, FREEDOMS) for _ in range(frames))
        made.append(Link(first, some(len(first), 2, 4), columns, robust))
    return made


def dense(links: list[Link]) -> tuple[torch.Tensor, torch.Tensor]:
    """Curvature and slope of all frames at once, residual by residual."""
    size = FRAMES * FREEDOMS
    matrix, slope = torch.zeros(size, size).double(), torch.zeros(size).double()
    for link in links:
        for row, first in enumerate(link.first.tolist()):
            for group in range(link.residuals.shape[1]):
                columns = torch.zeros(link.residuals.shape[2], size).double()
                for k, jacobian in enumerate(link.jacobians):
                    start = (first + k) * FREEDOMS
                    columns[:, start : start + FREEDOMS] = jacobian[row, group]
                weight = link.weights()[row, group]
                matrix += weight * columns.T @ columns
                slope += weight * columns.T @ link.residuals[row, group]
    return matrix, slope


@pytest.mark.parametrize("robust", [None, 1.0])
def test_the_step_of_a_band_is_that_of_the_whole_matrix(robust):
    made = links(robust=robust)
    matrix, slope = dense(made)
    step = Band.of(made, FRAMES, FREEDOMS).step()
    torch.testing.assert_close(step.flatten(), -torch.linalg.solve(matrix, slope))


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_rows_have_a_step_too(frames):
    made = [link.before(frames - k) for k, link in enumerate(links()) if frames > k]
    matrix, slope = dense(made)
    size = frames * FREEDOMS
    step = Band.of(made, frames, FREEDOMS).step()
    torch.testing.assert_close(step.flatten(), -torch.linalg.solve(matrix[:size, :size], slope[:size]))


@pytest.mark.parametrize("gone", [1, 3])
def test_what_remains_of_frames_that_are_gone_is_what_they_say_about_later_ones(gone):
    made = links()
    whole = Band.of(made, FRAMES, FREEDOMS).step()
    matrix, slope = Band.of([link.before(gone) for link in made], FRAMES, FREEDOMS).remaining(gone)
    rest = FRAMES - gone
    band = Band.of([Link(link.first - gone, link.residuals, link.jacobians).before(rest) for link in after(made, gone)],
                   rest, FREEDOMS)  # fmt: skip
    for i in range(REACH):
        rows = slice(i * FREEDOMS, (i + 1) * FREEDOMS)
        band.slope[i] += slope[rows]
        for j in range(i, REACH):
            band.blocks[j - i, i] += matrix[rows, j * FREEDOMS : (j + 1) * FREEDOMS]
    torch.testing.assert_close(band.step(), whole[gone:])


def after(made: list[Link], gone: int) -> list[Link]:
    """Those that do not depend on frames that are gone."""
    kept = [link.first >= gone for link in made]
    return [
        Link(link.first[rows], link.residuals[rows], tuple(each[rows] for each in link.jacobians))
        for link, rows in zip(made, kept)
    ]


@dataclass(frozen=True)
class Angles:
    values: torch.Tensor

    def moved(self, step: torch.Tensor) -> "Angles":
        return Angles(self.values + step)


@dataclass(frozen=True)
class Circles:
    """Points on the unit circle near to others, neighbours alike: not linear."""

    seen: torch.Tensor

    def links(self, state: Angles, jacobian: bool = True) -> list[Link]:
        angle = state.values
        points = torch.cat([angle.cos(), angle.sin()], 1)
        columns = torch.stack([-angle.sin(), angle.cos()], 1)[:, None]
        between = (angle[1:] - angle[:-1])[:, None] / 0.3
        ones = torch.ones(len(between), 1, 1, 1).double() / 0.3
        frames = torch.arange(len(angle))
        return [
            Link(frames, (points - self.seen)[:, None] / 0.1, (columns / 0.1,) if jacobian else (), 3.0),
            Link(frames[:-1], between, (-ones, ones) if jacobian else ()),
        ]


def test_a_row_is_found_again_and_one_frame_that_says_otherwise_is_not_believed():
    true = torch.linspace(0, 1.5, 20).double()[:, None]
    seen = torch.cat([true.cos(), true.sin()], 1)
    seen[8] = -seen[8]
    start = Angles(torch.zeros_like(true) + 0.4)
    found = solve(Circles(seen), start, 20, 1, steps=50, tolerance=1e-9).values
    assert (found - true).abs().max() < 0.05
