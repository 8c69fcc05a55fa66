"""Mistakes made on purpose: maps stay probabilities, joints stay in the crop."""

import torch

from nbf.train.corrupt import CorruptionConfig, corrupt, noisy_joints, noisy_keypoints


def test_corrupted_maps_are_probabilities() -> None:
    torch.manual_seed(1)
    parts = (4 * torch.randn(8, 25, 64, 64)).softmax(1)
    extreme = CorruptionConfig(clean=0.0, drop=0.5, cut=1.0, confuse=0.5, noise=4.0, blur=1.0)
    for strength in (CorruptionConfig(clean=0.0), extreme):
        spoilt = corrupt(parts, strength)
        assert spoilt.min() >= 0
        torch.testing.assert_close(spoilt.sum(1), torch.ones(8, 64, 64), atol=1e-4, rtol=0)
        assert (spoilt - parts).abs().mean() > 1e-3
    half = (corrupt(parts, CorruptionConfig(clean=0.5)) == parts).flatten(1).all(1).sum()
    assert 0 < half < 8
    nothing = corrupt(parts, CorruptionConfig(clean=0.0, drop=0.0, cut=0.0, confuse=0.0, noise=0.0, blur=0.0))
    assert torch.equal(nothing.argmax(1), parts.argmax(1))  # a floor under all probabilities is left


def test_noisy_joints_stay_in_the_crop_and_say_how_sure_they_are() -> None:
    torch.manual_seed(0)
    places = torch.rand(4000, 24, 2) * 1.6 - 0.8
    noisy, spreads = noisy_joints(places)
    assert noisy.abs().max() <= 1
    error = (noisy - places).norm(dim=-1)
    sure = spreads < spreads.median()
    assert error[sure].mean() < 0.5 * error[~sure].mean()
    keypoints = noisy_keypoints(torch.cat([places[:, :17], torch.ones(4000, 17, 1)], -1))
    assert 0.45 < keypoints.flatten(1).any(1).float().mean() < 0.55
    assert keypoints[..., 2].max() <= 1
