"""SMPLify: a body for joints seen in 2D, and nothing else (Bogo et al. 2016, "Keep it SMPL: Automatic estimation of 3D
human pose and shape from a single image", section 3)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.joints import COCO17, SMPL24
from nbf.body.landmarks import Landmarks, place
from nbf.body.model import BodyModel
from nbf.body.pose_prior import PosePrior
from nbf.geometry import Camera, matrix_from_axis_angle
from nbf.known import Known
from nbf.nets.mean_body import UPRIGHT
from nbf.proxy.proxy import Proxy, joints_of
from nbf.solve import terms
from nbf.solve.fit import Fit, Solve
from nbf.solve.levenberg import Block, Report
from nbf.solve.optimise import Calibration, Optimise
from nbf.solve.spheres import Spheres

SIGMA = 0.015
"""Crop sides by which a joint that is surely seen is off the body's own."""
TOUCH_SIGMA = 0.02
"""Metres by which parts of the body may sink into each other."""
HEADINGS = (0.0, math.pi / 2, math.pi, -math.pi / 2)
"""Ways that the search starts to face, radians from the camera: joints alone do not tell front from back."""
_ROBUST = 3.0
# Standard deviation of a joint's turn from the start, radians, where only the whole body is to move; of hands always,
# which neither joints nor prior know.
_STIFF = 0.02
_AWAY = 2.0  # metres that a crop's side spans at a person of whom the joints do not say how large they are
_HANDS = [SMPL24.index("left_hand"), SMPL24.index("right_hand")]


@dataclass(frozen=True)
class Stage:
    """One search: how much the priors count, and for how many steps."""

    pose: float
    shape: float
    steps: int
    stiff: bool = False
    """Whether limbs keep still, so that the body is placed and turned as a whole."""


STAGES = (Stage(1.0, 5.0, 15, stiff=True), Stage(2.0, 3.0, 20), Stage(1.0, 1.5, 20), Stage(0.4, 1.0, 30))
"""The body as a whole; then priors that let go, as in the paper."""


def smplify(body: BodyModel, stages: Sequence[Stage] = STAGES) -> Solve:
    """The solver, for proxies with joints."""
    points, prior, spheres = Landmarks.keypoints(body, "coco17"), PosePrior.load(), Spheres.of(body)
    searches = []
    for heading in HEADINGS:
        solve: Solve = Standing(points, heading)
        for stage in stages:
            solve = Optimise(body, solve, JointTerms(points, prior, spheres, stage), steps=stage.steps)
        searches.append(solve)
    return Likeliest(searches)


class Standing:
    """An average body that stands before the camera, leans as the joints' trunk does, and is as large as they are."""

    def __init__(self, points: Landmarks, heading: float) -> None:
        """`points` are COCO-17 of the body, `heading` is in radians from facing the camera."""
        self.points, self.heading = points, heading

    def __call__(self, proxy: Proxy, known: Known) -> Fit:
        joints = joints_of(proxy)
        count, weight = len(joints), joints[..., 2:]
        lean = torch.tensor([0.0, 0.0, 1.0]).to(joints) * _lean(joints)[:, None]
        about = torch.tensor([0.0, self.heading, 0.0]).to(joints)
        rotations = torch.eye(3).to(joints).repeat(count, 24, 1, 1)
        rotations[:, 0] = matrix_from_axis_angle(lean) @ UPRIGHT.to(joints) @ matrix_from_axis_angle(about)
        betas = joints.new_zeros(count, self.points.joint_dirs.shape[-1])
        ahead = joints.new_tensor([[0.0, 0.0, 3.0]]).expand(count, 3)
        points = place(self.points, Bodies(betas, rotations, ahead), jacobian=False).points - ahead[:, None]
        # As large as what is seen: by the spread of the joints that are, about their mean.
        share = weight / weight.sum(1, keepdim=True).clamp_min(1e-3)
        seen_at, here_at = (share * joints[..., :2]).sum(1), (share * points[..., :2]).sum(1)
        seen, here = (
            (share[..., 0] * (at - middle[:, None]).square().sum(-1)).sum(1).sqrt()
            for at, middle in ((joints[..., :2], seen_at), (points[..., :2], here_at))
        )
        # Where next to nothing is seen: in the middle of the crop, which an adult then fills.
        depth = torch.where(seen > 1e-3, here / seen.clamp_min(1e-3), _AWAY) * proxy.camera.focal
        seen_at = torch.where(weight.sum(1) > 0, seen_at, 0.5)
        middle = proxy.camera.unproject(seen_at[:, None], depth[:, None])[:, 0]
        pelvis = middle - torch.cat([here_at, torch.zeros_like(here_at[:, :1])], 1)
        return Fit(Bodies(betas, rotations, pelvis))


