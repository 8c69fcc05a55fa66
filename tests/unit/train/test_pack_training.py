"""tools/pack_training.py: the bundle for a training on a borrowed machine."""

import importlib
import io
import subprocess
import tarfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from nbf.errors import DataError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "tools")
    return importlib.import_module("pack_training")


def test_the_parts_of_a_bundle_are_small_and_make_the_cache_again(tool: ModuleType, tmp_path: Path) -> None:
    cache, folder = tmp_path / "cache", tmp_path / "bundle"
    cache.mkdir()
    noise = np.random.default_rng(0)
    files = {name: noise.bytes(30_000) for name in ("real_train.npz", "real_fits.npz", "poses.npz")}
    for name, data in (files | {"anny_base.npz": b"only needed to make the others"}).items():
        (cache / name).write_bytes(data)
    folder.mkdir()
    (folder / "9").write_bytes(b"of an earlier bundle")
    parts = tool.bundle(cache, folder, room=40_000)
    assert sorted(folder.iterdir()) == parts
    assert [part.name for part in parts] == ["1", "2", "3"]
    assert all(part.stat().st_size <= 40_000 for part in parts)
    with tarfile.open(fileobj=io.BytesIO(b"".join(part.read_bytes() for part in parts))) as tar:
        assert {name: tar.extractfile(f"runs/cache/{name}").read() for name in files} == files  # pyright: ignore
        assert len(tar.getnames()) == len(files)


def test_parts_leave_room_for_what_git_knows_and_the_wheels(tool: ModuleType, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    empty = tool.room_beside(tmp_path)
    assert empty == 63 * 2**20
    (tmp_path / ".gitignore").write_text("runs/\n.whl/\n")
    (tmp_path / "new").write_bytes(bytes(1000))
    for ignored in ("runs", ".whl"):
        (tmp_path / ignored).mkdir()
        (tmp_path / ignored / "file").write_bytes(bytes(5000))
    taken = 1000 + 5000 + len("runs/\n.whl/\n")
    assert empty - tool.room_beside(tmp_path) == pytest.approx(taken, abs=1)
    with (tmp_path / "new").open("wb") as file:
        file.truncate(63 * 2**20)
    with pytest.raises(DataError, match=r"63\.0 MiB and leave no room"):
        tool.room_beside(tmp_path)
