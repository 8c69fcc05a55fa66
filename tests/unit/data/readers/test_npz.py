"""NPZ files of data sets."""

from pathlib import Path

import numpy as np
import pytest
from spoiling import refuses_or_reads

from nbf.data.readers.npz import Array, read_npz, rows_by_name
from nbf.errors import DataError

WANTED = {"names": Array(("n",), text=True), "points": Array(("n", 2)), "rate": Array((), optional=True)}


def write(path: Path, **arrays: object) -> Path:
    given = {"names": np.array(["a", "b", "a"]), "points": np.arange(6.0).reshape(3, 2)} | arrays
    np.savez(path, **given)  # type: ignore[arg-type]
    return path


def test_arrays_come_as_they_are(tmp_path: Path) -> None:
    arrays = read_npz(write(tmp_path / "a.npz", other=np.zeros(9)), WANTED)
    assert set(arrays) == {"names", "points"}
    np.testing.assert_array_equal(arrays["points"], np.arange(6.0).reshape(3, 2))
    assert rows_by_name(arrays["names"]) == [("a", [0, 2]), ("b", [1])]


def test_text_of_python_2_is_text(tmp_path: Path) -> None:
    names = np.array([b"a", b"\xe9", b"c"])
    assert read_npz(write(tmp_path / "a.npz", names=names), WANTED)["names"].tolist() == ["a", "é", "c"]


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("points", np.zeros((2, 2))),
        ("points", np.zeros((3, 3))),
        ("points", np.zeros(3)),
        ("points", np.full((3, 2), np.nan)),
        ("points", np.array([["a", "b"]] * 3)),
        ("points", np.zeros((3, 2), complex)),
        ("names", np.zeros(3)),
        ("names", np.array(["a", 1, None], object)),
        ("rate", np.zeros(2)),
    ],
)
def test_another_kind_or_shape_is_refused(tmp_path: Path, name: str, array: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"a\.npz.*"):
        read_npz(write(tmp_path / "a.npz", **{name: array}), WANTED)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", names=np.array(["a"]))
    with pytest.raises(DataError, match="'points'"):
        read_npz(tmp_path / "a.npz", WANTED)


def test_a_spoilt_file_is_one_clean_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz")
    refuses_or_reads(path, lambda: read_npz(path, WANTED), 200)
