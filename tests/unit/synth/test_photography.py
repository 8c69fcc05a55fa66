"""Views, light, backgrounds, occluders and flaws of synthetic photographs."""

import math

import torch

from nbf.geometry.rotations import geodesic_angle
from nbf.synth import background, degrade, light, occluders, view


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_views_are_proper_rotations_about_an_upright_person() -> None:
    rotations = view.sample_view_rotations(200, view.ViewConfig(), generator())
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(200))
    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0])).expand(200, 3, 3)
    tilt = geodesic_angle(rotations, upright).rad2deg()
    assert 5 < tilt.median() < 25


def test_headings_turn_about_the_vertical_in_all_directions() -> None:
    headings = view.sample_headings(400, generator())
    torch.testing.assert_close(headings[:, 1], torch.tensor([0.0, 1.0, 0.0]).expand(400, 3))
    angle = torch.atan2(headings[:, 0, 2], headings[:, 2, 2])
    assert (torch.histc(angle, 8, -math.pi, math.pi) > 25).all()


def test_axis_rotation_turns_the_next_axis_towards_the_one_after() -> None:
    quarter = torch.tensor([math.pi / 2])
    for axis in range(3):
        turned = view._axis_rotation(quarter, axis)[0] @ torch.eye(3)[(axis + 1) % 3]
        torch.testing.assert_close(turned, torch.eye(3)[(axis + 2) % 3])


def test_children_are_photographed_from_nearer() -> None:
    adults = view.sample_translations(torch.full((500,), 1.7), view.ViewConfig(), generator())
    children = view.sample_translations(torch.full((500,), 0.85), view.ViewConfig(), generator())
    torch.testing.assert_close(children[:, 2], adults[:, 2] / 2)


def test_blur_keeps_constants_and_does_nothing_without_width() -> None:
    pictures = torch.rand(3, 3, 32, 32, generator=generator())
    torch.testing.assert_close(degrade.blur(pictures, torch.zeros(3)), pictures)
    flat = torch.full((1, 3, 16, 16), 0.4)
    torch.testing.assert_close(degrade.blur(flat, torch.tensor([2.0])), flat)


def test_jpeg_is_nearly_exact_at_high_quality_and_worse_at_low() -> None:
    smooth = torch.nn.functional.interpolate(
        torch.rand(1, 3, 5, 5, generator=generator()), size=(64, 64), mode="bicubic"
    )
    smooth = smooth.clamp(0, 1)
    best, worst = ((degrade.jpeg(smooth, torch.tensor([quality])) - smooth).abs().mean() for quality in (100.0, 10.0))
    assert best < 0.003
    assert worst > 3 * best


def test_degraded_pictures_are_pictures() -> None:
    pictures = background.procedural(6, 64, generator())
    flawed = degrade.degrade(pictures, generator())
    assert flawed.shape == pictures.shape
    assert flawed.min() >= 0
    assert flawed.max() <= 1


def test_light_comes_from_above_on_average() -> None:
    lights = light.sample_lights(500, generator())
    up, down = torch.tensor([[0.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
    brightness = [torch.einsum("b,nbc->nc", light.spherical_harmonics(n), lights).mean() for n in (up, down)]
    assert brightness[0] > brightness[1] + 0.2


def test_occluders_come_as_often_as_asked() -> None:
    assert not occluders.sample_masks(20, 32, 0.0, generator()).any()
    assert occluders.sample_masks(40, 32, 1.0, generator()).flatten(1).any(1).float().mean() > 0.9


def test_outside_is_beyond_the_photo() -> None:
    beyond = occluders.outside(torch.tensor([[-10.0, 4.0, 8.0, 99.0]]), 16)[0]
    assert beyond[:4].all()
    assert beyond[:, 8:].all()
    assert not beyond[4:, :8].any()
