"""The design carries other methods: SMPLify from given joints, and evidence that is joints alone."""

from dataclasses import dataclass, replace

import pytest
import torch
from bodies import camera, people, prior, small
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.landmarks import Landmarks, place
from nbf.body.pose_prior import PosePrior
from nbf.errors import InputError
from nbf.geometry import Camera, align
from nbf.known import NOTHING, Known
from nbf.nets.fitter import UPRIGHT, Fitter
from nbf.proxy.proxy import Crops, Proxy, Truth
from nbf.solve import terms
from nbf.solve.fit import Fit, Method
from nbf.solve.levenberg import Block
from nbf.solve.optimise import Calibration, Optimise
from nbf.solve.regress import Regress


class Joints:
    """Sees where the joints truly are."""

    def __call__(self, crops: Crops) -> Proxy:
        assert crops.truth is not None
        return Proxy(crops.camera, joints=crops.truth.joints)


def standing(proxy: Proxy, known: Known) -> Fit:
    """An average body that stands before the camera, three metres away."""
    count = len(proxy)
    rotations = torch.eye(3).double().repeat(count, 24, 1, 1)
    rotations[:, 0] = UPRIGHT.double()
    pelvis = torch.tensor([[0.0, 0.0, 3.0]]).double().expand(count, 3)
    return Fit(Bodies(torch.zeros(count, small().shape_count).double(), rotations, pelvis))


@dataclass(frozen=True)
class KeypointProblem:
    """Bogo et al. 2016, "Keep it SMPL", without interpenetration."""

    points: Landmarks
    camera: Camera
    seen: Tensor
    prior: PosePrior

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        pixels = terms.project(place(self.points, state, jacobian), self.camera)
        return [
            terms.points_2d(pixels, self.seen[..., :2], self.seen[..., 2] / 0.01, 3.0),
            *terms.pose(state, self.prior, 0.3, jacobian),
            terms.shape(state, 1.0, jacobian),
        ]


class Smplify:
    """Terms for joints alone."""

    calibration = Calibration()

    def __call__(self, proxy: Proxy, known: Known, fit: Fit) -> KeypointProblem:
        assert proxy.joints is not None
        return KeypointProblem(Landmarks.keypoints(small(), "coco17"), proxy.camera, proxy.joints, prior())


def crops_of(true: Bodies) -> Crops:
    view = camera(len(true.betas))
    seen = view.project(place(Landmarks.keypoints(small(), "coco17"), true, jacobian=False).points)
    joints = torch.cat([seen, torch.ones(*seen.shape[:2], 1).double()], -1)
    return Crops(torch.zeros(len(true.betas), 3, 8, 8), view, truth=Proxy(view, joints=joints))


def test_smplify_is_a_method() -> None:
    true = people(4)
    method = Method(Joints(), Optimise(small(), standing, Smplify(), steps=60))
    proxy, fit = method(crops_of(true))
    assert proxy.joints is not None
    assert fit.start is not None
    assert fit.covariance is not None
    seen = proxy.joints[..., :2]
    coco, joints = (Landmarks.keypoints(small(), kind) for kind in ("coco17", "smpl24"))

    def missed(bodies: Bodies) -> Tensor:
        return (proxy.camera.project(place(coco, bodies, jacobian=False).points) - seen).norm(dim=-1)

    assert missed(fit.start).mean() > 0.05
    assert missed(fit.bodies).mean() < 0.01
    places = [place(joints, bodies, jacobian=False).points for bodies in (fit.start, fit.bodies, true)]
    before, after = ((align(points, places[2]) - places[2]).norm(dim=-1).mean() for points in places[:2])
    assert after < before


def test_a_solver_says_what_it_needs_to_see() -> None:
    crops = crops_of(people(1))
    with pytest.raises(InputError, match="expected some whose true parts are known"):
        Truth()(replace(crops, truth=None))
    with pytest.raises(InputError, match="expected part maps"):
        Regress(Fitter(small().shape_count))(Joints()(crops), NOTHING)


def test_some_people_of_a_proxy() -> None:
    proxy = Joints()(crops_of(people(3)))
    last = proxy[torch.tensor([2])]
    assert last.parts is None
    assert last.joints is not None
    assert proxy.joints is not None
    assert torch.equal(last.joints, proxy.joints[2:])
    assert len(last) == 1
