"""tools/train_release.py: its commands are such as `nbf` understands, with the files that earlier steps left."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest
import tyro

from nbf.cli import draw
from nbf.cli import train as train_cli
from nbf.train import doubt, fitter, locator, segmenter

ROOT = Path(__file__).parents[3]


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool, which writes to an empty folder."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    module = importlib.import_module("train_release")
    monkeypatch.setattr(module, "RELEASE", tmp_path)
    return module


@pytest.fixture
def asked(release: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """What the tool would run: each command's name and its parsed options. Nothing is run, empty files are kept."""
    seen: list[tuple[str, object]] = []
    for module, kind in ((segmenter, "segmenter"), (locator, "locator"), (fitter, "fitter"), (fitter, "lifter")):
        monkeypatch.setattr(module, f"train_{kind}", lambda config, kind=kind: seen.append((kind, config)))
    monkeypatch.setattr(doubt, "train_doubt", lambda config: seen.append(("doubt", config)))

    def run(**commands: list[str]) -> None:
        for command in commands.values():
            verb, *words = command[3:]
            if verb == "draw":
                seen.append((verb, tyro.cli(draw.Arguments, args=words)))
            else:
                train_cli.main(words)

    def keep(name: str, _: str) -> None:
        (release.RELEASE / f"{name}.safetensors").touch()

    monkeypatch.setattr(release, "run", run)
    monkeypatch.setattr(release, "keep", keep)
    return seen


def test_every_command_is_understood(release: ModuleType, asked: list[tuple[str, object]]) -> None:
    config = release.Release()
    for step in config.steps:
        release.STEPS[step](config)
    trained = [name for name, _ in asked if name != "draw"]
    assert trained == ["segmenter", "locator", "fitter", "fitter", "lifter", "segmenter", "doubt"]


def test_later_steps_go_on_from_earlier_ones(release: ModuleType, asked: list[tuple[str, object]]) -> None:
    for step in ("vision", "fitter", "end_to_end"):
        release.STEPS[step](release.Release())
    first, last = (options for name, options in asked if name == "segmenter")
    assert isinstance(first, segmenter.SegmenterConfig)
    assert isinstance(last, segmenter.SegmenterConfig)
    assert first.start is None
    assert first.weights.body == 0
    assert last.start == release.RELEASE / "segmenter.safetensors"
    assert last.fitter == release.RELEASE / "fitter.safetensors"
    assert last.weights.body > 0
    assert last.loop.seed != first.loop.seed
