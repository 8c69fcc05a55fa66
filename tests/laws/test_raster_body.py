"""The rasteriser on the bundled body: what must hold for any closed mesh, and how fine detail survives."""

import pytest
import torch
from torch import Tensor

from nbf.body.files import load_body
from nbf.geometry import Camera, matrix_from_axis_angle
from nbf.raster import faces_in_view, interpolate, rasterize, rasterize_packed


@pytest.fixture(scope="module")
def scene() -> tuple[Tensor, Tensor]:
    """The small body from six sides, camera metres."""
    body = load_body("anny24", "small")
    angles = torch.arange(6)[:, None] * torch.tensor([[0.3, 1.0, 0.1]])
    turn = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ matrix_from_axis_angle(angles)
    middle = body.template.float().mean(dim=0)
    return (body.template.float() - middle) @ turn.mT + torch.tensor([0.0, 0.0, 4.0]), body.faces


def test_culling_a_closed_mesh_changes_nothing(scene: tuple[Tensor, Tensor]) -> None:
    """Behind every back face there is nothing to see: the nearest face of a closed mesh is a front face."""
    posed, faces = scene
    pixels_depth = Camera(torch.tensor(220.0), torch.tensor([64.0, 64.0])).pixels_depth(posed)
    culled = rasterize(pixels_depth, faces, 128, 128)
    both = rasterize(pixels_depth, faces, 128, 128, cull=False)
    assert 0.05 < culled.mask.double().mean() < 0.4
    # The outline itself, where a front and a back face meet in depth, is a matter of rounding.
    assert (culled.face != both.face).double().mean() < 5e-4


def test_fine_pictures_agree_with_coarse_ones(scene: tuple[Tensor, Tensor]) -> None:
    """A pixel centre of the coarse picture is the middle of 3 x 3 pixels of one three times as fine."""
    posed, faces = scene
    camera = Camera(torch.tensor(110.0), torch.tensor([32.0, 32.0]))
    coarse = rasterize(camera.pixels_depth(posed), faces, 64, 64)
    fine = rasterize(camera.scaled(3).pixels_depth(posed), faces, 192, 192)
    same = coarse.face == fine.face[:, 1::3, 1::3]
    assert same.double().mean() > 0.999
    seen = same & coarse.mask
    assert torch.allclose(coarse.depth[seen], fine.depth[:, 1::3, 1::3][seen], rtol=1e-4)


def test_the_visible_surface_projects_to_its_own_pixel(scene: tuple[Tensor, Tensor]) -> None:
    posed, faces = scene
    camera = Camera(torch.tensor(220.0), torch.tensor([64.0, 64.0]))
    fragments = rasterize(camera.pixels_depth(posed), faces, 128, 128)
    points = interpolate(fragments, faces, posed)
    picture, row, column = fragments.mask.nonzero(as_tuple=True)
    pixels = camera.project(points[picture, row, column])
    assert (pixels - torch.stack([column + 0.5, row + 0.5], dim=-1)).abs().max() < 1e-3


@pytest.mark.parametrize("cull", [True, False])
def test_faces_out_of_view_are_never_seen(scene: tuple[Tensor, Tensor], cull: bool) -> None:
    """Drawing only what `faces_in_view` leaves gives the same picture; half of the bodies stick out of it."""
    posed, faces = scene
    points = Camera(torch.tensor(220.0), torch.tensor([20.0, 90.0])).pixels_depth(posed)
    expected = rasterize(points, faces, 96, 96, cull=cull)
    seen = faces_in_view(points.mT, faces, 96, 96, cull=cull)
    assert seen.double().mean() < 0.9
    picture, face = seen.nonzero(as_tuple=True)
    packed = faces[face] + picture[:, None] * points.shape[1]
    found = rasterize_packed(points.flatten(0, 1), packed, picture, len(posed), 96, 96, cull=cull)
    assert torch.equal(torch.where(found.mask, face[found.face], -1), expected.face)
    assert torch.equal(found.depth, expected.depth)


def test_only_see_through_faces_are_put_to_the_alpha_test(scene: tuple[Tensor, Tensor]) -> None:
    posed, faces = scene
    points = Camera(torch.tensor(110.0), torch.tensor([32.0, 32.0])).pixels_depth(posed[:1])[0]
    image = torch.zeros(len(faces), dtype=torch.int64)
    glass = torch.arange(len(faces)) % 3 == 0
    asked = rasterize_packed(
        points,
        faces,
        image,
        1,
        64,
        64,
        keep=lambda face, _: torch.zeros_like(face, dtype=torch.bool),
        see_through=glass,
    )
    everything = rasterize_packed(points, faces, image, 1, 64, 64, keep=lambda face, _: ~glass[face])
    assert torch.equal(asked.face, everything.face)
