"""The method: joints as a picture shows them are lifted, and a body is fitted to what comes out."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.joints import PARENTS, SMPL24
from nbf.body.landmarks import Landmarks, place
from nbf.body.measure import height
from nbf.body.model import BodyModel
from nbf.body.pose_prior import PosePrior
from nbf.geometry import Camera, matrix_from_axis_angle, project_to_rotation
from nbf.known import Known
from nbf.proxy.proxy import Proxy, joints_of
from nbf.solve import terms
from nbf.solve.fit import Fit
from nbf.solve.levenberg import Block
from nbf.solve.lifting.basis import JOINTS, SEEN, PoseBasis, bones
from nbf.solve.lifting.camera import Lifted, Seen
from nbf.solve.optimise import Calibration, Optimise
from nbf.solve.smplify import JointProblem, JointTerms, Stage, Standing
from nbf.solve.spheres import Spheres

LIFTED_SIGMA = 0.05
"""Metres by which a lifted joint is off."""
STAGES = (Stage(1.0, 3.0, 10), Stage(0.4, 1.0, 15))
"""Of the fit to the lifted joints and those seen; as the first and the last of smplify's."""
_FEWEST = 4  # joints seen: of fewer, nothing is lifted and the average body stands
_NEAREST = 0.2  # metres from the camera
_TRUNK = [SMPL24.index(name) for name in ("pelvis", "left_hip", "right_hip", "spine1", "spine2", "spine3", "neck")]
# The child towards which a joint's bone points, of joints that have one.
_AHEAD = {PARENTS[child]: child for child in (4, 5, 7, 8, 10, 11, 15, 16, 17, 18, 19, 20, 21, 22, 23)}

Lift = Callable[[Seen, PoseBasis], Lifted]
"""One of the methods: `lift_ramakrishna`, `lift_akhter`, `lift_zhou`."""


class Lifting:
    """The solver, for proxies with joints: lifts them, then optimises from bones that point as lifted."""

    def __init__(self, body: BodyModel, lift: Lift) -> None:
        self.body, self.lift = body, lift
        self.coco = Landmarks.keypoints(body, "coco17")
        self.points = self.coco + Landmarks.keypoints(body, "smpl24")
        self.standing = Standing(self.coco, 0.0)
        self.terms = [JointTerms(self.coco, PosePrior.load(), Spheres.of(body), stage) for stage in STAGES]

    @torch.no_grad()
    def __call__(self, proxy: Proxy, known: Known) -> Fit:
        targets, bodies = self.lifted(proxy, known)
        fit = Fit(bodies)
        for like, stage in zip(self.terms, STAGES):
            fit = Optimise(self.body, Given(fit), LiftedTerms(like, self.points, targets), steps=stage.steps)(
                proxy, known
            )
        return fit

    def lifted(self, proxy: Proxy, known: Known) -> tuple[Float[Tensor, "n 41 3"], Bodies]:
        """Where the lifted points are, camera metres, and bodies whose bones point as they do.

        A weak perspective has no size: the pose is made as large as people of whom so much is known are, and put as far
        away as it then has to be.
        """
        joints = joints_of(proxy)
        standing = self.standing(proxy, known).bodies
        basis = PoseBasis.load().to(joints)
        ahead, points = _ahead(joints, proxy.camera)
        seen = Seen.of(points, joints[..., 2])
        lifted = self.lift(seen, basis)
        lifted = lifted.sized(basis.lengths, bones(lifted.points).norm(dim=-1))
        # From the unit of the picture, focal lengths, to metres.
        metres = 1 / (lifted.scale * seen.spread).clamp_min(1e-6)
        turned = lifted.points @ lifted.rotations.mT
        middle = (seen.weights[..., None] * turned[:, SEEN]).sum(1)
        there = torch.cat([seen.middle, torch.ones_like(metres)[:, None]], 1) * metres[:, None]
        camera = (turned - middle[:, None] + there[:, None]) @ ahead
        few = _few(joints, lifted)
        stood = place(self.points, standing, jacobian=False).points
        targets = torch.where(few[:, None, None], stood, camera)
        betas = self._betas(known, standing.betas)
        targets = targets * self._size(known, betas)[:, None, None]
        rotations = pointed(self.body.rest_joints(betas), targets[:, JOINTS])
        rotations = torch.where(few[:, None, None, None], standing.rotations, rotations)
        pelvis = targets[:, JOINTS][:, 0]
        return targets, Bodies(betas, rotations, torch.cat([pelvis[:, :2], pelvis[:, 2:].clamp_min(_NEAREST)], 1))

    def _betas(self, known: Known, zeros: Float[Tensor, "n s"]) -> Float[Tensor, "n s"]:
        """Of average people of the group that is known."""
        prior = known.shapes(self.body, len(zeros))
        return zeros if prior is None else prior[0].to(zeros)

    def _size(self, known: Known, betas: Float[Tensor, "n s"]) -> Float[Tensor, " n"]:
        """How much taller than the average body of the bases."""
        average = height(self.body.rest_vertices(torch.zeros_like(betas)))
        tall = height(self.body.rest_vertices(betas))
        heights = known.heights(len(betas))
        return (tall if heights is None else torch.where(heights.isfinite(), heights.to(tall), tall)) / average


