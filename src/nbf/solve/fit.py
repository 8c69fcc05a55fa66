"""What solvers make of a proxy, and the two words that every method consists of: what it sees and how it solves."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

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

    def __getitem__(self, people: slice | Tensor) -> "Fit":
        """Some of the people."""

        def some(value: Any) -> Any:
            match value:
                case None:
                    return None
                case Reading():
                    return Reading(*(each[people] for each in value))
                case Report():
                    return Report(*(getattr(value, each.name)[people] for each in fields(value)))
                case _:
                    return value[people]

        return Fit(*(some(getattr(self, each.name)) for each in fields(self)))


Solve = Callable[[Proxy, Known], Fit]
"""Turns evidence into bodies."""


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
