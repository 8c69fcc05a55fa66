"""How much of a person the picture shows, and how far off the body may be."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from nbf.body.joints import COCO17, SMPL24
from nbf.body.parts import NAMES
from nbf.geometry.spread import mean_length

PARTS14 = NAMES[14][1:]
"""Names of the merged parts that evidence is counted for."""


@dataclass(frozen=True, eq=False)
class Certainty:
    """Of one person; what is learnt about it is in docs/refinement.md.

    Attributes:
        joint_error: (24,) metres by which each joint is off on average, relative to the pelvis; nan where the method
            does not say.
        cells: (14,) cells of the part map (64 x 64) on which the mesh shows each part; 0 where the body hides it.
        seen: (14,) probability of the part there, 0 to 1; nan without cells.
        cut: (14,) share of them beyond the edge of the photo; nan without cells.
        entropy: (14,) how unsure the map is there, nats; nan without cells.
        guessed: (14,) the picture shows so little of the part that its place is a guess.
        shape_covariance: (S, S) of the betas; nan where the method does not say.
        keypoint_covariance: (17, 2, 2) of the body's COCO keypoints in the picture, pixels squared; nan where the
            method does not say.
    """

    joint_error: Float[Tensor, "24"]
    cells: Float[Tensor, "14"]
    seen: Float[Tensor, "14"]
    cut: Float[Tensor, "14"]
    entropy: Float[Tensor, "14"]
    guessed: Bool[Tensor, "14"]
    shape_covariance: Float[Tensor, "s s"]
    keypoint_covariance: Float[Tensor, "17 2 2"]

    @property
    def keypoint_error(self) -> Float[Tensor, "17"]:
        """Pixels by which each keypoint of the body is off on average."""
        return mean_length(self.keypoint_covariance)

    def record(self) -> dict[str, Any]:
        """For JSON: millimetres by joint and pixels by keypoint (None if unknown), and what is seen, cut off and hidden
        (shares) by part."""
        parts = {}
        for name, *values in zip(PARTS14, self.cells, self.seen, self.cut, self.entropy, self.guessed):
            cells, seen, cut, entropy, guessed = (float(value) for value in values)
            if not cells:
                parts[name] = {"cells": 0, "guessed": True}
                continue
            parts[name] = {
                "cells": round(cells),
                "seen": round(seen, 3),
                "cut": round(cut, 3),
                "hidden": round(max(1 - seen - cut, 0.0), 3),
                "entropy": round(entropy, 3),
                "guessed": bool(guessed),
            }
        joints = {
            name: None if error.isnan() else round(1000 * float(error)) for name, error in zip(SMPL24, self.joint_error)
        }
        keypoints = {
            name: None if error.isnan() else round(float(error), 2) for name, error in zip(COCO17, self.keypoint_error)
        }
        return {"joint_error_mm": joints, "keypoint_error_px": keypoints, "parts": parts}
