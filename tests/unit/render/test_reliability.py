"""Reliability: bins partition the joints, calibrated errors lie on the diagonal, and the plot shows what was asked."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbf.errors import InputError
from nbf.render import reliability, reliability_plot


def _errors(count, seed, levels=None):
    generator = torch.Generator().manual_seed(seed)
    predicted = 150 * torch.rand(count, generator=generator)
    if levels:
        predicted = (predicted * levels / 150).round() * 150 / levels
    return predicted, predicted * 2 * torch.rand(count, generator=generator)


@given(count=st.integers(0, 200), bins=st.integers(1, 20), seed=st.integers(0, 99))
def test_bins_partition_the_joints(count, bins, seed):
    predicted, actual = _errors(count, seed)
    found = reliability(predicted, actual, bins)
    counts = [size for _, _, size in found]
    assert len(found) == min(bins, count)
    assert sum(counts) == count
    assert not counts or max(counts) - min(counts) <= 1
    assert all(first[0] <= second[0] for first, second in itertools.pairwise(found))
    for column, values in enumerate((predicted, actual)):
        total = sum(entry[column] * entry[2] for entry in found)
        assert total == pytest.approx(float(values.double().sum()))


def test_exact_predictions_lie_on_the_diagonal():
    predicted, _ = _errors(101, 0)
    for said, was, _ in reliability(predicted, predicted):
        assert was == pytest.approx(said)


def test_calibrated_predictions_lie_on_the_diagonal():
    # Errors uniform from 0 to twice the predicted one: right on average, wrong each time.
    for said, was, count in reliability(*_errors(50_000, 1)):
        # Uniform on 0..2s has a standard deviation of s / sqrt(3); four standard errors of the mean.
        assert was == pytest.approx(said, abs=4 * (said + 15) / (3 * count) ** 0.5)


@given(seed=st.integers(0, 99), levels=st.sampled_from([None, 1, 4]))
def test_order_does_not_matter(seed, levels):
    predicted, actual = _errors(57, seed, levels)
    order = torch.randperm(57, generator=torch.Generator().manual_seed(seed + 1))
    np.testing.assert_allclose(reliability(predicted, actual), reliability(predicted[order], actual[order]))


def test_equal_predictions_share_their_mean_error():
    actual = torch.tensor([0.0, 1.0, 2.0, 9.0])
    assert reliability(torch.full((4,), 5.0), actual, bins=2) == [(5.0, 3.0, 2), (5.0, 3.0, 2)]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.0])
def test_unusable_errors_are_refused(wrong):
    good, bad = torch.tensor([1.0, 2.0]), torch.tensor([1.0, wrong])
    with pytest.raises(InputError, match="predicted: expected finite errors of 0 or more, got 1 of 2"):
        reliability(bad, good)
    with pytest.raises(InputError, match="actual"):
        reliability_plot(good, bad, "title")
    with pytest.raises(InputError, match="bins: expected at least 1, got 0"):
        reliability(good, good, bins=0)


def _blue(picture):
    """Rows and columns of the pixels that are data, not paper, ink or grid."""
    pixels = np.asarray(picture).astype(int)
    return np.nonzero(pixels[..., 2] - pixels[..., 0] > 60)


def test_plot_shows_calibration():
    predicted, _ = _errors(500, 2)
    exact = reliability_plot(predicted, predicted, "exact")
    assert exact.mode == "RGB"
    rows, columns = _blue(exact)
    # The axes have one scale: on the diagonal, x and y grow alike.
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)
    assert np.corrcoef(rows, columns)[0, 1] < -0.99
    sure = reliability_plot(predicted / 2, predicted, "too sure")
    rows, columns = _blue(sure)
    assert np.ptp(rows) > 1.8 * np.ptp(columns)


@pytest.mark.parametrize("values", [[3.0], [0.0, 0.0, 0.0], [1e-4, 2e-4], [2e4, 1e5]])
def test_plot_of_odd_data(values):
    errors = torch.tensor(values)
    assert len(_blue(reliability_plot(errors, errors, "odd"))[0])


def test_plot_needs_joints():
    with pytest.raises(InputError, match="at least one joint, got none"):
        reliability_plot(torch.zeros(0), torch.zeros(0), "nothing")
