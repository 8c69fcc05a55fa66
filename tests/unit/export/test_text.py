"""Numbers as text, all at once: to the byte what Python's own formatting writes."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbf.export.text import decimals, integers, lines

FLOATS = st.lists(st.floats(width=32) | st.floats(-2, 2, width=32), min_size=1, max_size=40)
# Halves of the last decimal that float32 has exactly, zeros, and the borders of what is done by arithmetic.
TIES = [0.0000005 * 2**k for k in range(3)] + [k / 2**7 for k in range(-129, 129)] + [0.0, -0.0, -1e-9, 9.9999995]
BORDERS = [2.0**39, -(2.0**39), 1e12, 2.0**40, 3.4e38, 1e-45, 4294.9673, 999999.94]


def text(columns: np.ndarray) -> list[str]:
    return lines(columns).decode().splitlines()


@given(FLOATS)
@example(TIES)
@example(BORDERS)
@example([float("nan"), float("inf"), -float("inf"), 1.0])
def test_decimals_are_those_of_python(numbers):
    values = np.array(numbers, np.float32)
    assert text(decimals(values)) == [f"{value:.6f}" for value in values.tolist()]
    small = values[np.abs(values) < 1e6]
    if len(small):
        assert text(decimals(small)) == [f"{value:.6f}" for value in small.tolist()]
    assert text(decimals(values.astype(np.float64) / 3)) == [f"{value / 3:.6f}" for value in values.tolist()]


def test_decimals_of_many_floats():
    values = np.random.default_rng(0).integers(0, 2**32, 20_000, np.uint32).view(np.float32)
    values = values[np.abs(values) < 1e5]
    assert text(decimals(values)) == [f"{value:.6f}" for value in values.tolist()]


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=40))
@example([0])
@example([0, 9, 10, 99, 100])
def test_integers_are_those_of_python(numbers):
    assert text(integers(np.array(numbers))) == [str(number) for number in numbers]


@pytest.mark.parametrize("size", [1, 3])
def test_lines_are_columns_side_by_side(size):
    numbers = np.arange(size) * 7
    halves = np.arange(size, dtype=np.float32) - 0.5
    expected = "".join(f"v {a}//{b:.6f}!\n" for a, b in zip(numbers, halves, strict=True))
    assert lines(b"v ", integers(numbers), b"//", decimals(halves), b"!") == expected.encode()
