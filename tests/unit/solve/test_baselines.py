"""Answers of baselines, and a network that adapts: laws of mirror, batch and evidence."""

from dataclasses import replace

import pytest
import torch
from bodies import camera, people, small

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.body.joints import MIRROR_SMPL24, mirror_rotations
from nbf.errors import InputError
from nbf.geometry import Camera
from nbf.known import Known
from nbf.nets.pavlakos import Pavlakos
from nbf.nets.regressor import Regressor
from nbf.proxy.proxy import Proxy, mirrored, stacked
from nbf.proxy.shown import MAP, heat_maps, joint_maps_and_silhouette, joints_and_silhouette
from nbf.solve.adapt import Adapt, Evidence, misfit
from nbf.solve.answer import Answer

SHAPES = small().shape_count


def seen_of(bodies: Bodies, view: Camera) -> Proxy:
    """Joints, and as silhouette the cells in which the surface has a vertex, grown by one."""
    body = load_body("anny24", "small")
    bodies = Bodies(bodies.betas.float(), bodies.rotations.float(), bodies.pelvis.float())
    view = Camera(view.focal.float(), view.center.float())
    posed = bodies.posed(body)
    joints = view.project(body.keypoints(posed, "coco17"))
    cells = (view.project(posed.vertices) * MAP).long().clamp(0, MAP - 1)
    mask = torch.zeros(len(joints), MAP, MAP)
    for row, some in zip(mask, cells):
        row[some[:, 1], some[:, 0]] = 1
    grown = torch.nn.functional.max_pool2d(mask[:, None], 3, 1, 1)[:, 0]
    return Proxy(view, joints=torch.cat([joints, torch.ones(*joints.shape[:2], 1)], -1), silhouette=grown)


def proxy(count: int = 2) -> Proxy:
    return seen_of(people(count), camera(count))


def pavlakos() -> Pavlakos:
    torch.manual_seed(0)
    network = Pavlakos(SHAPES, width=32, blocks=1, hidden=16)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return network.eval()


def regressor() -> Regressor:
    torch.manual_seed(0)
    network = Regressor(18, SHAPES, width=8)
    torch.nn.init.normal_(network.head.weight, std=0.02)
    return network.eval()


def test_two_mirrors_undo_each_other() -> None:
    some = replace(
        proxy(), parts=torch.rand(2, 25, 64, 64), surface=torch.rand(2, 3, 64, 64), image=torch.rand(2, 3, 16, 16)
    )
    again = mirrored(mirrored(some))
    for name in ("parts", "joints", "silhouette", "surface", "image"):
        torch.testing.assert_close(getattr(again, name), getattr(some, name))
    torch.testing.assert_close(again.camera.center, some.camera.center)


def test_a_mirrored_body_is_seen_as_the_mirrored_proxy() -> None:
    bodies, view = people(), Camera(torch.full((2,), 1.4), torch.tensor([[0.5, 0.5], [0.4, 0.6]]))
    flip = torch.tensor([-1.0, 1.0, 1.0])
    other = Bodies(bodies.betas, mirror_rotations(bodies.rotations), bodies.pelvis * flip)
    joints = mirrored(seen_of(bodies, view)).joints
    again = seen_of(other, mirrored(seen_of(bodies, view)).camera).joints
    assert joints is not None
    assert again is not None
    # Left and right of the template are as alike as its vertices are.
    torch.testing.assert_close(joints, again, atol=0.01, rtol=0)


def test_answers_are_alike_for_left_and_right() -> None:
    answer = Answer(pavlakos(), joints_and_silhouette)
    here, there = answer(proxy()), answer(mirrored(proxy()))
    torch.testing.assert_close(there.bodies.betas, here.bodies.betas, atol=1e-4, rtol=0)
    torch.testing.assert_close(there.bodies.rotations, mirror_rotations(here.bodies.rotations), atol=1e-4, rtol=0)
    torch.testing.assert_close(there.bodies.pelvis * torch.tensor([-1.0, 1, 1]), here.bodies.pelvis, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["answer", "adapt"])
