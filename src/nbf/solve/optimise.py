"""Optimise: least squares from another solver's bodies, over a list of terms that the evidence gives."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.bodies import SHAPE_START, Bodies
from nbf.body.landmarks import Landmarks
from nbf.body.model import BodyModel
from nbf.errors import InputError
from nbf.known import NOTHING, Known
from nbf.proxy.proxy import Proxy, told_joints
from nbf.solve.fit import Fit, Solve
from nbf.solve.inferred import inferred
from nbf.solve.levenberg import Problem, Report, inverse, normal_equations, solve
from nbf.solve.uncertainty import joint_sigmas, pixel_covariances

STEPS = 12


@dataclass(frozen=True)
class Calibration:
    """What makes the covariances of some terms those of real errors."""

    joints: float = 1.0
    """Mean error of a joint's place over the standard deviation that the residuals' curvature gives it."""
    shape: float = 1.0
    """The same for the standard deviation of shape."""
    keypoints: float = math.nan
    """Mean error of a keypoint in the picture over the one that the curvature gives it; nan where nobody found out."""


@runtime_checkable
class Terms(Protocol):
    """What is made small for people of whom a proxy was seen, from the fit that the search starts from."""

    @property
    def calibration(self) -> Calibration: ...

    def __call__(self, proxy: Proxy, known: Known, fit: Fit) -> Problem: ...


class Optimise:
    """The most likely bodies, given the terms; nobody's residuals become larger. On the CPU, some hundredths of a
    second for one person, less for many together."""

    def __init__(self, body: BodyModel, start: Solve, terms: Terms, *, steps: int = STEPS) -> None:
        """With `steps` 0 the start stays as it is, and only how sure it is is found."""
        self.start, self.terms, self.steps = start, terms, steps
        self.joints, self.keypoints = (Landmarks.keypoints(body, kind) for kind in ("smpl24", "coco17"))

    @inferred
    def __call__(self, proxy: Proxy, known: Known = NOTHING) -> Fit:
        return self.improve(proxy, known, self.start(proxy, known))

    @inferred
    def improve(self, proxy: Proxy, known: Known, fit: Fit) -> Fit:
        """The same from a fit that is there already. Raises InputError as `search`."""
        found = self.search(proxy, known, fit)
        covariance, calibration = inverse(found.curvature), self.terms.calibration
        return Fit(
            found.bodies,
            covariance,
            joint_error=joint_sigmas(self.joints, found.bodies, covariance) * calibration.joints,
            shape_covariance=covariance[:, SHAPE_START:, SHAPE_START:] * calibration.shape**2,
            keypoint_covariance=self.keypoint_covariance(found, covariance, proxy),
            start=(fit.bodies if fit.start is None else fit.start) if self.steps else None,
            report=found.report,
            reading=fit.reading,
        )

    @torch.no_grad()
    def search(self, proxy: Proxy, known: Known, fit: Fit) -> "Found":
        """The bodies alone. Raises InputError where knowledge is given that 0 steps cannot use."""
        if self.steps == 0 and (known or told_joints(proxy)):
            raise InputError("known: expected nothing with a method that does not optimise; use the method nbf")
        problem = self.terms(proxy, known, fit)
        if self.steps == 0:
            bodies = fit.bodies.orthonormal()
            return Found(problem, bodies, normal_equations(problem, bodies)[0], None)
        bodies, report = solve(problem, fit.bodies, steps=self.steps)
        return Found(problem, bodies.orthonormal(), report.curvature, report)

    def keypoint_covariance(
        self, found: "Found", covariance: Float[Tensor, "n p p"], proxy: Proxy
    ) -> Float[Tensor, "n 17 2 2"]:
        """Of the keypoints of what was found, calibrated, for a covariance of a step."""
        spread = pixel_covariances(self.keypoints, found.bodies, proxy.camera, covariance)
        return spread * self.terms.calibration.keypoints**2


@dataclass(frozen=True)
class Found:
    """What a search found, and what for."""

    problem: Problem
    bodies: Bodies
    curvature: Float[Tensor, "n p p"]
    """Of the residuals there, over steps of the bodies."""
    report: Report | None
    """None without a search."""
