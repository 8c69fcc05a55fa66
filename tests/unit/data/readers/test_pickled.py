"""Pickles of data sets as plain values, and nothing executed."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from nbf.data.readers.pickled import read_pickled
from nbf.errors import DataError

VALUES = {
    "sequence": "downtown",
    "betas": [np.arange(10.0), np.ones(3, np.float32)],
    "poses2d": (np.zeros((2, 3, 18)),),
    "nested": {"a": 1, "b": None, "c": [True, 2.5, -3]},
    "scalar": np.float64(5000.0),
    "count": np.int64(7),
}


def same(got: object, true: object) -> bool:
    if isinstance(true, dict):
        return isinstance(got, dict) and got.keys() == true.keys() and all(same(got[key], true[key]) for key in true)
    if isinstance(true, list | tuple):
        return isinstance(got, list) and len(got) == len(true) and all(map(same, got, true))
    if isinstance(true, np.ndarray):
        return isinstance(got, np.ndarray) and got.dtype == true.dtype and np.array_equal(got, true)
    return bool(got == true)


@pytest.mark.parametrize("protocol", range(6))
def test_all_protocols_give_the_values_back(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(VALUES, protocol))
    assert same(read_pickled(path), VALUES)


class Evil:
    def __reduce__(self):
        return os.system, ("echo ran",)


def laughs() -> list:
    value: list = [0]
    for _ in range(31):
        value = [value] * 4
    return value


def circle() -> list:
    value: list = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [Evil(), {"a": Evil()}, laughs(), circle(), {1, 2}, np.array(["a", 1], object)])
def test_anything_else_is_refused(tmp_path: Path, value: object) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(value, 2))
    with pytest.raises(DataError, match=r"a\.pkl"):
        read_pickled(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"b\.pkl"):
        read_pickled(tmp_path / "b.pkl")