def test_batch_is_single(kind: str) -> None:
    solve = {
        "answer": lambda: Answer(pavlakos(), joints_and_silhouette),
        "adapt": lambda: Adapt(regressor(), load_body("anny24", "small"), steps=2),
    }[kind]()
    some = proxy()
    both, one = solve(some), solve(some[1:])
    for name in ("betas", "rotations", "pelvis"):
        torch.testing.assert_close(getattr(both.bodies, name)[1:], getattr(one.bodies, name), atol=2e-4, rtol=0)


def test_they_say_how_wrong_they_were_on_others() -> None:
    network = pavlakos()
    network.set_errors(torch.linspace(0, 0.1, 24), torch.full((SHAPES,), 0.5))
    fit = Answer(network, joints_and_silhouette)(proxy())
    assert fit.joint_error is not None
    assert fit.shape_covariance is not None
    torch.testing.assert_close(fit.joint_error, torch.linspace(0, 0.1, 24).expand(2, -1))
    torch.testing.assert_close(fit.shape_covariance[0], 0.25 * torch.eye(SHAPES))


def test_they_want_evidence_and_nothing_else() -> None:
    answer = Answer(pavlakos(), joints_and_silhouette)
    with pytest.raises(InputError, match="expected nothing with a method that does not optimise"):
        answer(proxy(), Known(height=1.8))
    with pytest.raises(InputError, match="expected a silhouette"):
        answer(replace(proxy(), silhouette=None))
    with pytest.raises(InputError, match="expected joints"):
        answer(replace(proxy(), joints=None))


def test_heat_maps_peak_at_the_joint_as_high_as_it_is_sure() -> None:
    joints = torch.tensor([[[10.5 / MAP, 20.5 / MAP, 0.7], [0.5, 0.5, 0.0]]])
    maps = heat_maps(joints)
    assert maps[0, 0].argmax() == 20 * MAP + 10
    assert float(maps[0, 0].max()) == pytest.approx(0.7)
    assert (maps[0, 1] == 0).all()


def test_misfit_is_least_for_the_body_that_was_seen() -> None:
    bodies, view = people(), camera()
    bodies = Bodies(bodies.betas.float(), bodies.rotations.float(), bodies.pelvis.float())
    body, seen = load_body("anny24", "small"), Evidence.of(seen_of(people(), view))
    least = misfit(body, bodies, seen)
    assert least.max() < 0.02
    turned = torch.linalg.qr(torch.eye(3) + 0.3 * torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0]
    others = [
        Bodies(bodies.betas, bodies.rotations, bodies.pelvis + torch.tensor([0.1, 0.0, 0.0])),
        Bodies(bodies.betas, bodies.rotations, bodies.pelvis * 1.2),
        Bodies(bodies.betas, bodies.rotations[:, list(MIRROR_SMPL24)] @ turned, bodies.pelvis),
    ]
    assert all((misfit(body, other, seen) > 1.5 * least).all() for other in others)


def test_misfit_of_nobody_is_finite_and_pulls_nowhere() -> None:
    nobody = Evidence.of(Proxy(camera().to("cpu"), joints=torch.zeros(2, 17, 3), silhouette=torch.zeros(2, 64, 64)))
    bodies = people()
    pelvis = bodies.pelvis.float().requires_grad_(True)
    seen = replace(nobody, camera=Camera(torch.full((2,), 1.4), torch.full((2, 2), 0.5)))
    loss = misfit(load_body("anny24", "small"), Bodies(bodies.betas.float(), bodies.rotations.float(), pelvis), seen)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert pelvis.grad is not None
    assert (pelvis.grad == 0).all()


def test_adapting_brings_the_body_to_the_evidence() -> None:
    body, some = load_body("anny24", "small"), proxy()
    seen = Evidence.of(some)
    plain, adapted = (Adapt(regressor(), body, steps=steps, rate=1e-3)(some).bodies for steps in (0, 25))
    assert (misfit(body, adapted, seen) < 0.7 * misfit(body, plain, seen)).all()
    answer = Answer(regressor(), joint_maps_and_silhouette)(some).bodies
    torch.testing.assert_close(plain.rotations, answer.rotations, atol=1e-4, rtol=0)


def test_people_are_stacked_with_all_that_both_have() -> None:
    both = stacked(proxy(1), proxy(2))
    assert len(both) == 3
    assert both.joints is not None
    assert len(both.joints) == 3
    assert both.parts is None
