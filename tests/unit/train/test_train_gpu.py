"""tools/train_gpu.py: trains on within its minutes, survives being killed, and leaves its weights where they return."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import tyro
from packs import random_pack

from nbf.cli import draw as draw_cli
from nbf.cli import train as train_cli
from nbf.nets import Fitter, Segmenter, load_network
from nbf.train import fitter, segmenter
from nbf.train.packs import save_pack

ROOT = Path(__file__).parents[3]
PYTHON = [sys.executable, "-c"]


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool, in an empty folder and with a place for its weights."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    module = importlib.import_module("train_gpu")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    return module


@pytest.fixture
def until() -> float:
    return time.monotonic() + 600


@pytest.fixture
def asked(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """What the tool would run: verbs and parsed options. Nothing is run; trainings are over at once."""
    seen: list[tuple[str, object]] = []
    for module, kind in ((segmenter, "segmenter"), (fitter, "fitter")):
        monkeypatch.setattr(module, f"train_{kind}", lambda config, kind=kind: seen.append((kind, config)))

    def run(until: float, commands: dict[str, list[str]], waiting: Callable[[], None] = lambda: None) -> bool:
        for name, command in commands.items():
            verb, *words = command[3:]
            if verb == "draw":
                seen.append((name, tyro.cli(draw_cli.Arguments, args=words)))
            else:
                train_cli.main(words)
                leave_weights(tool, name, progress=1.0)
        waiting()
        return True

    monkeypatch.setattr(tool, "run", run)
    return seen


def leave_weights(tool: ModuleType, name: str, progress: float, weights: bytes = b"weights") -> None:
    """The files of a training that has been saved."""
    folder = tool.GPU / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.safetensors").write_bytes(weights)
    (folder / "log.jsonl").write_text("{}\n")
    (folder / "weights.json").write_text(json.dumps({"record": {"progress": progress}}))


KINDS = ("dressed", "studio", "bare", "skeletons", "test", "photos")


def test_every_command_is_understood(tool: ModuleType, asked: list[tuple[str, object]]) -> None:
    tool.CACHE.mkdir(parents=True)
    (tool.CACHE / "real_fits.npz").touch()
    assert tool.main(tool.Config(minutes=3))
    first, *drawn, last = asked
    assert [name for name, _ in asked] == ["segmenter", *(f"draw_{kind}" for kind in KINDS), "fitter"]
    assert isinstance(first[1], segmenter.SegmenterConfig)
    assert isinstance(last[1], fitter.FitterConfig)
    assert (first[1].start, last[1].start) == (Path("segmenter"), Path("fitter")), "the bundled ones"
    assert first[1].loop.stop_after == pytest.approx(2.5, abs=0.1)
    assert len({(options.output, options.seed) for _, options in drawn}) == len(drawn)  # pyright: ignore
    assert last[1].data.people == tool.PEOPLE


def test_what_is_done_is_not_done_again_and_comes_back_again(
    tool: ModuleType, asked: list[tuple[str, object]], tmp_path: Path
) -> None:
    assert tool.main(tool.Config())
    shutil.rmtree(tmp_path / "out")
    asked.clear()
    assert tool.main(tool.Config())
    assert not asked
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"{name}.{ending}" for name in ("segmenter", "fitter") for ending in ("safetensors", "json", "jsonl")
    }


def test_nothing_begins_when_there_is_no_time_for_it(tool: ModuleType, asked: list[tuple[str, object]]) -> None:
    assert not tool.main(tool.Config(minutes=0.4))
    assert not asked


def test_large_files_come_back_in_parts(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "LARGEST", 4)
    leave_weights(tool, "segmenter", 0.5, b"abcdefghij")
    tool.copy_back("segmenter")
    parts = sorted((tmp_path / "out").glob("segmenter.safetensors*"))
    assert [(part.name, part.read_bytes()) for part in parts] == [
        ("segmenter.safetensors.1", b"abcd"),
        ("segmenter.safetensors.2", b"efgh"),
        ("segmenter.safetensors.3", b"ij"),
    ]


def test_only_new_weights_are_copied_and_only_where_there_is_a_place(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool.copy_back("segmenter")
    leave_weights(tool, "segmenter", 0.5)
    monkeypatch.delenv("OUT")
    tool.copy_back("segmenter")
    assert not (tmp_path / "out").exists()
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    tool.copy_back("segmenter")
    copied = tmp_path / "out" / "segmenter.safetensors"
    copied.write_bytes(b"left alone")
    tool.copy_back("segmenter")
    assert copied.read_bytes() == b"left alone"
    leave_weights(tool, "segmenter", 0.6, b"newer")
    tool.copy_back("segmenter")
    assert copied.read_bytes() == b"newer"


def test_half_the_batch_is_tried_where_the_memory_is_too_small(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, until: float, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[str] = []

    def nbf(*words: object) -> list[str]:
        tried.append(str(words[words.index("--data.batch") + 1]))
        fails = "print('CUDA out of memory. Tried to allocate 2 GiB'); raise SystemExit(1)"
        return [*PYTHON, fails if int(tried[-1]) > enough else "pass"]

    monkeypatch.setattr(tool, "nbf", nbf)
    enough = 6
    assert not tool.train(tool.Config(batch=12), "segmenter", 1.0, until)
    assert tried == ["12", "6"]
    assert "batches of 12 are too large" in capsys.readouterr().out
    enough = 5
    with pytest.raises(SystemExit, match="smaller --batch"):
        tool.train(tool.Config(batch=12), "segmenter", 1.0, until)


def test_commands_end_in_time_or_say_why_they_failed(tool: ModuleType, until: float) -> None:
    began = time.monotonic()
    assert not tool.run(began + 1, {"sleeps": [*PYTHON, "import time; time.sleep(60)"], "ends": [*PYTHON, "pass"]})
    assert time.monotonic() - began < 10
    with pytest.raises(SystemExit, match=r"(?s)painter failed.*no brush"):
        tool.run(until, {"painter": [*PYTHON, "raise SystemExit('no brush')"]})


def packs(tool: ModuleType) -> None:
    """A few people instead of those that the tool would have drawn."""
    save_pack(random_pack(8, 1), tool.PEOPLE / "0.npz")
    save_pack(random_pack(8, 2), tool.TEST / "0.npz")
    tool.DRAWN.touch()


@pytest.mark.slow
def test_killed_and_called_again_it_goes_on_to_the_end(tool: ModuleType, tmp_path: Path) -> None:
    """The real thing on the CPU, two people a step: killed after the segmenter's first save, then called again."""
    packs(tool)
    out = tmp_path / "out"
    words = ["--device", "cpu", "--batch", "2", "--save", "0.02", "--fitter", "0.03"]
    command = [sys.executable, str(ROOT / "tools" / "train_gpu.py"), *words, "--segmenter"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    first = subprocess.Popen([*command, "10"], env=environment, start_new_session=True)
    try:
        while not (out / "segmenter.json").is_file() and first.poll() is None:
            time.sleep(0.2)
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    before = json.loads((out / "segmenter.json").read_text())["record"]
    assert 0 < before["progress"] < 1
    # So many minutes of its schedule are over that the next call soon sees its end.
    length = str(before["minutes_of_last_schedule"] + 0.1)
    subprocess.run([*command, length], env=environment, check=True)
    for name, kind in (("segmenter", Segmenter), ("fitter", Fitter)):
        weights = out / f"{name}.safetensors"
        if not weights.is_file():
            weights.write_bytes(b"".join(part.read_bytes() for part in sorted(out.glob(f"{weights.name}.*"))))
        assert isinstance(load_network(weights), kind)
        record = json.loads((out / f"{name}.json").read_text())["record"]
        assert record["progress"] == 1
    assert f"resumed segmenter at step {before['step']}" in (tool.GPU / "segmenter.log").read_text()
