"""SMPLify from true joints; evidence of one kind alone, and of some people."""

from dataclasses import replace

import pytest
import torch
from bodies import camera, people, small
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.landmarks import Landmarks, place
from nbf.body.measure import height
from nbf.errors import InputError
from nbf.geometry import align
from nbf.known import NOTHING, Known
from nbf.nets.fitter import Fitter
from nbf.proxy.proxy import Crops, Proxy, Truth, joints_of
from nbf.solve.fit import Method
from nbf.solve.regress import Regress
from nbf.solve.smplify import Stage, smplify


def crops_of(true: Bodies) -> Crops:
    view = camera(len(true.betas))
    seen = view.project(place(Landmarks.keypoints(small(), "coco17"), true, jacobian=False).points)
    joints = torch.cat([seen, torch.ones(*seen.shape[:2], 1).double()], -1)
    return Crops(torch.zeros(len(true.betas), 3, 8, 8), view, truth=Proxy(view, joints=joints))


@pytest.mark.slow
def test_smplify_is_a_method() -> None:
    true = people(2)
    method = Method(Truth("joints"), smplify(small()))
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
        Truth("parts")(replace(crops, truth=None))
    with pytest.raises(InputError, match="expected part maps"):
        Regress(Fitter(small().shape_count))(Truth("joints")(crops), NOTHING)


def test_marked_joints_take_the_place_of_seen_ones() -> None:
    proxy = Truth("joints")(crops_of(people(1)))
    assert proxy.joints is not None
    marked = torch.zeros_like(proxy.joints)
    marked[0, 9] = torch.tensor([0.1, 0.2, 1.0])
    joints = joints_of(replace(proxy, marked=marked))
    assert torch.equal(joints[0, 9], marked[0, 9])
    assert torch.equal(joints[0, :9], proxy.joints[0, :9])
    with pytest.raises(InputError, match="expected joints"):
        joints_of(replace(proxy, joints=None))


def test_what_is_known_holds() -> None:
    """Of height and age: one search from the start that a test can afford."""
    crops = crops_of(people(1))
    search = smplify(small(), [Stage(1.0, 1.0, 20)])
    tall = search(Truth("joints")(crops), Known(height=1.9))
    assert float(height(small().rest_vertices(tall.bodies.betas))) == pytest.approx(1.9, abs=0.02)


def test_some_people_of_a_proxy() -> None:
    proxy = Truth("joints")(crops_of(people(3)))
    last = proxy[torch.tensor([2])]
    assert last.parts is None
    assert last.joints is not None
    assert proxy.joints is not None
    assert torch.equal(last.joints, proxy.joints[2:])
    assert len(last) == 1
