"""Groups of people on one floor, against geometry: feet, walls, who hides whom, who could stand."""

from itertools import combinations
from pathlib import Path

import pytest
import torch

from nbf.body.model import BodyModel
from nbf.geometry import Camera, matrix_from_axis_angle
from nbf.raster.solid import shared_volume
from nbf.raster.zbuffer import rasterize
from nbf.synth.background import Backgrounds
from nbf.synth.gathering import NEAREST, PEOPLE, Gathering, GatheringSampler, stands
from nbf.synth.hall import Outlook, draw_hall
from nbf.synth.sampler import Sampler

SEED = 2


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    return Sampler.load(Path("no such folder"), "test")


def drawn(sampler: Sampler) -> Gathering:
    sampler.generator.manual_seed(SEED)
    return GatheringSampler(sampler).sample()


@pytest.fixture(scope="module")
def group(sampler: Sampler) -> Gathering:
    return drawn(sampler)


def test_the_same_seed_draws_the_same_people(sampler: Sampler, group: Gathering) -> None:
    again = drawn(sampler)
    assert torch.equal(again.image, group.image)
    assert torch.equal(again.bodies.betas, group.bodies.betas)
    assert torch.equal(again.joints_seen, group.joints_seen)


def test_everybody_stands_on_the_floor_before_the_camera(sampler: Sampler, group: Gathering) -> None:
    vertices = group.bodies.posed(sampler.body).vertices
    assert PEOPLE[0] <= len(vertices) <= PEOPLE[1]
    lowest = (vertices @ group.up).amin(1)
    torch.testing.assert_close(lowest, -group.above.expand(len(vertices)), atol=1e-4, rtol=0)
    assert vertices[..., 2].min() >= NEAREST - 0.01
    torch.testing.assert_close(group.bodies.posed(sampler.body).joints, group.joints)


def test_nobody_stands_in_somebody_else(sampler: Sampler, group: Gathering) -> None:
    small = sampler.small
    vertices = group.bodies.posed(small).vertices
    assert all(shared_volume(a, b, small.faces) == 0 for a, b in combinations(vertices, 2))


def test_pixels_show_whom_the_bodies_would_hide(sampler: Sampler, group: Gathering) -> None:
    """Drawn anew without clothes, most pixels see the same person, and nearly all the same side of the outline."""
    height, width = group.person.shape
    assert (height, width) == group.image.shape[1:]
    assert torch.equal(group.person > 0, group.parts > 0)
    vertices = group.bodies.posed(sampler.body).vertices
    depth = rasterize(group.camera.pixels_depth(vertices), sampler.body.faces, height, width).depth
    nearest = torch.where(depth.amin(0).isfinite(), depth.argmin(0) + 1, 0)
    either = (nearest > 0) | (group.person > 0)
    assert (nearest == group.person)[either].float().mean() > 0.75
    for person in range(1, len(vertices) + 1):
        mine = group.person == person
        assert (nearest[mine] == person).float().mean() > 0.6 or mine.sum() < 100


def test_shares_say_what_is_hidden(sampler: Sampler, group: Gathering) -> None:
    """Against silhouettes of the bodies without clothes, each alone, in a picture that is large enough for all."""
    height, width = group.person.shape
    vertices = group.bodies.posed(sampler.small).vertices
    coarse, room = group.camera.scaled(0.5), max(height, width)
    wide = Camera(coarse.focal, coarse.center + room)
    alone = rasterize(wide.pixels_depth(vertices), sampler.small.faces, 2 * room + height // 2, 3 * room).mask
    inside = alone[:, room : room + height // 2, room : room + width // 2]
    ids = torch.arange(1, len(vertices) + 1)[:, None, None]
    share = (inside & (group.person[::2, ::2] == ids)).sum((1, 2)) / alone.sum((1, 2))
    assert (share - group.seen).abs().max() < 0.12
    assert group.seen.min() < 0.9  # else nothing was tested
    assert (group.joints_seen.mean(1) - group.seen).abs().max() < 0.3
    x, y = group.camera.project(group.joints).floor().long().unbind(-1)
    within = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    mine = group.person[y.clamp(0, height - 1), x.clamp(0, width - 1)] == ids[..., 0]
    assert (mine & within)[group.joints_seen == 1].float().mean() > 0.9
    assert not (mine & within)[group.joints_seen < 0.05].any()


def test_who_could_stand(sampler: Sampler) -> None:
    """In a T-pose, and not when leaning far, on the hands or on the back."""
    body: BodyModel = sampler.small
    turns = torch.tensor(
        [[0.0, 0, 0], [0.0, 1.0, 0], [0.6, 0, 0], [-0.6, 0, 0], [0, 0, 0.6], [3.14, 0, 0], [1.57, 0, 0]]
    )
    rotations = torch.eye(3).expand(7, 24, 3, 3).clone()
    rotations[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ matrix_from_axis_angle(turns)
    betas = torch.zeros(7, body.shape_count)
    posed = body(betas, rotations, torch.zeros(7, 3))
    assert stands(body, betas, posed).tolist() == [True, True, False, False, False, False, False]


def test_a_camera_that_looks_down_sees_the_floor_at_the_middle() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        outlook = Outlook.draw(generator, (480, 360), 600.0, 2.5, 3.0)
        assert outlook.up.norm() == pytest.approx(1)
        # The aim: 0.9 m above the floor, three metres away; the tilt about it is 4 degrees or so.
        aim = outlook.cam_from_level @ torch.tensor([0.0, outlook.above - 0.9, 3.0])
        x, y = outlook.camera.project(aim[None])[0].tolist()
        assert abs(x - 240) < 60
        assert abs(y - 180) < 600 * 0.3
        assert float(outlook.up @ aim) == pytest.approx(0.9 - outlook.above, abs=1e-5)


def test_the_floor_ends_at_the_wall() -> None:
    camera = Camera(torch.tensor(200.0), torch.tensor([64.0, 64.0]))
    outlook = Outlook(128, 128, camera, torch.eye(3), 1.4)
    feet = torch.tensor([[[0.0, 1.4, 4.5], [0.0, 0.0, 4.5]]])
    nothing = Backgrounds(torch.empty(0, 3, 320, 320, dtype=torch.uint8))
    edges = []
    for seed in range(6):
        picture = draw_hall(outlook, feet, 7.0, nothing, 128, torch.Generator().manual_seed(seed))
        under = 64 + int(200 * 1.4 / 4.5)
        assert picture[:, under, 64].mean() < 0.85 * picture[:, under, 5].mean()
        column = picture[:, :, 20]
        jumps = (column[:, 1:] - column[:, :-1]).abs().amax(0)
        edges.append(jumps[64 + 36 : 64 + 44].amax() > 0.02)
    assert sum(edges) >= 5