class Given:
    """A fit that is there already, as a solver."""

    def __init__(self, fit: Fit) -> None:
        self.fit = fit

    def __call__(self, proxy: Proxy, known: Known) -> Fit:
        return self.fit


class LiftedTerms:
    """Joints near to where they were lifted, beside all that smplify asks for."""

    # About what python tools/calibrate.py lifting-ramakrishna lifting-akhter lifting-zhou --people 100 says of each.
    # Lifted joints are wrong together, which residuals that count one by one do not know.
    calibration = Calibration(joints=5.1, shape=5.0)

    def __init__(self, like: JointTerms, points: Landmarks, targets: Float[Tensor, "n 41 3"]) -> None:
        """`points` of the body are to be at `targets`, camera metres."""
        self.like, self.points, self.targets = like, points, targets

    def __call__(self, proxy: Proxy, known: Known, fit: Fit) -> "LiftedProblem":
        return LiftedProblem(self.like(proxy, known, fit), self.points, self.targets)


@dataclass(frozen=True)
class LiftedProblem:
    """The same for some people."""

    like: JointProblem
    points: Landmarks
    targets: Float[Tensor, "b 41 3"]

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        """All residuals, in standard deviations; lifted points count about their mean, so that their place is free."""
        count = len(self.points)
        about = (torch.eye(count) - 1 / count).to(self.targets)
        placed = place(self.points, state, jacobian).mixed(about)
        weights = torch.full(self.targets.shape[:2], 1 / LIFTED_SIGMA).to(self.targets)
        return [*self.like.blocks(state, jacobian), terms.points_3d(placed, about @ self.targets, weights)]


def _ahead(joints: Float[Tensor, "n 17 3"], camera: Camera) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 17 2"]]:
    """Turn the camera to look at the person: ahead_from_camera, and the joints in focal lengths as it then sees them.

    A weak perspective is one only about the middle of a picture.
    """
    rays = camera.unproject(joints[..., :2], torch.ones_like(joints[..., 0]))
    share = joints[..., 2:] / joints[..., 2:].sum(1, keepdim=True).clamp_min(1e-9)
    forward = torch.tensor([0.0, 0.0, 1.0]).to(rays)
    middle = (share * rays).sum(1) * torch.tensor([1.0, 1.0, 0.0]).to(rays) + forward
    ahead = shortest(middle, forward.expand_as(middle))
    seen = rays @ ahead.mT
    return ahead, seen[..., :2] / seen[..., 2:].clamp_min(1e-3)


def shortest(one: Float[Tensor, "*b 3"], other: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """The rotation of least angle that turns one direction into the other; of opposite ones, none."""
    axis = torch.linalg.cross(one, other)
    angle = torch.atan2(axis.norm(dim=-1), (one * other).sum(-1))
    return matrix_from_axis_angle(axis / axis.norm(dim=-1, keepdim=True).clamp_min(1e-9) * angle[..., None])


def _few(joints: Float[Tensor, "n 17 3"], lifted: Lifted) -> Bool[Tensor, " n"]:
    enough = (joints[..., 2] > 0).sum(1) >= _FEWEST
    return ~(enough & lifted.points.isfinite().all(-1).all(-1) & (lifted.scale > 0))


def pointed(rest: Float[Tensor, "n 24 3"], joints: Float[Tensor, "n 24 3"]) -> Float[Tensor, "n 24 3 3"]:
    """Local rotations of a body whose trunk lies and whose limbs point as those of joints do, without a twist."""
    world: list[Tensor] = []
    local: list[Tensor] = []
    for joint, parent in enumerate(PARENTS):
        if joint == 0:
            at, to = (points[:, _TRUNK] - points[:, _TRUNK].mean(1, keepdim=True) for points in (rest, joints))
            turn = project_to_rotation(to.mT @ at)
        else:
            turn = torch.eye(3).to(rest).expand(len(rest), 3, 3)
        if joint in _AHEAD:
            wanted = (world[parent].mT @ (joints[:, _AHEAD[joint]] - joints[:, joint])[..., None])[..., 0]
            turn = shortest(rest[:, _AHEAD[joint]] - rest[:, joint], wanted)
        local.append(turn)
        world.append(turn if joint == 0 else world[parent] @ turn)
    return torch.stack(local, 1)
