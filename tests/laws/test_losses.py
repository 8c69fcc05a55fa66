"""Laws of the training residuals: gradients, zero at the truth, symmetry, agreement with plain twins."""

import math

import pytest
import torch
from torch.nn import functional as F

from nbf import losses
from nbf.body.parts import MERGE, merge_probabilities

FOURTEEN = losses.group_members(MERGE[14])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def logits_and_target(seed: int = 0, scale: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    g = generator(seed)
    logits = torch.randn(2, 25, 3, 4, generator=g, dtype=torch.float64) * scale
    return logits, torch.randn(2, 25, 3, 4, generator=g, dtype=torch.float64).softmax(1)


@pytest.mark.parametrize("k", [14, 12, 6, 3, 1])
def test_merged_cross_entropy_equals_its_plain_twin(k: int) -> None:
    logits, target = logits_and_target()
    plain = -(merge_probabilities(target, k) * merge_probabilities(logits.softmax(1), k).log()).sum(1)
    torch.testing.assert_close(losses.merged_part_cross_entropy(logits, target, losses.group_members(MERGE[k])), plain)


def test_merged_cross_entropy_with_single_classes_is_plain_cross_entropy() -> None:
    logits, target = logits_and_target()
    alone = losses.merged_part_cross_entropy(logits, target, losses.group_members(torch.arange(25)))
    torch.testing.assert_close(alone, losses.part_cross_entropy(logits, target))


def test_merged_cross_entropy_is_stable_and_blind_within_groups() -> None:
    logits, target = logits_and_target(scale=400.0)  # probabilities underflow, logsumexp does not
    logits = logits.float().requires_grad_()
    residual = losses.merged_part_cross_entropy(logits, target.float(), FOURTEEN)
    residual.sum().backward()
    assert residual.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    swapped = target.clone()
    swapped[:, 3:5] = target[:, 3:5].flip(1)  # front and back of an upper arm
    again = losses.merged_part_cross_entropy(logits, swapped.float(), FOURTEEN)
    torch.testing.assert_close(residual, again, rtol=1e-5, atol=1e-4)


def test_gradients() -> None:
    g = generator(3)
    double = {"generator": g, "dtype": torch.float64}
    logits, target = logits_and_target(1)
    check = lambda function, *inputs: torch.autograd.gradcheck(  # noqa: E731
        function, tuple(x.requires_grad_() for x in inputs)
    )
    small, small_target = logits[:1, :, :2, :2].clone(), target[:1, :, :2, :2]
    assert check(lambda x: losses.part_cross_entropy(x, small_target), small.clone())
    assert check(lambda x: losses.merged_part_cross_entropy(x, small_target, FOURTEEN), small.clone())
    points = torch.rand(2, 3, 2, **double) * 100 + 20
    maps = torch.randn(2, 3, 8, 8, **double)
    assert check(lambda x: losses.heatmap_cross_entropy(x, points / 5, 4), maps)
    assert check(lambda x: losses.points_2d(x, points + 3, 256.0), points.clone())
    heat = torch.rand(1, 1, 4, 4, **double)
    heat[0, 0, 1, 2] = 1.0
    assert check(lambda x: losses.center_focal(x, heat), torch.randn(1, 1, 4, 4, **double))
    low = torch.rand(5, 2, **double)
    boxes = torch.cat([low, low + 0.2 + torch.rand(5, 2, **double)], -1)
    assert check(lambda x: losses.box_giou(x, boxes + 0.05), boxes.clone())


def test_zero_at_the_truth_and_positive_elsewhere() -> None:
    g = generator(5)
    points = torch.rand(2, 6, 3, generator=g)
    roots = points[:, 0]
    assert losses.points_3d(points, points, roots, roots).max() == 0
    assert losses.points_2d(points[..., :2], points[..., :2], 256).max() == pytest.approx(0, abs=1e-7)
    boxes = torch.tensor([[0.1, 0.2, 0.5, 0.9]])
    assert losses.box_giou(boxes, boxes).item() == pytest.approx(0, abs=1e-6)
    keypoints = torch.tensor([[[20.0, 13.0]]])
    perfect = losses.gaussian_maps(keypoints, 16, 4, 1.5).log()
    assert losses.heatmap_cross_entropy(perfect, keypoints, 4).item() == pytest.approx(0, abs=1e-5)
    flat = losses.heatmap_cross_entropy(torch.zeros(1, 1, 16, 16), keypoints, 4).item()
    assert flat > 1


def test_joints_are_compared_relative_to_their_roots() -> None:
    points = torch.rand(2, 6, 3, generator=generator(6))
    moved = points + torch.tensor([0.3, -2.0, 5.0])
    distance = losses.points_3d(moved, points, moved[:, 0], points[:, 0])
    torch.testing.assert_close(distance, torch.zeros(2, 6), atol=1e-6, rtol=0)


def test_2d_residual_is_linear_far_out() -> None:
    near, far = (losses.points_2d(torch.tensor([[[x, 0.0]]]), torch.zeros(1, 1, 2), 256).item() for x in (100.0, 200.0))
    assert far - near == pytest.approx(100 / 256, rel=1e-3)


def test_giou_of_boxes_apart_still_pulls_them_together() -> None:
    true = torch.tensor([[0.0, 0.0, 0.1, 0.1]])
    further, nearer = (losses.box_giou(true + shift, true).item() for shift in (0.8, 0.4))
    assert 1 < nearer < further < 2


def test_center_focal_equals_cross_entropy_when_the_focus_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "FOCAL_ALPHA", 0.0)
    monkeypatch.setattr(losses, "FOCAL_BETA", 0.0)
    logits, heat = torch.randn(1, 1, 5, 5, generator=generator()), torch.zeros(1, 1, 5, 5)
    heat[0, 0, 2, 2] = 1.0
    plain = F.binary_cross_entropy_with_logits(logits, heat, reduction="none")
    torch.testing.assert_close(losses.center_focal(logits, heat), plain)


def test_mean_under_weights() -> None:
    residual = torch.tensor([[1.0, 3.0], [100.0, 100.0]])
    assert losses.weighted_mean(residual, torch.tensor([[1.0], [0.0]])).item() == 2.0
    assert losses.weighted_mean(residual, torch.zeros(2, 1)).item() == 0.0
    assert losses.weighted_mean(residual).item() == 51.0


def test_points_behind_the_camera_are_brought_before_it() -> None:
    points = torch.tensor([[[1.0, 2.0, -3.0], [1.0, 2.0, 4.0]]])
    assert losses.in_front(points)[0, :, 2].tolist() == pytest.approx([losses.NEAREST, 4.0])


def test_gaussian_is_one_at_its_center() -> None:
    maps = losses.gaussian_maps(torch.tensor([[[18.0, 10.0]]]), 16, 4, 1.5)
    assert maps[0, 0, 2, 4].item() == pytest.approx(1.0)
    assert maps[0, 0, 2, 5].item() == pytest.approx(math.exp(-0.5 / 1.5**2))
