"""What solvers make of a proxy, and the two words that every method consists of: what it sees and how it solves."""

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import wraps
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.known import NOTHING, Known
from nbf.proxy.proxy import Crops, Proxy, See
from nbf.solve.levenberg import Report
from nbf.solve.together import Together


class Reading(NamedTuple):
    """Where a regressor finds the joints of n people, and how far its answers for the map and for its mirror image are
    apart.

    joints: x, y of the 24 joints in the crop (-1 to 1) and the log of their spread, as its joint maps have them.
    turns: rotation vectors between the two answers for each joint's frame in the camera, radians. moves: between the
    joints' places. betas: between the shapes. scale: log of the ratio of the scales.
    """

    joints: Float[Tensor, "n 24 3"]
    turns: Float[Tensor, "n 24 3"]
    moves: Float[Tensor, "n 24 2"]
    betas: Float[Tensor, "n s"]
    scale: Float[Tensor, " n"]


@dataclass(frozen=True)
class Fit:
    """Bodies of n people, and how sure they are."""

    bodies: Bodies
    covariance: Float[Tensor, "n p p"] | None = None
    """Of a step (`Bodies.moved`), as the residuals' curvature has it (Laplace's approximation); None where nobody asked
    how sure they are."""
    joint_error: Float[Tensor, "n 24"] | None = None
    """Metres by which each joint is off on average, relative to the pelvis: the covariance, calibrated."""
    shape_covariance: Float[Tensor, "n s s"] | None = None
    """Of the betas, calibrated."""
    keypoint_covariance: Float[Tensor, "n 17 2 2"] | None = None
    """Of the body's COCO keypoints in the picture, crop sides squared, calibrated; nan where nobody found out how."""
    start: Bodies | None = None
    """Where optimisers began, the first of several."""
    report: Report | None = None
    """How its search went."""
    reading: Reading | None = None
    """What else a regressor says."""


Solve = Callable[[Proxy, Known], Fit]
"""Turns evidence into bodies."""


def inferred(solve: Callable[..., Fit]) -> Callable[..., Fit]:
    """A solver's method whose work is done in inference mode, which spares small tensors a fifth of their time; its
    results are tensors like all others."""

    @wraps(solve)
    def inferring(*args: Any, **options: Any) -> Fit:
        with torch.inference_mode():
            fit = solve(*args, **options)
        return _like_others(fit)

    return inferring


def _like_others(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value
    if isinstance(value, Reading):
        return Reading(*map(_like_others, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _like_others(getattr(value, each.name)) for each in fields(value)})
    return value


@dataclass(frozen=True)
class Method:
    """A way from pictures to bodies: what it sees, how it solves, and what it makes of several people. `nbf.methods`
    has the table of them."""

    see: See
    solve: Solve
    together: Together | None = None
    """What is done about people who were solved one by one, of those of one picture."""

    def __call__(self, crops: Crops, known: Known = NOTHING) -> tuple[Proxy, Fit]:
        """Evidence and bodies of the people in crops."""
        proxy = self.see(crops)
        return proxy, self.solve(proxy, known)
