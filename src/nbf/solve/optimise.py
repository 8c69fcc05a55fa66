"""Test-time refinement: a fitter's estimate, made to agree with the joints seen in 2D and with what is known."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.landmarks import Landmarks, place
from nbf.body.model import BodyModel
from nbf.body.pose_prior import PosePrior
from nbf.geometry import Camera, translation_from_crop_camera
from nbf.nets.doubt import Doubt
from nbf.nets.fitter import Proxy
from nbf.nets.mirror import Reading
from nbf.solve import terms
from nbf.solve.clues import clues, detected_points, detections
from nbf.solve.estimate import Estimate
from nbf.solve.levenberg import Block, Report, normal_equations, solve

STEPS = 12
HEIGHT_SIGMA = 0.01
"""Metres by which a height that somebody gives may be wrong."""
GIVEN_SIGMA = 0.01
"""Crop sides by which a keypoint that somebody gives may be off the body's own; COCO's annotators differ by as much."""
PRIOR = 0.15
"""Weight of the pose prior. The estimate knows most of what it says; it holds what the picture does not show."""
_ROBUST = 3.0


@dataclass(frozen=True)
class Given:
    """What is known of b people besides what the networks see."""

    heights: Float[Tensor, " b"]
    """Metres, T-posed; nan where unknown."""
    keypoints: Float[Tensor, "b 17 3"]
    """COCO-17 from elsewhere: x, y in crop sides and a weight from 0 (unknown) to 1."""
    shape: tuple[Float[Tensor, " s"], Float[Tensor, "s s"]] | None = None
    """Mean and covariance of the shapes of the people's age group."""

    @classmethod
    def nothing(cls, count: int) -> "Given":
        """Of `count` people."""
        return cls(torch.full((count,), torch.nan), torch.zeros(count, 17, 3))


@dataclass(frozen=True)
class Refined:
    """Bodies, how sure they are, and how the search went."""

    state: Bodies
    covariance: Float[Tensor, "b p p"]
    """Of a step of the state (`Bodies.moved`), as the residuals' curvature has it (Laplace's approximation)."""
    report: Report


@dataclass(frozen=True)
class KnownProblem:
    """An estimate, and facts beside it."""

    body: BodyModel
    estimate: Estimate
    prior: PosePrior
    given: Given

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        """All residuals, in standard deviations."""
        seen = place(self.estimate.points, state, jacobian)
        blocks = [self.estimate.error(state, jacobian), self.estimate.noise(seen)]
        blocks += terms.pose(state, self.prior, PRIOR, jacobian)
        given = self.given
        if not given.heights.isnan().all():
            blocks.append(terms.height(state, self.body, given.heights, HEIGHT_SIGMA, jacobian))
        if given.shape is not None:
            blocks.append(terms.shape_among(state, *given.shape, jacobian))
        if (given.keypoints[..., 2] > 0).any():
            pixels = terms.project(seen[:17], self.estimate.camera)
            weights = given.keypoints[..., 2] / GIVEN_SIGMA
            blocks.append(terms.points_2d(pixels, given.keypoints[..., :2], weights, _ROBUST))
        return blocks


class Refiner:
    """Refines people before cameras, on the CPU: about a tenth of a second for one person, less for many together."""

    def __init__(self, body: BodyModel, doubt: Doubt) -> None:
        """`doubt` must have been trained for the fitter whose readings are refined, and `body` be its body model."""
        self.body, self.doubt = body, doubt.eval()
        self.points: Landmarks = detected_points(body)
        self.joints = Landmarks.keypoints(body, "smpl24")
        self.prior = PosePrior.load()

    @torch.no_grad()
    def estimate(self, reading: Reading, proxy: Proxy, camera: Camera) -> Estimate:
        """What the networks say; `camera` in crop sides. People without keypoints are judged by their part maps."""
        body = reading.body
        start = Bodies(
            body.betas, body.rotations, translation_from_crop_camera(body.scale, body.offset, camera, resolution=1)
        )
        seen = detections(reading, proxy)
        doubts = self.doubt(clues(self.points, start, camera, reading, proxy, seen))
        with_keypoints = (proxy.keypoints[..., 2] > 0).any(1)
        return Estimate.make(self.doubt, doubts, start, camera, self.points, seen, with_keypoints)

    @torch.no_grad()
    def refine(self, estimate: Estimate, given: Given | None = None, *, steps: int = STEPS) -> Refined:
        """The most likely bodies, given the estimate and what else is known; nobody's residuals become larger.

        With `steps` 0 the estimate stays as it is, and only its covariance is found.
        """
        given = Given.nothing(len(estimate.start.betas)) if given is None else given
        problem = KnownProblem(self.body, estimate, self.prior, given)
        state, report = solve(problem, estimate.start, steps=steps)
        state = state.orthonormal()
        matrix, _ = normal_equations(problem, state)
        return Refined(state, torch.linalg.inv(matrix), report)
