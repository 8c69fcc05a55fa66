"""Every kind of input ends as the same list of photos, and the same pictures."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from nbf.batch import sources
from nbf.batch.sources import found, listed, photos, pictures
from nbf.errors import InputError
from nbf.files import RECORDS
from nbf.pictures import Picture


def png(red: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 24), (red, 0, 0)).save(file, "PNG")
    return file.getvalue()


def looked_at(where: str, column: str = "image", first: int = 0, count: int = 1000) -> dict[str, int | str]:
    """What is red in each photo of an input, by key; or the error."""
    table = listed(found(where), column)
    return {
        photo.key: int(picture.pixels[0, 0, 0]) if isinstance(picture, Picture) else str(picture)
        for photo, picture in pictures(photos(table, first, count), column)
    }


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


RED = {"a": 10, "b": 20, "sub/c": 30}


@pytest.fixture(params=["folder", "pattern", "tar", "bytes", "struct", "paths", "memory", "memory tar"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """The three photos of `RED`, and the column that they are in."""
    folder, data = tmp_path / "in", [png(red) for red in RED.values()]
    (folder / "sub").mkdir(parents=True)
    kind, column = request.param, "image"
    members = {f"{name}.png": one for name, one in zip(RED, data)}
    if kind in ("folder", "pattern", "paths"):
        for name, one in members.items():
            (folder / name).write_bytes(one)
    if kind.startswith("memory"):
        memory = fsspec.filesystem("memory")
        memory.rm("/", recursive=True) if memory.exists("/") and memory.ls("/") else None
        for name, one in members.items():
            memory.pipe_file(f"/bucket/{name}", one)
    if kind.endswith("tar"):
        extra = {"a.json": b"{}", "sub/c.seg.png": png(99), "d.txt": b"nobody"}
        write_tar(folder / "x.tar", members | extra)
    if kind == "memory tar":
        fsspec.filesystem("memory").pipe_file("/bucket/x.tar", (folder / "x.tar").read_bytes())
    if kind == "bytes":
        pq.write_table(pa.table({"n": range(3), "image": data}), folder / "x.parquet", row_group_size=2)
    if kind == "struct":
        column = "image.bytes"
        pq.write_table(pa.table({"image": [{"bytes": one, "path": ""} for one in data]}), folder / "x.parquet")
    if kind == "paths":
        column = "file"
        pq.write_table(pa.table({"file": [f"{name}.png" for name in RED]}), folder / "x.parquet")
    where = {
        "folder": str(folder),
        "pattern": f"{folder}/**/*.png",
        "tar": str(folder / "*.tar"),
        "memory": "memory://bucket",
        "memory tar": "memory://bucket/*.tar",
    }
    return where.get(kind, str(folder / "x.parquet")), column


def test_all_kinds_of_input_give_the_same_photos(source: tuple[str, str]) -> None:
    red = looked_at(*source)
    assert list(red.values()) == list(RED.values())
    names = {name.removesuffix(".png") for name in red}
    assert names == set(RED) or names == {f"x.parquet:{row}" for row in range(3)}


def test_some_of_a_list_are_those_of_the_whole(source: tuple[str, str]) -> None:
    everything = list(looked_at(*source).items())
    assert list(looked_at(*source, first=1, count=1).items()) == everything[1:2]
    assert list(looked_at(*source, first=1, count=9).items()) == everything[1:]


def test_rows_of_several_files_and_groups(tmp_path: Path) -> None:
    for name, start in (("a", 0), ("b", 50)):
        data = [png(start + index) for index in range(40)]
        pq.write_table(pa.table({"image": data}), tmp_path / f"{name}.parquet", row_group_size=7)
    red = looked_at(str(tmp_path / "*.parquet"), first=33, count=40)
    assert list(red.values()) == [*range(33, 40), *range(50, 83)]


def test_hidden_folders_and_results_of_ours_are_no_photos(tmp_path: Path) -> None:
    for name in (".hidden/a.png", "walk.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png(1))
    assert list(looked_at(str(tmp_path))) == ["walk.png"]
    (tmp_path / RECORDS).mkdir()
    record = '{"version": 1, "source": "x", "sha256": "", "options": {}, "files": {"walk.png": []}, "finished": null}'
    (tmp_path / RECORDS / "walk.json").write_text(record)
    with pytest.raises(InputError, match="no photos there"):
        found(str(tmp_path))


@pytest.mark.parametrize("name", ["a::b.png", "c[1].png", "d\udce9.png", "e: f.png"])
def test_any_name_of_a_file(tmp_path: Path, name: str) -> None:
    try:
        (tmp_path / name).write_bytes(png(7))
    except (OSError, UnicodeError):
        pytest.skip("the file system has no such name")
    for where in (tmp_path, tmp_path / name):
        assert list(looked_at(str(where)).values()) == [7]


def test_what_cannot_be_a_picture_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = png(1) + bytes(5000)
    write_tar(tmp_path / "x.tar", {"bad.png": b"no picture", "large.png": large, "good.png": png(3)})
    table = pa.table({"image": [b"no picture", None, png(3)]})
    pq.write_table(table, tmp_path / "x.parquet")
    monkeypatch.setattr(sources, "MOST_BYTES", 4000)
    red = looked_at(str(tmp_path / "x.tar"))
    assert red["good"] == 3
    assert "not a picture" in str(red["bad"])
    assert "over the limit" in str(red["large"])
    bad, empty, good = looked_at(str(tmp_path / "x.parquet")).values()
    assert good == 3
    assert "not a picture" in str(bad)
    assert "empty" in str(empty)


def test_tables_name_no_files_by_commands_and_strange_protocols(tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(png(5))
    names = [str(photo), f"file://{photo}", f"filecache::file://{photo}", "http://127.0.0.1:9/a.png", "gone.png", None]
    pq.write_table(pa.table({"image": pa.array(names, pa.string())}), tmp_path / "x.parquet")
    here, url, chained, web, gone, nothing = looked_at(str(tmp_path / "x.parquet")).values()
    assert (here, url) == (5, 5)
    for error in (chained, web, nothing):
        assert "expected a path, or a URL" in str(error)
    assert "no such file" in str(gone)


def test_a_store_that_stumbles_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tar(tmp_path / "x.tar", {f"{index}.png": png(index) for index in range(3)})
    pq.write_table(pa.table({"image": [png(index) for index in range(3)]}), tmp_path / "x.parquet")
    failures: list[bool] = []
    monkeypatch.setattr(sources, "_WAITS", (0.0, 0.0))
    monkeypatch.setattr(sources, "_ROWS", 1)
    for kind, name in (("tar", "_decoded"), ("parquet", "_flat")):
        with monkeypatch.context() as patch:
            patch.setattr(sources, name, stumbling(getattr(sources, name), failures))
            failures[:] = [True, True, False, True]
            assert list(looked_at(str(tmp_path / f"x.{kind}")).values()) == [0, 1, 2]
            failures[:] = [True] * 3
            error, *others = looked_at(str(tmp_path / f"x.{kind}")).values()
            assert "cannot be read (slow down)" in str(error)
            assert others == [1, 2]


def stumbling(function: Callable[..., Any], failures: list[bool]) -> Callable[..., Any]:
    """Fails whenever the next of `failures` says so."""

    def call(*arguments: Any) -> Any:
        if failures and failures.pop(0):
            raise OSError("slow down")
        return function(*arguments)

    return call


def damaged(folder: Path) -> dict[str, tuple[str, str]]:
    """Inputs that lead to nothing, and a word of what is said."""
    write_tar(folder / "packed.tar", {"a.png": png(1)}, "w:gz")
    (folder / "cut.tar").write_bytes(b"x" * 700)
    (folder / "cut.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.table({"label": [1], "box": [{"x": 1}]}), folder / "x.parquet")
    (folder / "nothing").mkdir()
    return {
        "gone": ("no such file", "spelling"),
        "nothing": ("no photos there", "pattern"),
        "packed.tar": ("cannot be read as a tar", "must be .tar"),
        "cut.tar": ("cannot be read as a tar", "fresh copy"),
        "cut.parquet": ("cannot be read as Parquet", "fresh copy"),
        "x.parquet": ("no column 'image'", "got label, box"),
    }


def test_inputs_that_cannot_be_used_say_what_to_do(tmp_path: Path) -> None:
    for name, words in damaged(tmp_path).items():
        with pytest.raises(InputError) as caught:
            looked_at(str(tmp_path / name))
        assert all(word in str(caught.value) for word in words), name
    with pytest.raises(InputError, match=r"of a struct give a field, as box\.bytes"):
        looked_at(str(tmp_path / "x.parquet"), "box")


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(where: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("nbf.batch.store.url_to_fs", missing)
    with pytest.raises(InputError, match="pip install s3fs"):
        found("s3://bucket/album")


def test_stores_with_versions_are_asked_for_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """s3fs has its arguments in another order than fsspec."""
    plain = MemoryFileSystem.cat_file

    def versioned(self: Any, path: str, version_id: None = None, start: Any = None, end: Any = None) -> Any:
        assert version_id is None
        return plain(self, path, start=start, end=end)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", versioned)
    path = write_tar(tmp_path / "x.tar", {f"{index}.png": png(index) for index in range(3)})
    fsspec.filesystem("memory").pipe_file("/versions/x.tar", path.read_bytes())
    fsspec.filesystem("memory").pipe_file("/versions/a.png", png(9))
    assert list(looked_at("memory://versions/*.tar").values()) == [0, 1, 2]
    assert list(looked_at("memory://versions").values()) == [9]


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(InputError, match="check the address"):
        found("nowhere://bucket/album")


def test_tar_members_point_at_their_bytes(tmp_path: Path) -> None:
    """Names longer than a header has room for, and links, move what follows."""
    members = {f"{'n' * 150}/{index}.png": png(index) for index in range(4)}
    path = write_tar(tmp_path / "x.tar", members)
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    rows = listed(found(str(path)), "image").to_pylist()
    data = path.read_bytes()
    assert [data[row["at"] : row["at"] + row["size"]] for row in rows] == list(members.values())
    assert np.array_equal(list(looked_at(str(path)).values()), range(4))
