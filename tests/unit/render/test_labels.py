"""Labels over pictures: they lie where they say, sides have their colours, every order of joints is one skeleton."""

import numpy as np
import pytest
from PIL import Image

from nbf.body.parts import COLORS
from nbf.data.joint_orders import ORDERS
from nbf.render import bones, draw_box, draw_joints, over_labels


def black() -> Image.Image:
    return Image.new("RGB", (100, 80))


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_hangs_together(order: str) -> None:
    """All joints can be reached from a hip, but for those of a face without a neck, and second necks and pelvises."""
    names = set(ORDERS[order])
    pairs = bones(list(names))
    assert all({start, end} <= names for start, end in pairs)
    reached, more = set(), {"left_hip"}
    while more:
        reached |= more
        more = {end for pair in pairs for end in pair if set(pair) & reached} - reached
    alone = {name for name in names - reached if name.split("_")[-1] in ("nose", "eye", "ear", "openpose")}
    assert reached | alone == names
    assert not alone or order in ("coco17", "spin24", "spin49", "hmr2_44")


@pytest.mark.parametrize("order", ORDERS)
def test_a_mirror_image_has_the_same_bones(order: str) -> None:
    def mirrored(name: str) -> str:
        side, _, rest = name.partition("_")
        return {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, name)

    pairs = {frozenset(pair) for pair in bones(ORDERS[order])}
    assert {frozenset(map(mirrored, pair)) for pair in pairs} == pairs


def test_joints_lie_where_they_are_and_have_their_sides_colours() -> None:
    picture = black()
    points = np.array([[20.0, 30], [20, 60], [80, 30], [80, 60], [50, 70]])
    names = ["left_elbow", "left_wrist", "right_elbow", "right_wrist", "left_knee"]
    draw_joints(picture, names, points, np.array([1.0, 1, 1, 1, 0]))
    drawn = np.asarray(picture).astype(int)
    blue, red = drawn[45, 20], drawn[45, 80]
    assert blue[2] > blue[0] + 100
    assert red[0] > red[2] + 100
    assert not drawn[65:75, 45:55].any(), "a joint of weight 0 is not drawn"
    assert not drawn[:20].any()


def test_a_name_twice_counts_once_the_last_that_is_known() -> None:
    picture = black()
    points = np.array([[20.0, 20], [70, 60]])
    draw_joints(picture, ["left_knee", "left_knee"], points, np.array([1.0, 0]))
    assert np.asarray(picture)[20, 20].any()
    assert not np.asarray(picture)[60, 70].any()


def test_points_from_nowhere_harm_nothing() -> None:
    picture = black()
    points = np.array([[np.nan, 1], [np.inf, 1], [1e30, -1e30]])
    draw_joints(picture, ["left_hip", "left_knee", "left_ankle"], points, np.ones(3))
    assert not np.asarray(picture).any()


def test_a_box_is_drawn_along_its_edge() -> None:
    picture = black()
    draw_box(picture, np.array([10.0, 20, 60, 70]))
    drawn = np.asarray(picture).max(2) > 0
    assert drawn[20, 10:60].all()
    assert drawn[20:70, 10].all()
    assert not drawn[30:60, 20:50].any()
    draw_box(picture, np.array([10.0, 20, 60, 70]), ignore=True)
    assert np.asarray(picture)[45, 35].any(), "crossed out"


def test_label_maps_have_the_colours_of_parts() -> None:
    labels = np.zeros((8, 10), np.uint8)
    labels[:4, :5], labels[4:, 5:] = 13, 200
    drawn = np.asarray(over_labels(black(), labels, {200: (250, 0, 250)}))
    assert drawn.shape == (80, 100, 3)
    np.testing.assert_allclose(drawn[20, 20], 0.8 * COLORS[13].numpy(), atol=1)
    np.testing.assert_allclose(drawn[60, 80], [200, 0, 200], atol=1)
    assert not drawn[20, 80].any()
