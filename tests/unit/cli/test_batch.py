"""`nbf batch`: mistakes are said before anything is loaded, what it needs is named, and it says how far it is."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbf.batch.worker import Done
from nbf.cli import batch, main


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", "0"], "--workers: expected 1 or more"),
        (["--cpus-per-worker", "0"], "--cpus-per-worker: expected 1 or more"),
        (["--part", "-1"], "--part: expected 1 or more"),
        (["--format", "glb,obj"], "--format: expected some of glb, npz"),
        (["--min-score", "2"], "min_score: expected a probability"),
        (["--method", "magic"], "method: expected one of"),
    ],
)
def test_impossible_options_are_refused(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", "in", "out", *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("package", ["pyarrow", "ray"])
def test_without_its_extra_it_says_what_to_install(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if package == "pyarrow" and name.startswith("nbf.batch")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert main(["batch", str(tmp_path), str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert f"nbf batch needs {package}, which is not installed: pip install 'neural-body-fitting[cluster]'" in said


def test_help_needs_neither_ray_nor_torch() -> None:
    code = (
        "import sys; from nbf.cli import main; main(['batch', '--help']); "
        "sys.exit(bool({'ray', 'pyarrow', 'torch', 'fsspec'} & {*sys.modules}))"
    )
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=paths, stdout=subprocess.PIPE, check=False).returncode == 0


def test_it_says_how_far_it_is_and_what_failed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def results() -> Iterator[Any]:
        yield Done(0, 4, 5, 0, 1)
        os.write(2, b"chatter of Ray")
        yield Done(1, 4, 1, 2, 3)

    monkeypatch.setattr(batch, "_EVERY", 0.0)
    assert batch._report(results(), 8, "out") == 1  # pyright: ignore[reportArgumentType]
    said = capfd.readouterr()
    assert "4 of 8 photos" in said.err
    assert "people: 6, errors: 2" in said.err
    assert "part 1 was begun anew" in said.err
    assert "chatter" not in said.err
    assert said.out.startswith("8 of 8 photos done, people: 6, errors: 2, in out (")
