"""Reliability: do joints that are said to be off by so much turn out to be, on average?"""

import math

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from nbf.errors import InputError

BINS = 10
# Pixels: picture; margins left, top, right, bottom around the square of the plot; font sizes; radius of a bin's dot.
_WIDTH, _HEIGHT = 560, 600
_LEFT, _TOP, _RIGHT, _BOTTOM = 80, 62, 24, 82
_FONT, _TITLE, _DOT = 14, 18, 5
# Drawn so many times larger and shrunk: Pillow's lines and discs have hard edges.
_SAMPLES = 3
_PAPER, _INK, _GRID, _DIAGONAL, _DATA = (255, 255, 255), (40, 40, 46), (230, 231, 235), (140, 142, 150), (32, 98, 180)
# Steps between ticks, times a power of ten; at most so many of them an axis.
_STEPS, _TICKS = (1, 2, 5, 10), 8


def reliability(
    predicted: Float[Tensor, " n"], actual: Float[Tensor, " n"], bins: int = BINS
) -> list[tuple[float, float, int]]:
    """Bins of equal count by predicted error: (mean predicted, mean actual, count) of each, the surest first.

    The points of a reliability diagram (DeGroot & Fienberg, The Statistician 1983) for a regression, as in Levi et al.,
    "Evaluating and calibrating uncertainty prediction in regression tasks", Sensors 2022. In the units given.
    Counts differ by at most one; fewer values than bins are a bin each; the order of the values does not matter.

    Raises:
        InputError: bins below 1, or values that are negative or not finite.
    """
    if bins < 1:
        raise InputError(f"bins: expected at least 1, got {bins}")
    predicted, actual = predicted.detach().double().cpu(), actual.detach().double().cpu()
    _check_errors(predicted, actual)
    # Values of one prediction may fall into two bins: each gets their mean, or the split would depend on their order.
    said, group, shared = predicted.unique(return_inverse=True, return_counts=True)
    was = torch.zeros_like(said).index_add_(0, group, actual) / shared
    pairs = torch.stack([said, was], dim=1).repeat_interleave(shared, dim=0)
    chunks = pairs.tensor_split(min(bins, len(pairs))) if len(pairs) else ()
    return [(*chunk.mean(dim=0).tolist(), len(chunk)) for chunk in chunks]


def reliability_plot(
    predicted: Float[Tensor, " n"], actual: Float[Tensor, " n"], title: str, unit: str = "mm"
) -> Image.Image:
    """`reliability` as a picture: mean actual over mean predicted error of each bin, and the diagonal.

    Dots below the diagonal are better than they were said to be, dots above it worse. Below the plot stand the number
    of joints and Pearson's correlation over joints, which is undefined where all predicted or actual errors agree.

    Raises:
        InputError: no values, or some that are negative or not finite.
    """
    if len(predicted) == 0:
        raise InputError("predicted: expected the error of at least one joint, got none")
    points = [(said, was) for said, was, _ in reliability(predicted, actual)]
    top, step = _axis(max(max(point) for point in points))
    paper = Image.new("RGB", (_WIDTH * _SAMPLES, _HEIGHT * _SAMPLES), _PAPER)
    pen = _Pen(paper)
    side = _WIDTH - _LEFT - _RIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        return _LEFT + side * x / top, _TOP + side * (1 - y / top)

    pen.text((_WIDTH / 2, _TOP / 2), title, "mm", _TITLE)
    for tick in range(round(top / step) + 1):
        value = tick * step
        pen.line([place(value, 0), place(value, top)], _GRID)
        pen.line([place(0, value), place(top, value)], _GRID)
        (x, bottom), (left, y) = place(value, 0), place(0, value)
        pen.text((x, bottom + 8), f"{value:g}", "mt")
        pen.text((left - 8, y), f"{value:g}", "rm")
    pen.line([place(0, top), place(0, 0), place(top, 0)], _INK)
    pen.line([place(0, 0), place(top, top)], _DIAGONAL, 1.5)
    pen.line([place(*point) for point in points], _DATA, 1.5)
    for point in points:
        pen.dot(place(*point), _DATA)
    pen.text((_LEFT + side / 2, _TOP + side + 36), f"predicted error ({unit})", "mm")
    pen.text_upwards((20, _TOP + side / 2), f"actual error ({unit})")
    count = f"{len(predicted):,} joint{'s' * (len(predicted) > 1)} in {len(points)} bin{'s' * (len(points) > 1)}"
    written = f"{count} · correlation {_correlation(predicted, actual)}"
    pen.text((_LEFT + side / 2, _HEIGHT - 20), written, "mm")
    return paper.resize((_WIDTH, _HEIGHT), Image.Resampling.LANCZOS)


def _check_errors(predicted: Tensor, actual: Tensor) -> None:
    for name, values in (("predicted", predicted), ("actual", actual)):
        wrong = int((~(values.isfinite() & (values >= 0))).sum())
        if wrong:
            raise InputError(
                f"{name}: expected finite errors of 0 or more, got {wrong} of {len(values)} others; leave them out"
            )


def _correlation(predicted: Tensor, actual: Tensor) -> str:
    said, was = (values.detach().double() - values.double().mean() for values in (predicted, actual))
    spread = float(said.norm() * was.norm())
    return f"{float(said @ was) / spread:.2f}" if spread > 0 else "undefined"


def _axis(most: float) -> tuple[float, float]:
    """The end of an axis from 0 that holds `most`, and the step between its ticks."""
    if most <= 0:
        return 1.0, 0.2
    power = 10.0 ** math.floor(math.log10(most / _TICKS))
    step = next(step * power for step in _STEPS if step * power * _TICKS >= most)
    return step * -(-most // step), step


class _Pen:
    """Draws in pixels of the shrunk picture."""

    def __init__(self, paper: Image.Image):
        self.paper, self.draw = paper, ImageDraw.Draw(paper)

    def line(self, points: list[tuple[float, float]], color: tuple[int, int, int], width: float = 1.0) -> None:
        self.draw.line([(x * _SAMPLES, y * _SAMPLES) for x, y in points], color, round(width * _SAMPLES), joint="curve")

    def dot(self, point: tuple[float, float], color: tuple[int, int, int]) -> None:
        x, y = point
        box = (x - _DOT, y - _DOT, x + _DOT, y + _DOT)
        self.draw.ellipse([value * _SAMPLES for value in box], color)

    def text(self, point: tuple[float, float], text: str, anchor: str, size: int = _FONT) -> None:
        font = ImageFont.load_default(size=size * _SAMPLES)
        self.draw.text((point[0] * _SAMPLES, point[1] * _SAMPLES), text, _INK, font, anchor)

    def text_upwards(self, middle: tuple[float, float], text: str) -> None:
        font = ImageFont.load_default(size=_FONT * _SAMPLES)
        left, top, right, bottom = font.getbbox(text)
        label = Image.new("RGB", (round(right - left), round(bottom - top)), _PAPER)
        ImageDraw.Draw(label).text((-left, -top), text, _INK, font)
        label = label.rotate(90, expand=True)
        x, y = (round(value * _SAMPLES - size / 2) for value, size in zip(middle, label.size))
        self.paper.paste(label, (x, y))
