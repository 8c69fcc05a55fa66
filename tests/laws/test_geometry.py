"""Laws of rotations, cameras, crops and alignment: gradients, round trips, references."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from nbf.geometry import (
    Camera,
    Crop,
    align,
    axis_angle_from_matrix,
    crop_camera_from_translation,
    from_columns,
    geodesic_angle,
    matrix_from_axis_angle,
    project_to_rotation,
    similarity,
    translation_from_crop_camera,
)
from nbf.geometry.quaternions import multiply, quaternion, quaternion_from_matrix

ANGLES = (0.0, 1e-12, 1e-9, 1e-7, 1e-4, 1.0, 3.0, math.pi - 1e-4, math.pi - 1e-9, math.pi)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_axis_angle_round_trip_up_to_half_a_turn() -> None:
    axes = torch.nn.functional.normalize(random(50, 3), dim=-1)
    for angle in ANGLES:
        matrices = matrix_from_axis_angle(axes * angle)
        assert torch.allclose(matrices @ matrices.mT, torch.eye(3, dtype=torch.float64).expand(50, 3, 3), atol=1e-14)
        again = matrix_from_axis_angle(axis_angle_from_matrix(matrices))
        assert torch.allclose(again, matrices, atol=1e-14)
        assert (axis_angle_from_matrix(matrices).norm(dim=-1) - angle).abs().max() < 1e-14
        assert np.allclose(matrices, Rotation.from_rotvec((axes * angle).numpy()).as_matrix(), atol=1e-14)


def test_axis_angle_gradients() -> None:
    axes = torch.nn.functional.normalize(random(3, 3), dim=-1)
    for angle in ANGLES:
        vectors = (axes * angle).requires_grad_()
        assert torch.autograd.gradcheck(matrix_from_axis_angle, vectors)
        # At half a turn the vector jumps to the other side.
        if angle < math.pi - 1e-6:
            matrices = matrix_from_axis_angle(vectors.detach()).requires_grad_()
            assert torch.autograd.gradcheck(axis_angle_from_matrix, matrices)


def test_quaternions_multiply_as_matrices_do() -> None:
    a, b = random(50, 3), random(50, 3, seed=1)
    product = matrix_from_axis_angle(a) @ matrix_from_axis_angle(b)
    expected = quaternion_from_matrix(product)
    same = multiply(quaternion(a), quaternion(b))
    same = same * (same * expected).sum(-1, keepdim=True).sign()
    assert torch.allclose(same, expected)
    real_last = expected.roll(-1, -1) * expected[:, :1].sign()
    assert np.allclose(real_last, Rotation.from_matrix(product.numpy()).as_quat(canonical=True))


@pytest.mark.parametrize("function", [matrix_from_axis_angle, axis_angle_from_matrix, project_to_rotation])
def test_autocast_costs_rotations_nothing(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    given = random(40, 3).float()
    given = given if function is matrix_from_axis_angle else matrix_from_axis_angle(given)
    with torch.autocast("cpu", torch.bfloat16):
        low = function(given)
    assert torch.equal(low, function(given))


def test_rotations_of_columns() -> None:
    columns = random(30, 3, 2).requires_grad_()
    rotations = from_columns(columns)
    assert torch.allclose(rotations @ rotations.mT, torch.eye(3, dtype=torch.float64).expand(30, 3, 3))
    assert torch.allclose(torch.linalg.det(rotations), torch.ones(30, dtype=torch.float64))
    assert torch.allclose(rotations[..., 0], torch.nn.functional.normalize(columns[..., 0], dim=-1))
    assert torch.allclose(from_columns(rotations[..., :2]), rotations)
    assert torch.autograd.gradcheck(from_columns, columns[:4])


def test_projected_matrices_are_rotations_also_for_reflections() -> None:
    matrices = random(200, 3, 3)
    matrices[:50] = -matrices[:50].abs() - torch.eye(3)
    rotations = project_to_rotation(matrices)
    assert torch.allclose(torch.linalg.det(rotations), torch.ones(200, dtype=torch.float64))
    assert torch.allclose(rotations @ rotations.mT, torch.eye(3, dtype=torch.float64).expand(200, 3, 3))
    reflection = torch.diag(torch.tensor([1.0, 1.0, -1.0]))
    assert torch.linalg.det(project_to_rotation(reflection)) > 0.999
    assert project_to_rotation(reflection.half()).dtype == torch.float32


def test_projection_is_the_nearest_rotation() -> None:
    matrices = random(30, 3, 3, seed=1)
    nearest = (project_to_rotation(matrices) - matrices).flatten(-2).norm(dim=-1)
    for seed in range(40):
        other = project_to_rotation(random(30, 3, 3, seed=100 + seed))
        assert (nearest <= (other - matrices).flatten(-2).norm(dim=-1) + 1e-12).all()
    rotations = matrix_from_axis_angle(random(30, 3))
    assert torch.allclose(project_to_rotation(rotations * 3.0), rotations)


def test_projection_gradients() -> None:
    rotations = matrix_from_axis_angle(random(5, 3))
    # A reflection has a nearest rotation of its own as long as its singular values differ.
    stretch = torch.diag(torch.tensor([3.0, 2.0, -1.0], dtype=torch.float64))
    for good in (rotations + 0.1 * random(5, 3, 3, seed=2), rotations, rotations @ stretch):
        assert torch.autograd.gradcheck(project_to_rotation, good.requires_grad_())
    for bad in (torch.zeros(3, 3), torch.diag(torch.tensor([1.0, 1.0, -1.0])), torch.diag(torch.tensor([1.0, 0, 0]))):
        bad.requires_grad_()
        (project_to_rotation(bad) * random(3, 3).float()).sum().backward()
        assert bad.grad is not None
        assert bad.grad.isfinite().all()


def test_geodesic_angle() -> None:
    a, turn = matrix_from_axis_angle(random(40, 3)), random(40, 3, seed=4)
    turn = turn / turn.norm(dim=-1, keepdim=True) * torch.linspace(0, 3.1, 40, dtype=torch.float64)[:, None]
    b = a @ matrix_from_axis_angle(turn)
    assert torch.allclose(geodesic_angle(a, b), turn.norm(dim=-1), atol=1e-7)
    assert torch.allclose(geodesic_angle(a, b), geodesic_angle(b, a))
    assert torch.autograd.gradcheck(geodesic_angle, (a[1:].requires_grad_(), b[1:]))
    half_turn = torch.diag(torch.tensor([1.0, -1.0, -1.0])).requires_grad_()
    angle = geodesic_angle(half_turn, torch.eye(3))
    angle.backward()
    assert abs(angle.item() - math.pi) < 2e-3
    assert half_turn.grad is not None
    assert half_turn.grad.isfinite().all()


def test_project_and_unproject_are_inverse() -> None:
    points = random(4, 7, 3) + torch.tensor([0.0, 0.0, 8.0], dtype=torch.float64)
    camera = Camera(torch.full((4,), 900.0, dtype=torch.float64), random(4, 2) * 100 + 300)
    assert torch.allclose(camera.unproject(camera.project(points), points[..., 2]), points)
    for k in range(4):
        single = Camera(camera.focal[k], camera.center[k])
        assert torch.allclose(single.project(points[k]), camera.project(points)[k])
    assert torch.autograd.gradcheck(
        lambda p, f, c: Camera(f, c).project(p),
        (points.requires_grad_(), camera.focal.requires_grad_(), camera.center.requires_grad_()),
    )


def test_one_camera_serves_a_batch() -> None:
    points = torch.rand(3, 5, 3) + torch.tensor([0.0, 0.0, 4.0])
    camera = Camera.nbf()
    assert float(camera.focal) == 5000.0
    assert camera.project(points).shape == (3, 5, 2)
    assert camera.pixels_depth(points).shape == (3, 5, 3)
    assert torch.allclose(Camera.nbf(256).project(points) * 2, camera.project(points))
    assert torch.allclose(Camera.nbf(256).scaled(2.0).project(points), camera.project(points))
    assert torch.allclose(camera.project(torch.tensor([[0.0, 0.0, 20.0]])), torch.tensor([[256.0, 256.0]]))
    assert float(Camera.default(3000, 4000).focal) == 5000.0


def test_crop_round_trip_and_camera() -> None:
    boxes = torch.tensor([[10.0, 20, 110, 320], [-50, -60, 90, 10]], dtype=torch.float64)
    crop = Crop.from_boxes(boxes, 256)
    assert torch.allclose(crop.size, torch.tensor([360.0, 168.0], dtype=torch.float64))
    points = random(2, 9, 2) * 300
    assert torch.allclose(crop.to_image(crop.to_crop(points)), points)
    corners = crop.to_crop(torch.stack([crop.center - crop.size[:, None] / 2, crop.center + crop.size[:, None] / 2], 1))
    assert torch.allclose(corners, torch.tensor([[0.0, 0], [256, 256]], dtype=torch.float64).expand(2, 2, 2))
    camera = Camera(torch.tensor(800.0, dtype=torch.float64), torch.tensor([320.0, 240.0], dtype=torch.float64))
    bodies = random(2, 9, 3) + torch.tensor([0.0, 0.0, 6.0], dtype=torch.float64)
    assert torch.allclose(crop.camera(camera).project(bodies), crop.to_crop(camera.project(bodies)))


def test_crop_camera_round_trip() -> None:
    crop = Crop(random(6, 2) * 200 + 400, random(6).abs() * 200 + 100, 224)
    camera = crop.camera(Camera(torch.tensor(1000.0, dtype=torch.float64), torch.tensor([512.0, 384.0]).double()))
    pelvis = random(6, 3) + torch.tensor([0.0, 0.0, 5.0], dtype=torch.float64)
    scale, offset = crop_camera_from_translation(pelvis, camera, 224)
    assert torch.allclose(translation_from_crop_camera(scale, offset, camera, 224), pelvis)
    # One metre at the pelvis, parallel to the picture, spans `scale` of the crop.
    ends = camera.project(torch.stack([pelvis, pelvis + torch.tensor([1.0, 0.0, 0.0])], dim=1))
    assert torch.allclose((ends[:, 1, 0] - ends[:, 0, 0]) / 224, scale)
    assert torch.autograd.gradcheck(
        lambda s, o: translation_from_crop_camera(s, o, camera, 224), (scale.requires_grad_(), offset.requires_grad_())
    )


def umeyama(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Alignment through scipy's Kabsch solver: the reference."""
    a, b = source - source.mean(0), target - target.mean(0)
    rotation = Rotation.align_vectors(b, a)[0].as_matrix()
    scale = (b * (a @ rotation.T)).sum() / (a**2).sum()
    return scale * a @ rotation.T + target.mean(0)


@pytest.mark.parametrize("seed", range(5))
def test_alignment_equals_scipy(seed: int) -> None:
    source, target = random(3, 20, 3, seed=seed), random(3, 20, 3, seed=50 + seed)
    target[2] = source[2] * torch.tensor([-1.0, 1.0, 1.0])  # a mirror image must not be matched by a reflection
    aligned = align(source, target)
    for k in range(3):
        assert np.allclose(aligned[k], umeyama(source[k].numpy(), target[k].numpy()), atol=1e-8)
    rotation = similarity(source, target)[1]
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(3, dtype=torch.float64))
    moved = 2.5 * source @ matrix_from_axis_angle(random(3, 3)).mT + 7.0
    assert torch.allclose(align(source, moved), moved)
    assert torch.autograd.gradcheck(align, (source[:1].requires_grad_(), target[:1]))
