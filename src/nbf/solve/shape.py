"""What refined bodies say of shapes: Bayes' rule for a population that is a sum of Gaussians.

A network that learnt to be right on average answers with the middle of what it takes for possible: it tells children
from adults, of adults among each other it hardly tells who is tall, and its answer has the population in it already. So
within each age group its (refined) betas are taken as a noisy linear measurement of the true ones, and everybody's
shapes are a sum of Gaussians, one an age group. After the measurement they are a sum again (Alspach & Sorenson 1972,
"Nonlinear Bayesian estimation using Gaussian sum approximations"), of which mean and covariance are kept. What is known
of people chooses among the groups and what shapes people have in them. The body that stands for all of these is one of
the likelier sex.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.bodies import SHAPE_START
from nbf.body.landmarks import Landmarks, place
from nbf.body.model import BodyModel
from nbf.body.population import Group, SexAxis, groups_given, sex_axis
from nbf.geometry.products import by_vectors
from nbf.known import NOTHING, Known
from nbf.nets.doubt import Measurement
from nbf.proxy.proxy import Proxy
from nbf.solve.doubted import Doubted, DoubtedProblem, with_joints
from nbf.solve.fit import Fit
from nbf.solve.inferred import inferred
from nbf.solve.levenberg import inverse, solve
from nbf.solve.optimise import Optimise
from nbf.solve.terms import HEIGHT_SIGMA, height_and_slopes
from nbf.solve.uncertainty import placed_sigmas

STEPS = 4
"""Of a search for the pose that goes with a shape; it starts near to it."""
_HELD = 0.01
"""Standard deviations by which betas may be off those that they are held at."""
_HEIGHT_STEPS = 3
"""Heights are nearly linear in betas."""


class Shaped:
    """Refined bodies with the shapes that they and what is known make likely, in the poses that go with these shapes.

    The joints seen in 2D say of shape what the measurement of refined bodies says, and no more: their noise and the
    estimate's errors have common causes, and shape would be believed to be surer than it is. It is a cut in the sense
    of Plummer 2015, "Cuts in Bayesian graphical models".
    """

    def __init__(self, body: BodyModel, refine: Optimise, doubted: Doubted) -> None:
        """`refine` optimises the terms of `doubted`."""
        self.body, self.refine, self.doubted = body, refine, doubted
        self.joints, self.sex = Landmarks.keypoints(body, "smpl24"), sex_axis(body)

    @inferred
    def __call__(self, proxy: Proxy, known: Known = NOTHING) -> Fit:
        start = self.refine.start(proxy, NOTHING)
        found = self.refine.search(proxy, NOTHING, start)
        mean, covariance = self.shapes(found.bodies.betas, proxy, known)
        hold = torch.eye(mean.shape[1]).to(mean).expand(len(mean), -1, -1) / _HELD
        assert isinstance(found.problem, DoubtedProblem)
        bodies, report = solve(replace(found.problem, shape=(mean, hold)), found.bodies, steps=STEPS)
        bodies = bodies.orthonormal()
        # Whatever holds the shape adds to the curvature between betas alone, which is not read.
        rest, following = _with_shapes(report.curvature, covariance)
        joints = place(self.joints, bodies)
        return Fit(
            bodies,
            rest + following,
            joint_error=torch.hypot(
                placed_sigmas(joints, rest) * self.doubted.calibration.joints, placed_sigmas(joints, following)
            ),
            shape_covariance=covariance,
            keypoint_covariance=self.refine.keypoint_covariance(found, inverse(found.curvature), proxy),
            start=start.bodies,
            report=found.report,
            reading=start.reading,
        )

    def shapes(
        self, betas: Float[Tensor, "b s"], proxy: Proxy, known: Known
    ) -> tuple[Float[Tensor, "b s"], Float[Tensor, "b s s"]]:
        """Means and covariances of the betas of people whose refined bodies have these."""
        doubt, count = self.doubted.doubt, len(proxy)
        said = [doubt.measurement(with_keypoints) for with_keypoints in (False, True)]
        measured = [said[int(each)] for each in with_joints(proxy).tolist()]
        groups = known.groups(self.body, count) if known else [self.anybody] * count
        mean, covariance = likely_shapes(betas, measured, groups)
        mean, covariance = of_likelier_sex(self.sex, mean, covariance)
        covariance = covariance * doubt.likely_factor**2
        heights = known.heights(count)
        return (mean, covariance) if heights is None else as_tall(self.body, mean, covariance, heights)

    @cached_property
    @torch.inference_mode(False)
    def anybody(self) -> list[Group]:
        """The age groups of people of whom nothing is known."""
        return groups_given(self.body)


def likely_shapes(
    answers: Float[Tensor, "b s"], measured: Sequence[Measurement], groups: Sequence[Sequence[Group]]
) -> tuple[Float[Tensor, "b s"], Float[Tensor, "b s s"]]:
    """Means and covariances of the betas of b people.

    Args:
        answers: the betas that were found.
        measured: what they say of shapes, for each person.
        groups: the age groups that each may belong to, from people like them.
    """
    alike: dict[tuple[int, int], list[int]] = {}
    for row, which in enumerate(zip(map(id, measured), map(id, groups), strict=True)):
        alike.setdefault(which, []).append(row)
    rows = list(alike.values())
    answered = [_likely_shapes(answers[some].double(), measured[some[0]], groups[some[0]]) for some in rows]
    order = torch.tensor([row for some in rows for row in some]).argsort()
    mean, covariance = (torch.cat(values)[order].to(answers) for values in zip(*answered))
    return mean, covariance


def _likely_shapes(
    answers: Float[Tensor, "b s"], measured: Measurement, groups: Sequence[Group]
) -> tuple[Float[Tensor, "b s"], Float[Tensor, "b s s"]]:
    """Of people of whom the same is known."""
    grown = torch.tensor([int(group.grown) for group in groups])
    mean, spread = (torch.stack([group.shape[k] for group in groups]).double() for k in (0, 1))
    slope, offset, root = (value.double()[grown] for value in measured)
    # Of g groups, (g, s, b).
    surprise = answers.mT - (offset + (slope @ mean[..., None])[..., 0])[..., None]
    carried = spread @ slope.mT
    factor = torch.linalg.cholesky(slope @ carried + torch.linalg.inv(root.mT @ root))
    unit = torch.linalg.solve_triangular(factor, surprise, upper=False)
    share = torch.tensor([group.share for group in groups]).to(unit)
    usual = share.log() - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    weight = (usual[:, None] - unit.square().sum(1) / 2).softmax(0)
    gain = torch.cholesky_solve(carried.mT, factor).mT
    means = mean[..., None] + gain @ surprise
    middle = torch.einsum("gb,gsb->bs", weight, means)
    apart = means - middle.mT
    within = torch.einsum("gb,gij->bij", weight, spread - gain @ carried.mT)
    return middle, within + torch.einsum("gb,gib,gjb->bij", weight, apart, apart)


def of_likelier_sex(
    sex: SexAxis | None, mean: Float[Tensor, "b s"], covariance: Float[Tensor, "b s s"]
) -> tuple[Float[Tensor, "b s"], Float[Tensor, "b s s"]]:
    """The mean of those shapes that are of the likelier sex, and the mean square of how far all of them are from it.

    Of men and women together the mean is neither. Of a normal variable those on one side of a threshold have the mean
    of a truncated one (Johnson, Kotz & Balakrishnan 1994, section 10.1); the other betas follow by their covariance.
    """
    if sex is None:
        return mean, covariance
    slope = sex.slope.to(mean)
    carried = by_vectors(covariance, slope.expand_as(mean))
    sigma = ((carried * slope).sum(1) + sex.sigma**2).sqrt()
    beyond = ((mean * slope).sum(1) + sex.offset - 0.5) / sigma
    density = (-beyond.square() / 2).exp() / math.sqrt(2 * math.pi)
    more = density / torch.special.ndtr(beyond.abs()) * torch.where(beyond < 0, -1.0, 1.0)
    away = carried * (more / sigma)[:, None]
    return mean + away, covariance + away[:, :, None] * away[:, None]


def as_tall(
    body: BodyModel, mean: Float[Tensor, "b s"], covariance: Float[Tensor, "b s s"], heights: Float[Tensor, " b"]
) -> tuple[Float[Tensor, "b s"], Float[Tensor, "b s s"]]:
    """Shapes of people whose heights in metres are known, nan where they are not: an iterated Kalman update (Bell &
    Cathey 1993), of shapes that stay symmetric and positive definite."""
    told = heights.isfinite()[:, None]
    betas = mean
    for _ in range(_HEIGHT_STEPS):
        tall, slopes = height_and_slopes(body, betas)
        carried = by_vectors(covariance, slopes)
        gain = carried / ((slopes * carried).sum(1, keepdim=True) + HEIGHT_SIGMA**2)
        missed = heights - tall - (slopes * (mean - betas)).sum(1)
        betas = torch.where(told, mean + gain * missed[:, None], mean)
    less = gain[:, :, None] * carried[:, None]
    return betas, torch.where(told[..., None], covariance - less, covariance)


def _with_shapes(
    matrix: Float[Tensor, "b p p"], covariance: Float[Tensor, "b s s"]
) -> tuple[Float[Tensor, "b p p"], Float[Tensor, "b p p"]]:
    """Covariance of a step whose precision is `matrix`, but for its shape, which has another one: that of the rest for
    a known shape, and what follows from the shape's."""
    rest = torch.zeros_like(matrix)
    rest[:, :SHAPE_START, :SHAPE_START] = inverse(matrix[:, :SHAPE_START, :SHAPE_START])
    follows = -rest @ matrix[:, :, SHAPE_START:]
    follows[:, SHAPE_START:].diagonal(dim1=1, dim2=2).add_(1)
    return rest, follows @ covariance @ follows.mT
