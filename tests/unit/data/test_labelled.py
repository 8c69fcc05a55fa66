"""The protocol itself: orders of joints, cameras, things that are read when asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nbf.data.joint_orders import ORDERS, places
from nbf.data.labelled import JointLabels, LabelledPerson, LabelledPicture, LabelMap, Lazy, LensCamera
from nbf.errors import DataError


def joints(order: str, seed: int = 0) -> JointLabels:
    random = np.random.default_rng(seed)
    return JointLabels(
        order, random.uniform(0, 100, (len(ORDERS[order]), 2)), random.uniform(0.1, 1, len(ORDERS[order]))
    )


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_to_itself_changes_nothing(order: str) -> None:
    np.testing.assert_array_equal(joints(order).to(order).rows(), joints(order).rows())


@pytest.mark.parametrize("order", ["lsp14", "coco17", "mpii16", "human36m17", "body25"])
def test_there_and_back_keeps_what_both_name(order: str) -> None:
    start = joints("spin24")
    back = start.to(order).to("spin24")
    shared = [name in ORDERS[order] for name in ORDERS["spin24"]]
    np.testing.assert_array_equal(back.points[shared], start.points[shared])
    np.testing.assert_array_equal(back.weight, np.where(shared, start.weight, 0))


def test_published_converters_agree() -> None:
    # nkolot/GraphCMR, config.py: H36M's 17 -> LSP's 14 (the last is H36M's head), and SPIN's 14 of 24.
    assert places("human36m17", ORDERS["common14"]).tolist() == [6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10]
    assert places("human36m17", ORDERS["common17"]).tolist()[14:] == [0, 7, 9]
    assert places("spin24", ORDERS["common14"]).tolist() == [*range(13), 18]


def test_people_twice_in_an_order_count_once() -> None:
    """SPIN's 49 joints list OpenPose's, then those that people labelled."""
    assert places("spin49", ORDERS["lsp14"]).tolist() == list(range(25, 39))


def test_the_wrong_number_of_joints_is_refused() -> None:
    with pytest.raises(DataError, match="14 of lsp14"):
        JointLabels("lsp14", np.zeros((13, 2)), np.zeros(13))


def test_without_distortion_a_lens_is_our_camera() -> None:
    lens = LensCamera(np.array([500.0, 500.0]), np.array([320.0, 240.0]))
    points = np.random.default_rng(0).uniform(-1, 1, (20, 3)) + np.array([0, 0, 4])
    ours = lens.pinhole().project(torch.from_numpy(points).float()).numpy()
    np.testing.assert_allclose(lens.project(points), ours, atol=1e-3)


def test_distortion_is_opencvs() -> None:
    """A value worked out by hand from OpenCV's formula at x = 0.1, y = -0.2."""
    lens = LensCamera(np.array([1000.0, 900.0]), np.zeros(2), np.array([-0.2, 0.25, -0.001, 0.002, 0.05]))
    x, y, r2 = 0.1, -0.2, 0.05
    radial = 1 - 0.2 * r2 + 0.25 * r2**2 + 0.05 * r2**3
    expected = [
        1000 * (x * radial + 2 * -0.001 * x * y + 0.002 * (r2 + 2 * x * x)),
        900 * (y * radial - 0.001 * (r2 + 2 * y * y) + 2 * 0.002 * x * y),
    ]
    np.testing.assert_allclose(lens.project(np.array([0.2, -0.4, 2.0])), expected)


def test_lazy_makes_what_is_asked_for() -> None:
    made: list[int] = []
    lazy = Lazy(10, lambda i: made.append(i) or i)
    part = lazy[4:8]
    assert made == []
    assert (len(part), part[-1], part[0]) == (4, 7, 4)
    assert made == [7, 4]
    assert list(lazy[::3]) == [0, 3, 6, 9]
    with pytest.raises(IndexError):
        lazy[10]


def test_pictures_name_what_they_lack(tmp_path: Path) -> None:
    labels = np.zeros((4, 4), np.uint8)
    picture = LabelledPicture("a", tmp_path / "a.png", (LabelledPerson(),), maps=(LabelMap("mask", lambda: labels),))
    assert picture.labels("mask") is labels
    assert not picture.people[0].keypoints().any()
    with pytest.raises(DataError, match="parts24"):
        picture.labels()
    with pytest.raises(DataError, match=r"a\.png"):
        picture.pixels()
