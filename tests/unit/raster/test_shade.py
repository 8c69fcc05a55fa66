"""Shaded pictures: light, edges, colours."""

import torch

from nbf.geometry import Camera
from nbf.raster import Light, render_shaded, shade


def square(depth: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    """A square of one metre that faces the camera."""
    vertices = torch.tensor([[-0.5, -0.5, depth], [-0.5, 0.5, depth], [0.5, -0.5, depth], [0.5, 0.5, depth]])
    return vertices[None], torch.tensor([[0, 1, 2], [1, 3, 2]])


def test_lambert() -> None:
    light = Light(to_light=(0.0, 0.0, -2.0), key=0.6, ambient=0.3)
    normals = torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -0.8, -0.6]])
    lit = shade(normals, torch.tensor([[1.0, 0.5, 0.0]]), light)
    assert torch.allclose(lit[:, 0], torch.tensor([0.9, 0.3, 0.3, 0.3 + 0.6 * 0.6]))
    assert torch.allclose(lit[:, 1], lit[:, 0] / 2)


def test_smooth_edges_and_colours() -> None:
    vertices, faces = square()
    # The square spans 10.5 pixels each way around the middle of pixel (8, 8): its border halves pixels.
    camera = Camera(torch.tensor(21.0), torch.tensor([8.5, 8.5]))
    light = Light(to_light=(0.0, 0.0, -1.0), key=0.5, ambient=0.5)
    colors = torch.tensor([[0.2, 0.4, 0.6], [0.9, 0.1, 0.3]])
    image = render_shaded(vertices, faces, camera, 17, 17, colors=colors, light=light, supersample=4)
    assert image.shape == (1, 4, 17, 17)
    alpha = image[0, 3]
    assert torch.equal(alpha[4:13, 4:13], torch.ones(9, 9))
    assert (alpha[3, 5:12] == 0.75).all()
    assert (alpha[:3] == 0).all()
    assert torch.allclose(image[0, :3, 5, 5], colors[0], atol=1e-5)
    assert torch.allclose(image[0, :3, 11, 11], colors[1], atol=1e-5)
    # Straight alpha: the colour at a half-covered pixel is not darkened.
    assert torch.allclose(image[0, :3, 3, 5], colors[0], atol=1e-5)


def test_seen_from_behind_is_nothing() -> None:
    vertices, faces = square()
    camera = Camera(torch.tensor(20.0), torch.tensor([8.0, 8.0]))
    assert (render_shaded(vertices, faces.flip(-1), camera, 16, 16, colors=torch.ones(3)) == 0).all()


def test_only_the_window_of_the_mesh_is_drawn_and_nothing_moves() -> None:
    """A window far larger than the mesh gives the same picture, wherever the mesh is."""
    vertices, faces = square()
    for center in ([8.3, 9.1], [-2.0, 5.0], [30.0, 14.2], [90.0, 90.0]):
        camera = Camera(torch.tensor(21.0), torch.tensor(center))
        small = render_shaded(vertices, faces, camera, 24, 32, colors=torch.ones(3), supersample=3)
        moved = Camera(camera.focal, camera.center + 16.0)
        large = render_shaded(vertices, faces, moved, 56, 64, colors=torch.ones(3), supersample=3)
        assert torch.allclose(small, large[:, :, 16:40, 16:48], atol=1e-5)
        assert small.any() == (center[0] < 90.0)


def test_a_body_around_the_camera_is_no_error() -> None:
    vertices, faces = square()
    vertices[0, 0, 2], vertices[0, 3, 2] = 0.0, -1.0
    camera = Camera(torch.tensor(21.0), torch.tensor([8.0, 8.0]))
    assert (render_shaded(vertices, faces, camera, 16, 16, colors=torch.ones(3)) == 0).all()
