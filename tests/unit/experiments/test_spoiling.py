"""Spoilt pictures: none at strength 0, more at more, of people who are where the picture shows them."""

import math
from dataclasses import replace

import pytest
import torch

from nbf.body.bodies import Bodies
from nbf.body.model import BodyModel
from nbf.experiments.measuring import Subjects
from nbf.experiments.robustness import looseness
from nbf.experiments.spoiling import GREY, SPOILERS
from nbf.geometry import Camera, matrix_from_axis_angle
from nbf.nets.mean_body import UPRIGHT
from nbf.proxy.proxy import Crops, Proxy

SIDE, COUNT = 256, 3


@pytest.fixture(scope="module")
def people(small_body: BodyModel) -> Subjects:
    """Some who stand about, before noise; who is seen is a rectangle."""
    draw = torch.Generator().manual_seed(0)
    rotations = matrix_from_axis_angle(torch.randn(COUNT, 24, 3, generator=draw) * 0.3)
    rotations[:, 0] = UPRIGHT @ rotations[:, 0]
    pelvis = torch.tensor([[0.1, 0.0, 4.0], [-0.2, 0.1, 5.0], [0.0, -0.1, 3.5]])
    true = Bodies(0.5 * torch.randn(COUNT, small_body.shape_count, generator=draw), rotations, pelvis)
    camera = Camera(torch.tensor([1.5, 1.7, 1.2]), torch.tensor([[0.5, 0.5], [0.7, 0.4], [0.3, 0.6]]))
    silhouette = torch.zeros(COUNT, 64, 64)
    silhouette[:, 10:50, 20:44] = 1
    image = torch.rand(COUNT, 3, SIDE, SIDE, generator=draw)
    return Subjects(Crops(image, camera, Proxy(camera, silhouette=silhouette)), true)


def joints(people: Subjects, body: BodyModel) -> torch.Tensor:
    return people.crops.camera.project(people.true.posed(body).joints)


@pytest.mark.parametrize("kind", SPOILERS)
def test_no_strength_changes_nothing(people, kind):
    same = SPOILERS[kind].spoil(people, 0.0)
    assert torch.equal(same.crops.image, people.crops.image)
    assert same.true is people.true


@pytest.mark.parametrize("kind", SPOILERS)
def test_spoils_the_same_way_again(people, kind):
    spoiler = SPOILERS[kind]
    one, two = (spoiler.spoil(people, spoiler.strengths[-1], 1).crops.image for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == people.crops.image.shape
    assert one.min() >= 0
    assert one.max() <= 1
    if kind in ("occlusion", "noise"):
        assert not torch.equal(one, spoiler.spoil(people, spoiler.strengths[-1], 2).crops.image)


@pytest.mark.parametrize("kind", [kind for kind in SPOILERS if kind != "turn"])
def test_more_strength_changes_more_of_the_picture_and_nobody(people, kind):
    spoiler = SPOILERS[kind]
    spoilt = [spoiler.spoil(people, strength) for strength in spoiler.strengths]
    changes = [float((each.crops.image - people.crops.image).abs().mean()) for each in spoilt]
    assert 0 < changes[0] < changes[1] < changes[2]
    for each in spoilt:
        assert each.true is people.true
        assert each.crops.camera is people.crops.camera


@pytest.mark.parametrize("share", SPOILERS["occlusion"].strengths)
def test_a_share_of_the_box_is_grey(people, share):
    grey = (SPOILERS["occlusion"].spoil(people, share).crops.image == GREY).all(1)
    box = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    box[40:200, 80:176] = True
    assert not grey[:, ~box].any()
    assert (grey[:, box].float().mean(1) - share).abs().max() < 0.02


def test_blur_and_coarseness_keep_what_is_even(people):
    even = replace(people, crops=replace(people.crops, image=torch.full_like(people.crops.image, 0.3)))
    for kind in ("blur", "resolution"):
        spoilt = SPOILERS[kind].spoil(even, SPOILERS[kind].strengths[-1])
        torch.testing.assert_close(spoilt.crops.image, even.crops.image)


def test_one_stop_is_half_the_light(people):
    dark = SPOILERS["low-light"].spoil(people, 1.0).crops.image
    off = dark**2.2 - people.crops.image**2.2 / 2
    assert off.abs().max() < 2.2 * 0.5 / 255 + 1e-5


@pytest.mark.parametrize("degrees", [30.0, 90.0, 180.0])
def test_turned_people_are_where_the_turned_picture_shows_them(people, small_body, degrees):
    """A dot on a joint is under that joint when both are turned."""
    before = joints(people, small_body)
    pixels = torch.stack(torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="xy"), -1) + 0.5
    for joint in (0, 4, 15, 20):
        far = (pixels - SIDE * before[:, joint, None, None]).square().sum(-1)
        dot = torch.exp(-far / (2 * 2.0**2))[:, None].expand(-1, 3, -1, -1)
        turned = SPOILERS["turn"].spoil(replace(people, crops=replace(people.crops, image=dot)), degrees)
        mass = turned.crops.image[:, 0, ..., None]
        seen = (mass * pixels).sum((1, 2)) / mass.sum((1, 2)) / SIDE
        torch.testing.assert_close(seen, joints(turned, small_body)[:, joint], atol=2e-3, rtol=0)


def test_turned_people_have_the_same_shape_pose_and_distance(people, small_body):
    turned = SPOILERS["turn"].spoil(people, 45.0)
    assert torch.equal(turned.true.betas, people.true.betas)
    assert torch.equal(turned.true.rotations[:, 1:], people.true.rotations[:, 1:])
    torch.testing.assert_close(turned.true.pelvis.norm(dim=1), people.true.pelvis.norm(dim=1))
    torch.testing.assert_close(turned.true.pelvis[:, 2], people.true.pelvis[:, 2])
    # Clockwise as one looks at the picture: right goes down.
    angle = torch.tensor(math.radians(45.0))
    right = torch.tensor([1.0, 0.0, 0.0])
    root = turned.true.rotations[:, 0] @ people.true.rotations[:, 0].mT
    torch.testing.assert_close(root @ right, torch.stack([angle.cos(), angle.sin(), torch.zeros(())]).expand(COUNT, 3))


def test_looseness_is_what_reaches_beyond_the_naked_body(people):
    """Nothing where nobody is seen, and as much more as is added where the body is not."""
    assert people.crops.truth is not None

    def of(silhouette: torch.Tensor) -> torch.Tensor:
        truth = Proxy(people.crops.camera, silhouette=silhouette)
        return looseness(replace(people, crops=replace(people.crops, truth=truth)))

    assert (of(torch.zeros(COUNT, 64, 64)) == 0).all()
    corner, more = torch.zeros(COUNT, 64, 64), torch.zeros(COUNT, 64, 64)
    corner[:, :2, :4], more[:, :2, :8] = 1, 1
    torch.testing.assert_close(of(more), 2 * of(corner))
    assert (of(corner) > 0).all()
