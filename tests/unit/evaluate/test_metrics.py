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
