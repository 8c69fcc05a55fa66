"""NPZ files of data sets."""

from pathlib import Path

import numpy as np
import pytest
from mutated import bomb
from spoiling import refuses_or_reads

from nbf.data.readers.npz import read_npz, rows_by_name
from nbf.errors import DataError
from nbf.reading import Array

WANTED = {
    "names": Array(np.str_, ("n",)),
    "points": Array(np.float32, ("n", 2)),
    "rate": Array(np.float64, (), optional=True),
}


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
    names = np.array([b"a", b"\xe9\xe8", b""])
    assert read_npz(write(tmp_path / "a.npz", names=names), WANTED)["names"].tolist() == ["a", "éè", ""]
    with pytest.raises(DataError, match="expected numbers of shape"):
        read_npz(write(tmp_path / "a.npz", rate=np.array(b"7")), WANTED)


def test_what_is_yes_or_no_counts_as_a_number(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", points=np.eye(3, 2) > 0)
    np.testing.assert_array_equal(read_npz(path, WANTED)["points"], np.eye(3, 2))


def test_optional_arrays_are_checked_where_they_are(tmp_path: Path) -> None:
    assert read_npz(write(tmp_path / "a.npz", rate=np.array(59.94)), WANTED)["rate"] == 59.94


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("points", np.zeros((2, 2))),
        ("points", np.zeros((3, 3))),
        ("points", np.zeros(3)),
        ("points", np.full((3, 2), np.nan)),
        ("points", np.array([["a", "b"]] * 3)),
        ("points", np.zeros((3, 2), complex)),
        ("points", np.full((3, 2), 1e300)),
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
    with pytest.raises(DataError, match="without points"):
        read_npz(tmp_path / "a.npz", WANTED)


def test_a_small_file_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", names=np.array(["a"]))
    (tmp_path / "b.npz").write_bytes(bomb("points.npy", np.float32))
    with pytest.raises(DataError, match="unpacks to 2726297728 bytes"):
        read_npz(tmp_path / "b.npz", {"points": WANTED["points"]})


def test_files_as_large_as_the_largest_of_data_sets_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SPIN's labels of Human3.6M: 312,188 people with some 430 numbers each; the size is what the archive says."""
    most = []
    monkeypatch.setattr("nbf.data.readers.npz.read", lambda path, wanted, limit: most.append(limit) or {})
    read_npz(tmp_path / "a.npz", WANTED)
    assert most[0] > 2 * 312_188 * 430 * 8


def test_a_spoilt_file_is_one_clean_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz")
    refuses_or_reads(path, lambda: read_npz(path, WANTED), 200)
