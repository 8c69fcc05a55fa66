"""Sequences of poses without pictures: what motion capture gives."""

import math
from dataclasses import dataclass

from jaxtyping import Float32
from numpy import ndarray


@dataclass(frozen=True, eq=False)
class PoseSequence:
    """One recording of one person's motion."""

    name: str
    """Unique within its data set."""
    gender: str
    """neutral, female or male."""
    betas: Float32[ndarray, " s"]
    """Of the body of that gender that the data set means."""
    rate: float
    """Poses a second."""
    poses: Float32[ndarray, "n 24 3"]
    """Axis-angle, parent_from_joint in SMPL's order; the root's is in a world with y up."""

    def thinned(self, rate: float) -> "PoseSequence":
        """Every so many poses that there are at most `rate` a second (or hardly more: 120.00004 Hz counts as 120)."""
        step = max(1, math.ceil(self.rate / rate - 0.01))
        return PoseSequence(self.name, self.gender, self.betas, self.rate / step, self.poses[::step])
