"""Each metric against a hand-made case with a known answer, or against scipy."""

import math

import numpy as np
import pytest
import scipy.spatial
import torch
from scipy.spatial.transform import Rotation

from nbf.evaluate import metrics


def test_mpjpe_ignores_where_the_person_stands():
    true = torch.randn(2, 24, 3)
    predicted = true + torch.tensor([1.0, 2.0, 3.0])
    predicted[:, 5] += torch.tensor([0.0, 0.03, 0.04])
    errors = metrics.mpjpe(predicted, true, predicted[:, 0], true[:, 0])
    expected = torch.zeros(2, 24)
    expected[:, 5] = 50
    torch.testing.assert_close(errors, expected, atol=1e-3, rtol=0)


def test_pa_mpjpe_ignores_similarities():
    true = torch.randn(3, 14, 3, dtype=torch.float64)
    turn = torch.from_numpy(Rotation.from_rotvec([[0.3, 1, 2], [2, 0, 1], [0, -1, 0.5]]).as_matrix())
    predicted = 1.7 * true @ turn.mT + torch.randn(3, 1, 3, dtype=torch.float64)
    assert metrics.pa_mpjpe(predicted, true).max() < 1e-6


def test_pa_mpjpe_agrees_with_scipy():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(24, 3))
    predicted = true + 0.2 * rng.normal(size=(24, 3))
    # scipy scales both sets to unit norm first: undo that to compare lengths.
    ours = metrics.pa_mpjpe(torch.from_numpy(predicted), torch.from_numpy(true))
    standard, aligned, _ = scipy.spatial.procrustes(true, predicted)
    norm = np.linalg.norm(true - true.mean(0))
    theirs = np.linalg.norm(standard - aligned, axis=1) * norm * 1000
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-6)


def test_pa_mpjpe_does_not_mirror():
    true = torch.randn(1, 24, 3, dtype=torch.float64)
    mirrored = true * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    assert metrics.pa_mpjpe(mirrored, true).mean() > 100


def test_shape_error_counts_size_but_not_place():
    rng = np.random.default_rng(1)
    true = torch.from_numpy(rng.normal(size=(5, 3)))
    assert metrics.shape_error(true + 3, true).abs().max() < 1e-9
    # Twice the size: each vertex is off by its own distance from the centroid.
    expected = 1000 * np.linalg.norm(true.numpy() - true.numpy().mean(0), axis=1)
    np.testing.assert_allclose(metrics.shape_error(2 * true, true).numpy(), expected)


def test_vertices_align_like_joints():
    """PA-PVE: a body that is only turned, moved and scaled has none; scipy agrees on one that is bent."""
    rng = np.random.default_rng(2)
    true = rng.normal(size=(500, 3)) * [0.2, 0.6, 0.1]
    bent = true.copy()
    bent[:50] += 0.1
    standard, aligned, _ = scipy.spatial.procrustes(true, bent)
    theirs = 1000 * np.linalg.norm(standard - aligned, axis=1) * np.linalg.norm(true - true.mean(0))
    ours = metrics.pa_mpjpe(torch.from_numpy(bent).float(), torch.from_numpy(true).float())
    np.testing.assert_allclose(ours.numpy(), theirs, atol=0.01)


def test_rotations_agree_with_scipy():
    a, b = (Rotation.random(200, rng=np.random.default_rng(seed)) for seed in (0, 1))
    angle = (a * b.inv()).magnitude()
    first, second = (torch.from_numpy(r.as_matrix()) for r in (a, b))
    np.testing.assert_allclose(metrics.rotation_error(first, second).numpy(), np.degrees(angle), atol=1e-6)
    np.testing.assert_allclose(metrics.quaternion_distance(first, second).numpy(), angle, atol=1e-9)
    # As Huynh defines it, from quaternions whose sign means nothing.
    inner = np.abs((a.as_quat() * b.as_quat()).sum(1))
    np.testing.assert_allclose(metrics.quaternion_distance(first, second).numpy(), 2 * np.arccos(inner), atol=1e-6)


def test_quaternion_distance_of_random_rotations_has_the_known_mean():
    """pi/2 + 2/pi for uniform rotations: the number by which the paper's 1.97 is read."""
    turns = torch.from_numpy(Rotation.random(20000, rng=np.random.default_rng(3)).as_matrix())
    mean = metrics.quaternion_distance(turns, torch.eye(3, dtype=torch.float64).expand_as(turns)).mean()
    assert mean.item() == pytest.approx(math.pi / 2 + 2 / math.pi, abs=0.02)


@pytest.mark.parametrize("angle", [0.0, 1e-4, 1.0, math.pi - 1e-4, math.pi])
def test_quaternion_distance_is_exact_at_both_ends(angle: float):
    turn = torch.from_numpy(Rotation.from_rotvec([0, 0, angle]).as_matrix())
    found = metrics.quaternion_distance(turn, torch.eye(3, dtype=torch.float64))
    assert found.item() == pytest.approx(angle, abs=1e-8)


def test_rotation_error_of_a_known_turn():
    turn = torch.from_numpy(Rotation.from_euler("y", 30, degrees=True).as_matrix())
    assert metrics.rotation_error(turn, torch.eye(3, dtype=torch.float64)).item() == pytest.approx(30, abs=1e-4)


def test_height_error():
    tall, short = torch.zeros(1, 3, 3), torch.zeros(1, 3, 3)
    tall[0, 0, 1], short[0, 0, 1] = 1.8, 1.65
    assert metrics.height_error(tall, short).item() == pytest.approx(15, abs=1e-3)


def test_pck_counts_the_rim():
    true = torch.zeros(1, 3, 2)
    predicted = torch.tensor([[[3.0, 4.0], [5.1, 0.0], [0.0, 0.0]]])
    assert metrics.pck(predicted, true, torch.tensor([10.0]), 0.5).tolist() == [[True, False, True]]


def test_yardsticks():
    keypoints = torch.zeros(1, 17, 2)
    keypoints[0, 5] = torch.tensor([3.0, 4.0])
    assert metrics.torso_length(keypoints).item() == 5
    joints = torch.zeros(1, 14, 3)
    joints[0, 12] = torch.tensor([0.0, 0.0, 2.0])
    joints[0, 13] = torch.tensor([0.0, -0.25, 2.0])
    assert metrics.head_length(joints, torch.tensor([400.0])).item() == pytest.approx(50)


def test_iou_by_hand():
    true = torch.tensor([0, 0, 1, 1, 2, 2])
    predicted = torch.tensor([0, 1, 1, 1, 0, 2])
    counted = torch.tensor([True, True, True, True, True, False])
    matrix = metrics.confusion(predicted, true, 4, counted)
    assert matrix.sum() == 5
    values = metrics.iou(matrix).tolist()
    assert values[:3] == pytest.approx([1 / 3, 2 / 3, 0])
    assert math.isnan(values[3])
    assert metrics.mean_iou(matrix) == pytest.approx(1 / 3)
    # Class 0: one hit, one missed. Class 1: two hits, one too many. Class 2: missed.
    assert metrics.f1(matrix).tolist()[:3] == pytest.approx([1 / 2, 4 / 5, 0])
    assert metrics.mean_f1(matrix) == pytest.approx(2 / 5)


def test_f1_follows_from_iou():
    rng = torch.Generator().manual_seed(0)
    matrix = torch.randint(0, 50, (6, 6), generator=rng)
    overlap = metrics.iou(matrix)
    torch.testing.assert_close(metrics.f1(matrix), 2 * overlap / (1 + overlap))
