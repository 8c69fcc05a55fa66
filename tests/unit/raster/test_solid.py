"""The space that two meshes share, against solids whose overlap has a formula."""

import math

import pytest
import torch
import trimesh
from torch import Tensor

from nbf.body.files import load_body
from nbf.body.measure import volume
from nbf.geometry import matrix_from_axis_angle
from nbf.raster.solid import shared_volume


def ball(radius: float) -> tuple[Tensor, Tensor]:
    mesh = trimesh.creation.icosphere(3, radius)
    return torch.tensor(mesh.vertices).float(), torch.tensor(mesh.faces).long()


def test_boxes() -> None:
    mesh = trimesh.creation.box((0.3, 0.3, 0.3))
    vertices, faces = torch.tensor(mesh.vertices).float(), torch.tensor(mesh.faces).long()
    for shift in ((0.1, 0.05, 0.2), (-0.1, 0.05, -0.2), (0.0, 0.0, 0.0)):
        moved = vertices + torch.tensor(shift)
        expected = math.prod(0.3 - abs(side) for side in shift)
        assert shared_volume(vertices, moved, faces) == pytest.approx(expected, rel=0.01)
        assert shared_volume(moved, vertices, faces) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.3, -0.8, 2.0)])
def test_the_lens_of_two_balls_however_they_are_turned(turn: tuple[float, float, float]) -> None:
    """Two balls of radius r whose middles are d apart share pi (4 r + d)(2 r - d)^2 / 12."""
    vertices, faces = ball(0.2)
    rotation = matrix_from_axis_angle(torch.tensor(turn))
    shift = rotation @ torch.tensor([0.0, 0.06, 0.08])
    lens = math.pi * (4 * 0.2 + 0.1) * (2 * 0.2 - 0.1) ** 2 / 12
    assert shared_volume(vertices, vertices + shift, faces) == pytest.approx(lens, rel=0.03)


def test_what_is_apart_shares_nothing() -> None:
    vertices, faces = ball(0.2)
    assert shared_volume(vertices, vertices + torch.tensor([0.41, 0.0, 0.0]), faces) == 0
    # The boxes about them overlap.
    assert shared_volume(vertices, vertices + torch.tensor([0.3, 0.3, 0.0]), faces) == 0


def test_a_body_shares_itself_with_itself() -> None:
    body = load_body("anny24", "small")
    shared = shared_volume(body.template, body.template, body.faces)
    assert shared == pytest.approx(float(volume(body.template, body.faces)), rel=0.02)


def test_what_lies_inside_of_itself_counts_once() -> None:
    """Two balls as one mesh, one within the other: as much as the outer one."""
    (outer, faces), (inner, _) = ball(0.2), ball(0.1)
    both, twice = torch.cat([outer, inner]), torch.cat([faces, faces + len(outer)])
    assert shared_volume(both, both, twice) == pytest.approx(4 / 3 * math.pi * 0.2**3, rel=0.03)
