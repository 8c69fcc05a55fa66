import torch

from nbf.evaluate import metrics
from nbf.evaluate.real import _scored, part_confusion
from nbf.geometry.crop import Crop


def test_true_parts_score_full_marks():
    labels = torch.zeros(80, 60, dtype=torch.uint8)
    labels[10:70, 5:30], labels[10:70, 30:55] = 13, 23
    labels[40:44] = 25
    crops = Crop(torch.tensor([[30.0, 40.0]]), torch.tensor([100.0]), 256)
    x = (torch.arange(64) * 4 + 2) / 256 * 100 - 20
    y = (torch.arange(64) * 4 + 2) / 256 * 100 - 10
    inside = ((x >= 0) & (x < 60))[None] & ((y >= 0) & (y < 80))[:, None]
    seen = labels[y.long().clamp(0, 79)[:, None], x.long().clamp(0, 59)[None]].long() * inside
    parts = torch.nn.functional.one_hot(seen.clamp(max=24), 25).movedim(-1, 0)[None].float()
    matrix = part_confusion(parts, labels, crops)
    assert metrics.mean_iou(matrix) == 1
    assert matrix.sum() == (inside & (seen < 25)).sum()


def test_keypoints_need_a_trusted_yardstick():
    keypoints = torch.ones(2, 17, 3)
    keypoints[0, 5, 2] = 0
    keypoints[1, 3, 2] = 0
    scored = _scored(keypoints)
    assert not scored[0].any()
    assert scored[1].sum() == 16