class JointTerms:
    """Joints where they are seen, likely poses and shapes, limbs that do not sink into each other."""

    # python tools/calibrate.py smplify --people 100
    calibration = Calibration(joints=1.36, shape=0.8)

    def __init__(self, points: Landmarks, prior: PosePrior, spheres: Spheres, stage: Stage) -> None:
        """`points` are COCO-17 of the body whose `spheres` they are."""
        self.points, self.prior, self.spheres, self.stage = points, prior, spheres, stage

    def __call__(self, proxy: Proxy, known: Known, fit: Fit) -> "JointProblem":
        joints, points = joints_of(proxy), self.points + self.spheres.landmarks
        heights, shape = known.heights(len(joints)), known.shapes(self.spheres.body, len(joints))
        return JointProblem(points, proxy.camera, joints, fit.bodies, self, heights, shape)


@dataclass(frozen=True)
class JointProblem:
    """The same for some people."""

    points: Landmarks
    """COCO-17, then the spheres."""
    camera: Camera
    joints: Float[Tensor, "b 17 3"]
    start: Bodies
    of: JointTerms
    heights: Float[Tensor, " b"] | None = None
    """Metres, T-posed; nan where unknown."""
    shape: tuple[Float[Tensor, "b s"], Float[Tensor, "b s s"]] | None = None
    """Means and roots of precisions of the betas, where more is known than that they are people."""

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        """All residuals, in standard deviations."""
        stage, spheres = self.of.stage, self.of.spheres
        placed = place(self.points, state, jacobian)
        weights = self.joints[..., 2] / SIGMA
        blocks = [
            terms.points_2d(terms.project(placed[:17], self.camera), self.joints[..., :2], weights, _ROBUST),
            terms.pose(state, self.of.prior, stage.pose, jacobian),
            terms.shape(state, stage.shape, jacobian)
            if self.shape is None
            else terms.shape_among(state, *self.shape, jacobian),
        ]
        if self.heights is not None:
            blocks.append(terms.height(state, spheres.body, self.heights, terms.HEIGHT_SIGMA, jacobian))
        held = torch.zeros(24).to(state.betas)
        held[1:] = 1 / _STIFF if stage.stiff else 0
        held[_HANDS] = 1 / _STIFF
        blocks.append(terms.near_start(state, self.start, held, None, jacobian))
        if stage.stiff:
            return blocks
        # As large as the start's: how they grow with shape is left out, as in the paper.
        touching = torch.full((len(state.betas), len(spheres.pairs)), 1 / TOUCH_SIGMA).to(state.betas)
        radii = spheres.radii(self.start.betas)
        return [*blocks, terms.apart(placed[17:], spheres.pairs, radii, touching)]


class Likeliest:
    """Of several searches, for each person the one whose residuals end up smallest."""

    def __init__(self, searches: Sequence[Solve]) -> None:
        self.searches = searches

    def __call__(self, proxy: Proxy, known: Known) -> Fit:
        best, *others = (search(proxy, known) for search in self.searches)
        for other in others:
            assert best.report is not None
            assert other.report is not None
            best = chosen(best, other, other.report.after < best.report.after)
        return best


def chosen(fit: Fit, other: Fit, where: Bool[Tensor, " n"]) -> Fit:
    """`other` for the people at `where`; of two optimisers' fits."""

    def pick(one: Tensor | None, two: Tensor | None) -> Tensor:
        assert one is not None
        assert two is not None
        return torch.where(where.view(-1, *[1] * (one.ndim - 1)), two, one)

    assert fit.start is not None
    assert other.start is not None
    return Fit(
        fit.bodies.chosen(other.bodies, where),
        pick(fit.covariance, other.covariance),
        pick(fit.joint_error, other.joint_error),
        pick(fit.shape_covariance, other.shape_covariance),
        pick(fit.keypoint_covariance, other.keypoint_covariance),
        fit.start.chosen(other.start, where),
        Report(*map(pick, vars(fit.report).values(), vars(other.report).values())),
    )


def _lean(joints: Float[Tensor, "n 17 3"]) -> Float[Tensor, " n"]:
    """Angle of the trunk in the picture, from hips to shoulders, clockwise from upright; 0 where it is not seen."""
    both = [[COCO17.index(f"{side}_{name}") for side in ("left", "right")] for name in ("shoulder", "hip")]
    top, bottom = (joints[:, pair, :2].mean(1) for pair in both)
    seen = (joints[:, [*both[0], *both[1]], 2] > 0).all(1)
    across, down = (top - bottom).unbind(-1)
    return torch.where(seen, torch.atan2(across, -down), 0.0)
