"""COCO's polygons and runs: areas, centres of pixels, and runs that are packed here and unpacked there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy import ndarray

from nbf.data.readers.coco_regions import read_region
from nbf.errors import DataError


def runs(mask: ndarray) -> list[int]:
    flat = mask.T.ravel()
    ends = [*np.flatnonzero(np.diff(flat)) + 1, len(flat)]
    counts = np.diff([0, *ends]).tolist()
    return [0, *counts] if flat[0] else counts


def compressed(counts: list[int]) -> str:
    """As cocodataset/cocoapi says: five bits a letter, differences to the last but one from the fourth run on."""
    text = ""
    for place, count in enumerate(counts):
        value, more = count - (counts[place - 2] if place > 2 else 0), True
        while more:
            piece = value & 31
            value >>= 5
            more = value != (-1 if piece & 16 else 0)
            text += chr(48 + piece + (32 if more else 0))
    return text


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_runs_give_the_mask_back(seed: int, height: int, width: int) -> None:
    random = np.random.default_rng(seed)
    mask = random.random((height, width)) < random.random()
    size = [height, width]
    for counts in (runs(mask), compressed(runs(mask))):
        np.testing.assert_array_equal(read_region({"counts": counts, "size": size}, height, width, "a"), mask)


def test_long_runs_have_many_letters() -> None:
    mask = np.zeros((700, 900), bool)
    mask[3:600, 400:] = True
    mask[1, 1] = True
    counts = compressed(runs(mask))
    assert max(map(ord, counts)) >= 48 + 32
    np.testing.assert_array_equal(read_region({"counts": counts, "size": [700, 900]}, 700, 900, "a"), mask)


@pytest.mark.parametrize(("low", "high", "first", "last"), [(2, 5, 2, 4), (2.4, 5.6, 2, 5), (2.6, 5.4, 3, 4)])
def test_a_pixel_is_inside_with_its_centre(low: float, high: float, first: int, last: int) -> None:
    inside = read_region([[low, low, high, low, high, high, low, high]], 9, 9, "a")
    assert np.flatnonzero(inside.any(axis=0)).tolist() == [*range(first, last + 1)]
    assert np.flatnonzero(inside.any(axis=1)).tolist() == [*range(first, last + 1)]


@given(st.integers(0, 2**32 - 1))
def test_polygons_are_filled_as_by_counting_each_pixels_crossings(seed: int) -> None:
    corners = np.random.default_rng(seed).uniform(-5, 25, (7, 2))
    inside = read_region([corners.ravel().tolist()], 20, 16, "a")
    y, x = np.mgrid[:20, :16] + 0.5
    crossings = np.zeros((20, 16), int)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0)):
        crossings += ((y0 > y) != (y1 > y)) & (x0 + (y - y0) / (y1 - y0) * (x1 - x0) < x)
    np.testing.assert_array_equal(inside, crossings % 2 == 1)


def test_polygons_are_joined() -> None:
    square = [0, 0, 4, 0, 4, 4, 0, 4]
    assert read_region([square, [x + 2 for x in square], []], 8, 8, "a").sum() == 16 + 16 - 4


@pytest.mark.parametrize(
    "value",
    [
        *(None, 5, {}, [[1, 2, 3]], [["a"]], [5], {"counts": [1, 3]}, {"counts": [4], "size": [2, 3]}),
        *(
            {"counts": counts, "size": [2, 2]}
            for counts in ([5], [1.5, 2.5], [-1, 5], [[4]], {}, 4, "~", "o", "4é", "oooooooooo")
        ),
    ],
)
def test_what_is_no_region_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="here"):
        read_region(value, 2, 2, "here")
