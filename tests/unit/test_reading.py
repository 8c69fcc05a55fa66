"""One reader of NPZ archives and one of JSON: what is asked for comes out, and no file can ask for anything else."""

import json
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from mutated import bomb

from nbf.reading import Array, Damaged, fitted, read_any_npz, read_json, read_json_lines, read_npy, read_npz, to_numbers

ANY = {"a": Array(np.float32, ("n", 2))}


@given(
    arrays_of.arrays(
        st.sampled_from(["f2", "<f4", ">f8", "i1", "<i8", ">u2", "?", "<U5", "S5"]), arrays_of.array_shapes(min_side=0)
    )
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(save: Any, tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    if array.dtype.kind == "U" and array.size:
        array = np.char.replace(array, "\ud800", "")
    text = np.char.decode(array, "latin1") if array.dtype.kind == "S" else array
    # By columns, too.
    save(path, a=array, b=np.asfortranarray(array))
    for read in read_any_npz(path).values():
        np.testing.assert_array_equal(read, text)
        assert read.dtype == text.dtype.newbyteorder("=") or array.dtype.kind == "S"
        assert read.flags.writeable


def test_only_what_is_wanted_is_looked_at(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.ones((3, 2), int), other=np.array([{}], object))
    read = read_npz(tmp_path / "a.npz", ANY)
    assert list(read) == ["a"]
    assert read["a"].dtype == np.float32


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones(2), r"expected numbers of shape \(n, 2\) in a, got float64 of shape \(2,\)"),
        (np.array([["a", "b"]]), "expected numbers of shape"),
        (np.ones((1, 2), complex), "no header of an array of numbers"),
        (np.array([[{}, {}]], object), "expected numbers in a"),
        (np.array([[1, np.nan]]), "finite numbers in a, got nan"),
        (np.array([[1, 1e300]]), r"expected a from -3.40282e\+38 to 3.40282e\+38, got 1 to 1e\+300"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray, words: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=array)
    with pytest.raises(Damaged, match=words):
        read_npz(tmp_path / "a.npz", ANY)


def test_kinds_and_ranges_are_kept() -> None:
    ok = fitted({"a": np.array([0, 255])}, {"a": Array(np.uint8, ("n",))})["a"]
    assert ok.dtype == np.uint8
    nan = fitted({"a": np.array([np.nan, 1])}, {"a": Array(np.float32, ("n",), low=0, nan=True)})["a"]
    assert np.isnan(nan[0])
    for value, want in (
        (256, Array(np.uint8, ("n",))),
        (-1, Array(np.uint8, ("n",))),
        (1.5, Array(np.int64, ("n",))),
        (1, Array(bool, ("n",))),
        (True, Array(np.int64, ("n",))),
        (np.uint64(2**63), Array(np.int64, ("n",))),
        (np.inf, Array(np.float32, ("n",), nan=True)),
        (0.5, Array(np.float32, ("n",), high=0.4)),
    ):
        with pytest.raises(Damaged):
            fitted({"a": np.array([value])}, {"a": want})


def test_arrays_of_a_file_agree_in_size() -> None:
    with pytest.raises(Damaged, match="in b"):
        fitted({"a": np.zeros(2), "b": np.zeros(3)}, {name: Array(np.float32, ("n",)) for name in "ab"})


def test_a_small_file_does_not_unpack_to_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(bomb("a.npy", np.float32))
    assert path.stat().st_size < 4 << 20
    with pytest.raises(Damaged, match=r"unpacks to 27262\d* bytes"):
        read_npz(path, ANY)


def test_a_bomb_that_says_it_is_small_gives_no_more_than_it_says(tmp_path: Path) -> None:
    path, raw = tmp_path / "a.npz", bomb("a.npy", np.float32, 64 << 20)
    size = (64 << 20) + 128
    path.write_bytes(raw.replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    with pytest.raises(Damaged):
        read_npz(path, ANY)


def test_a_limit_is_kept_before_anything_is_unpacked(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.zeros((1000, 2)), b=np.zeros(10**6))
    assert len(read_npz(tmp_path / "a.npz", ANY, 17_000)["a"]) == 1000
    with pytest.raises(Damaged, match="the most that is read are 15000"):
        read_npz(tmp_path / "a.npz", ANY, 15_000)


def test_text_is_bounded(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros((1 << 23) + 1, "S1"))
    with pytest.raises(Damaged, match=r"8388608 texts .* in a, got 8388609 of 1 each"):
        read_npz(tmp_path / "a.npz", {"a": Array(np.str_, ("n",))})


def test_an_array_in_a_file_of_its_own(tmp_path: Path) -> None:
    path, want = tmp_path / "a.npy", Array(np.float32, ("n", 2))
    np.save(path, np.arange(6).reshape(3, 2))
    read = read_npy(path, want)
    np.testing.assert_array_equal(read, np.arange(6).reshape(3, 2))
    assert read.dtype == np.float32
    whole = path.read_bytes()
    for raw in (b"", whole[:-1], whole + b"0", whole.replace(b"(3, 2)", b"(2, 3)"), whole.replace(b"<i8", b"|O8")):
        path.write_bytes(raw)
        with pytest.raises(Damaged):
            read_npy(path, want)
    with path.open("wb") as file:
        file.truncate(1 << 33)
    with pytest.raises(Damaged, match="8589934592 bytes"):
        read_npy(path, want)


def test_a_header_is_not_believed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.zeros((1, 2)))
    whole = (tmp_path / "a.npz").read_bytes()
    for lie in (b"(9999", b"(1, -", b"((((("):
        with zipfile.ZipFile(tmp_path / "lie.npz", "w") as file, zipfile.ZipFile(tmp_path / "a.npz") as old:
            file.writestr("a.npy", old.read("a.npy").replace(b"(1, 2", lie))
        with pytest.raises(Damaged):
            read_npz(tmp_path / "lie.npz", ANY)
    (tmp_path / "cut.npz").write_bytes(whole[:-10])
    with pytest.raises(Damaged, match="does not end as one"):
        read_npz(tmp_path / "cut.npz", ANY)


def test_a_lone_array_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.ones((3, 2)))
    with pytest.raises(Damaged, match="no NPZ file"):
        read_npz(tmp_path / "a.npz", ANY)
    with pytest.raises(Damaged, match="folder"):
        read_json(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    for read in (read_json, read_any_npz):
        with pytest.raises(Damaged, match="no regular file"):
            read(tmp_path / "pipe")


def test_many_members_are_refused_before_they_are_listed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        for index in range(15_000):
            file.writestr(f"{index:030}.npy", b"")
    with pytest.raises(Damaged, match="more members"):
        read_npz(tmp_path / "a.npz", ANY)


@settings(max_examples=10)
@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(), st.lists, max_leaves=10))
def test_json_is_read(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    for coding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_bytes(json.dumps(value).encode(coding))
        assert read_json(path) == value


def test_objects_of_json_become_what_they_are_made(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"a": {"b": 1}}, {"b": 2}]')
    assert read_json(tmp_path / "a.json", lambda table: sorted(table)) == [["a"], ["b"]]
    with pytest.raises(Damaged, match="27 bytes"):
        read_json(tmp_path / "a.json", most=20)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[1,]", b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b'{"a": 1, "a": 2}',
        b'{"a": "\xe9"}',
    ],
    ids=range(9),
)  # fmt: skip
def test_no_json_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(Damaged, match="not valid JSON"):
        read_json(tmp_path / "a.json")


def test_a_huge_json_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(1 << 33)
    with pytest.raises(Damaged, match="8589934592 bytes"):
        read_json(tmp_path / "a.json")


def test_a_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"b": 1}\n')
    with pytest.raises(Damaged, match="line 2: KeyError 'a'"):
        read_json_lines(tmp_path / "a.jsonl", lambda row: row["a"])


@pytest.mark.parametrize(
    "value", [None, "a", [1], [[1, 2]], {}, [1, float("nan")], [1, 10**400], [1, [2]], [1e300, 1], ["1", "2"], [1j, 2]]
)
def test_numbers_of_json_are_numbers(value: Any) -> None:
    with pytest.raises(Damaged):
        to_numbers(value, 2)
    np.testing.assert_array_equal(to_numbers([[1, 2]] * 3, None, 2), np.array([[1, 2]] * 3, np.float32))
