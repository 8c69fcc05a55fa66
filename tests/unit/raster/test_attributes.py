"""Interpolation, face values, normals and textures."""

import math

import pytest
import torch
from torch import Tensor

from nbf.geometry import Camera
from nbf.raster import gather_faces, interpolate, rasterize, rasterize_packed, sample_texture, vertex_normals


def tetrahedron() -> tuple[Tensor, Tensor]:
    vertices = torch.tensor([[1.0, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]])
    return vertices, torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def test_interpolated_positions_lie_on_the_ray_at_the_depth() -> None:
    """Perspective-correct weights put the 3D point back where the pixel looks."""
    vertices, faces = tetrahedron()
    posed = torch.stack([vertices, -vertices * 0.7]) + torch.tensor([0.2, -0.1, 3.5])
    camera = Camera(torch.tensor(40.0), torch.tensor([24.0, 20.0]))
    fragments = rasterize(camera.pixels_depth(posed), faces, 40, 48, cull=False)
    points = interpolate(fragments, faces, posed, fill=-7.0)
    assert (points[~fragments.mask] == -7.0).all()
    for k in range(2):
        row, column = fragments.mask[k].nonzero(as_tuple=True)
        pixels = torch.stack([column + 0.5, row + 0.5], dim=-1)
        expected = camera.unproject(pixels, fragments.depth[k, row, column])
        assert torch.allclose(points[k, row, column], expected, atol=1e-4)


def test_interpolation_shared_and_packed_agree_and_pass_gradients() -> None:
    vertices, faces = tetrahedron()
    camera = Camera(torch.tensor(12.0), torch.tensor([6.0, 6.0]))
    pixels_depth = camera.pixels_depth(vertices + torch.tensor([0.0, 0.0, 4.0])).expand(2, 4, 3)
    fragments = rasterize(pixels_depth, faces, 12, 12)
    values = torch.rand(4, 5, dtype=torch.float64, requires_grad=True)
    shared = interpolate(fragments, faces, values)
    assert torch.equal(shared, interpolate(fragments, faces, values.expand(2, 4, 5)))
    packed_faces = torch.cat([faces, faces + 4])
    image = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    packed = rasterize_packed(pixels_depth.reshape(-1, 3), packed_faces, image, 2, 12, 12)
    assert torch.equal(shared, interpolate(packed, packed_faces, values.repeat(2, 1)))
    assert torch.autograd.gradcheck(lambda v: interpolate(fragments, faces, v), values)


def test_values_of_faces() -> None:
    vertices, faces = tetrahedron()
    pixels_depth = Camera(torch.tensor(12.0), torch.tensor([6.0, 6.0])).pixels_depth(vertices[None] + 4.0)
    fragments = rasterize(pixels_depth, faces, 12, 12, cull=False)
    labels = gather_faces(fragments, torch.tensor([3, 4, 5, 6]), fill=0)
    assert labels.dtype == torch.int64
    assert torch.equal(labels, torch.where(fragments.mask, fragments.face + 3, 0))
    assert gather_faces(fragments, torch.rand(4, 2, 3), fill=0.0).shape == (1, 12, 12, 2, 3)


def test_normals_of_a_sphere_point_outwards() -> None:
    theta = torch.linspace(0, math.pi, 24)
    phi = torch.arange(48) / 48 * 2 * math.pi
    ring = torch.stack(
        [theta.sin()[:, None] * phi.sin(), theta.cos()[:, None] * torch.ones(48), theta.sin()[:, None] * phi.cos()],
        dim=-1,
    )
    a = (torch.arange(23)[:, None] * 48 + torch.arange(48)).reshape(-1)
    b = (torch.arange(23)[:, None] * 48 + (torch.arange(48) + 1) % 48).reshape(-1)
    faces = torch.cat([torch.stack([a, a + 48, b], dim=1), torch.stack([b, a + 48, b + 48], dim=1)])
    vertices = ring.reshape(-1, 3)
    normals = vertex_normals(vertices, faces)
    middle = slice(48, -48)
    assert ((normals * vertices)[middle].sum(dim=-1) > 0.999).all()
    assert torch.allclose(vertex_normals(torch.stack([vertices, 2 * vertices]), faces)[1], normals, atol=1e-6)


def test_normals_gradients_and_lonely_vertices() -> None:
    vertices, faces = tetrahedron()
    lonely = torch.cat([vertices, torch.zeros(1, 3)]).double().requires_grad_()
    normals = vertex_normals(lonely, faces)
    assert (normals[4] == 0).all()
    (gradient,) = torch.autograd.grad(normals.sum(), lonely)
    assert gradient.isfinite().all()
    assert torch.autograd.gradcheck(lambda v: vertex_normals(v, faces), vertices.double().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_textures_are_bilinear_with_rows_downwards(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    textures = torch.randint(0, 256, (3, 6, 9, 4), generator=generator, dtype=torch.uint8)
    expected = textures / 255.0
    if dtype == torch.float32:
        textures = expected
    row, column = torch.meshgrid(torch.arange(6), torch.arange(9), indexing="ij")
    centers = torch.stack([(column + 0.5) / 9, (row + 0.5) / 6], dim=-1)
    for index in range(3):
        sampled = sample_texture(textures, centers, torch.full((6, 9), index))
        assert torch.allclose(sampled, expected[index], atol=1e-5)
    uv = torch.rand(200, 2, generator=generator)
    index = torch.randint(0, 3, (200,), generator=generator)
    # PyTorch's own sampler is the twin: same convention with align_corners=False and repeated borders.
    twin = torch.nn.functional.grid_sample(
        expected.permute(0, 3, 1, 2)[index], uv[:, None, None] * 2 - 1, padding_mode="border", align_corners=False
    )[:, :, 0, 0]
    assert torch.allclose(sample_texture(textures, uv, index), twin, atol=1e-5)
    assert torch.equal(sample_texture(textures, uv), sample_texture(textures, uv, torch.zeros_like(index)))


def test_textures_pass_gradients() -> None:
    textures = torch.rand(2, 3, 4, 2, dtype=torch.float64, requires_grad=True)
    uv = torch.rand(5, 2, dtype=torch.float64) * 0.8 + 0.1
    index = torch.tensor([0, 1, 1, 0, 1])
    assert torch.autograd.gradcheck(lambda t, c: sample_texture(t, c, index), (textures, uv.requires_grad_()))
    single_texel = sample_texture(torch.full((1, 1, 1, 3), 0.5), torch.rand(4, 2))
    assert torch.allclose(single_texel, torch.tensor(0.5))
