"""The terms of NBF's refinement: a regressor's estimate and the joints seen in 2D, each as far as it is to be doubted,
a pose prior, and what is known of the people."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.joints import world_rotations
from nbf.body.landmarks import place
from nbf.body.model import BodyModel
from nbf.body.pose_prior import PosePrior
from nbf.known import Known
from nbf.nets.doubt import Clues, Doubt, Doubts
from nbf.proxy.proxy import Proxy, seen_joints
from nbf.solve import terms
from nbf.solve.clues import clues, detected_points, detections
from nbf.solve.estimate import Estimate
from nbf.solve.fit import Fit
from nbf.solve.levenberg import Block
from nbf.solve.optimise import Calibration

MARKED_SIGMA = 0.01
"""Crop sides by which a joint that somebody marks may be off the body's own; COCO's annotators differ by as much."""
PINNED_SIGMA = 0.005
"""The same of a joint that somebody holds to a place, which is no outlier. With twice as much, ankles and knees of the
demo that are moved by a seventh of the crop, against all that was seen, stay behind by as much as 3 % of it."""
PRIOR = 0.15
"""Weight of the pose prior. The estimate knows most of what it says; it holds what the picture does not show."""
_ROBUST = 3.0


class Doubted:
    """Terms for the bodies of a `Regress`."""

    def __init__(self, body: BodyModel, doubt: Doubt) -> None:
        """`doubt` must have been trained for the fitter whose bodies are refined, and `body` be its body model."""
        self.body, self.doubt = body, doubt.eval()
        self.points = detected_points(body)
        self.prior = PosePrior.load()

    @property
    def calibration(self) -> Calibration:
        doubt = self.doubt
        return Calibration(float(doubt.joint_factor), float(doubt.shape_factor), float(doubt.keypoint_factor))

    @torch.no_grad()
    def __call__(self, proxy: Proxy, known: Known, fit: Fit) -> "DoubtedProblem":
        heights, shape = known.heights(len(proxy)), known.shapes(self.body, len(proxy), beyond_population=True)
        return DoubtedProblem(
            self.body, self.estimate(proxy, fit), self.prior, heights, shape, proxy.marked, proxy.pinned
        )

    @torch.no_grad()
    def estimate(self, proxy: Proxy, fit: Fit) -> Estimate:
        """What the networks say, and how sure they are. People without joints are judged by their part maps."""
        assert fit.reading is not None  # of a regressor's fit
        seen = detections(fit.reading, proxy)
        told = clues(self.points, fit.bodies, fit.reading, proxy, seen)
        # Asked of each alone, to come out the same whoever is beside them (`nbf.geometry.products`).
        each = [self.doubt(Clues(*row)) for row in zip(*(value.split(1) for value in told))]
        doubts = Doubts(*map(torch.cat, zip(*each))) if each else self.doubt(told)
        return Estimate.make(self.doubt, doubts, fit.bodies, proxy.camera, self.points, seen, with_joints(proxy))


def with_joints(proxy: Proxy) -> Bool[Tensor, " n"]:
    """Whether joints of each person were seen."""
    return (seen_joints(proxy)[..., 2] > 0).any(1)


@dataclass(frozen=True)
class DoubtedProblem:
    """An estimate, and what is known beside it."""

    body: BodyModel
    estimate: Estimate
    prior: PosePrior
    heights: Float[Tensor, " b"] | None = None
    """Metres, T-posed; nan where unknown."""
    shape: tuple[Float[Tensor, "b s"], Float[Tensor, "b s s"]] | None = None
    """Means and roots of precisions of what else is known of the people's shapes."""
    marked: Float[Tensor, "b 17 3"] | None = None
    """COCO-17 that somebody has marked: crop sides and a weight."""
    pinned: Float[Tensor, "b 17 3"] | None = None
    """COCO-17 that somebody holds to a place: crop sides, and 1 where one is held."""

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        """All residuals, in standard deviations."""
        world = world_rotations(state.rotations)
        seen = place(self.estimate.points, state, jacobian, world)
        blocks = [self.estimate.error(state, jacobian, world), self.estimate.noise(seen)]
        blocks.append(terms.pose(state, self.prior, PRIOR, jacobian))
        if self.heights is not None:
            blocks.append(terms.height(state, self.body, self.heights, terms.HEIGHT_SIGMA, jacobian))
        if self.shape is not None:
            blocks.append(terms.shape_among(state, *self.shape, jacobian))
        for told, sigma, robust in ((self.marked, MARKED_SIGMA, _ROBUST), (self.pinned, PINNED_SIGMA, None)):
            if told is not None:
                pixels = terms.project(seen[:17], self.estimate.camera)
                blocks.append(terms.points_2d(pixels, told[..., :2], told[..., 2] / sigma, robust))
        return blocks
