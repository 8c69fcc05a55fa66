"""Bringing files from a server that does what servers do: serves, lacks, lies, hangs up, knows ranges or not."""

import hashlib
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nbf.data import fetch as fetching
from nbf.data.fetch import fetch, lacking
from nbf.data.manifest import File
from nbf.errors import DataError

BIG = bytes(range(256)) * 1024


@dataclass
class Server:
    """Files by path, and how each is served."""

    files: dict[str, bytes] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    """Bytes after which the connection breaks, once."""
    ill: dict[str, int] = field(default_factory=dict)
    """How often it answers 503 first."""
    ranges: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of each request."""
    port: int = 0

    def file(self, path: str, data: bytes) -> File:
        """A file that it serves, as a manifest names it."""
        self.files[path] = data
        return File(path, "owner/name", "0" * 40, path, "git", len(data), hashlib.sha256(data).hexdigest(), "")

    def locate(self, file: File) -> str:
        return f"http://127.0.0.1:{self.port}/{file.source}"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, span = self.path[1:], self.headers.get("Range")
            told.asked.append((path, span))
            if told.ill.get(path, 0):
                told.ill[path] -= 1
                self.send_error(503)
                return
            if path not in told.files:
                self.send_error(404)
                return
            data = told.files[path]
            start = int(span.removeprefix("bytes=").removesuffix("-")) if span and told.ranges else 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start : told.cut.pop(path, None)])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        told.port = http.server_address[1]
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield told
        http.shutdown()


def bring(server: Server, files: list[File], folder: Path) -> dict[str, str]:
    return fetch(files, folder, locate=server.locate, pause=0.01)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_all_files_come_once(server: Server, tmp_path: Path) -> None:
    files = [server.file(f"a/{number}/name (x).txt", b"some words" * number) for number in range(1, 20)]
    files = [replace(file, source=file.source.replace(" ", "%20")) for file in files]
    server.files = {path.replace(" ", "%20"): data for path, data in server.files.items()}
    assert bring(server, files, tmp_path) == {}
    assert names(tmp_path) == sorted(file.path for file in files)
    assert lacking(files, tmp_path) == []
    asked = len(server.asked)
    assert bring(server, files, tmp_path) == {}
    assert len(server.asked) == asked == 19


def test_our_smaller_copy_will_do(server: Server, tmp_path: Path) -> None:
    file = replace(server.file("a.png", BIG), ours=hashlib.sha256(b"small").hexdigest())
    (tmp_path / "a.png").write_bytes(b"small")
    assert lacking([file], tmp_path) == []
    (tmp_path / "a.png").write_bytes(b"other")
    assert bring(server, [file], tmp_path) == {}
    assert (tmp_path / "a.png").read_bytes() == BIG


def test_what_is_missing_there_stops_nothing_else(server: Server, tmp_path: Path) -> None:
    files = [server.file(name, name.encode()) for name in ("a", "b", "c")]
    del server.files["b"]
    failed = bring(server, files, tmp_path)
    assert list(failed) == ["b"]
    assert "404" in failed["b"]
    assert names(tmp_path) == ["a", "c"]
    assert len(server.asked) == 3, "a file that is not there is not asked for again"


def test_another_file_is_not_taken(server: Server, tmp_path: Path) -> None:
    wrong, longer = server.file("wrong", b"right"), server.file("longer", b"right")
    server.files |= {"wrong": b"wrong", "longer": b"right and more"}
    (tmp_path / "wrong").write_bytes(b"older")
    failed = bring(server, [wrong, longer], tmp_path)
    assert list(failed) == ["longer", "wrong"]
    assert wrong.sha256 in failed["wrong"]
    assert names(tmp_path) == ["wrong"]
    assert (tmp_path / "wrong").read_bytes() == b"older", "what was there stays"


def test_what_was_cut_off_goes_on(server: Server, tmp_path: Path) -> None:
    file = server.file("big", BIG)
    server.cut["big"] = 100_000
    assert bring(server, [file], tmp_path) == {}
    assert (tmp_path / "big").read_bytes() == BIG
    (first, _), (_, span) = server.asked
    assert first == "big"
    assert span == "bytes=100000-"
    assert names(tmp_path) == ["big"]


def test_a_later_call_goes_on_too(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = server.file("big", BIG)
    server.cut["big"] = 100_000
    monkeypatch.setattr(fetching, "TRIES", 1)
    assert "100000 of 262144" in bring(server, [file], tmp_path)["big"]
    assert not (tmp_path / "big").exists()
    assert bring(server, [file], tmp_path) == {}
    assert server.asked[-1] == ("big", "bytes=100000-")
    assert (tmp_path / "big").read_bytes() == BIG


def test_without_ranges_it_starts_anew(server: Server, tmp_path: Path) -> None:
    file = server.file("big", BIG)
    server.ranges, server.cut["big"] = False, 100_000
    assert bring(server, [file], tmp_path) == {}
    assert (tmp_path / "big").read_bytes() == BIG


def test_a_damaged_start_is_thrown_away(server: Server, tmp_path: Path) -> None:
    file = server.file("big", BIG)
    (tmp_path / f".big.{file.sha256[:16]}.part").write_bytes(b"x" * 1000)
    assert bring(server, [file], tmp_path) == {}
    assert [span for _, span in server.asked] == ["bytes=1000-", None]
    assert (tmp_path / "big").read_bytes() == BIG


def test_a_start_that_is_all_needs_no_server(server: Server, tmp_path: Path) -> None:
    file = server.file("big", BIG)
    (tmp_path / f".big.{file.sha256[:16]}.part").write_bytes(BIG)
    assert bring(server, [file], tmp_path) == {}
    assert server.asked == []
    assert names(tmp_path) == ["big"]


def test_an_ill_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    file, worse = server.file("ill", b"data"), server.file("worse", b"data")
    server.ill |= {"ill": 2, "worse": 99}
    failed = bring(server, [file, worse], tmp_path)
    assert list(failed) == ["worse"]
    assert "503" in failed["worse"]
    assert server.ill["worse"] == 99 - fetching.TRIES


def test_no_server_is_said(tmp_path: Path) -> None:
    nobody = Server(port=9)  # discard: nobody listens there
    failed = bring(nobody, [nobody.file("a", b"data")], tmp_path)
    assert "cannot be read" in failed["a"]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of the size of files there")
def test_a_full_disk_stops_everything(server: Server, tmp_path: Path) -> None:
    import resource

    files = [server.file(f"big{number}", BIG) for number in range(8)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
    try:
        with pytest.raises(DataError, match=r"cannot be written to .*free space"):
            bring(server, files, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not any(name.startswith("big") for name in names(tmp_path))
    assert bring(server, files, tmp_path) == {}
    assert all((tmp_path / file.path).read_bytes() == BIG for file in files)


def test_ctrl_c_leaves_what_is_whole(server: Server, tmp_path: Path) -> None:
    files = [server.file(f"{number:02}", BIG) for number in range(30)]

    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(files, tmp_path, locate=server.locate, arrived=interrupt)
    assert all((tmp_path / name).read_bytes() == BIG for name in names(tmp_path) if not name.startswith("."))
    assert len(server.asked) < 30
    assert bring(server, files, tmp_path) == {}
    assert lacking(files, tmp_path) == []
