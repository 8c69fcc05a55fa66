"""tools/draw_benchmark.py: who is drawn depends on track, seed and index alone, and places are drawn again alike."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from nbf.errors import DataError
from nbf.evaluate.bench import Benchmark, save
from nbf.synth.sampler import Sampler
from nbf.synth.tracks import TRACKS

ROOT = Path(__file__).parents[3]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "tools")
    module = importlib.import_module("draw_benchmark")
    monkeypatch.setattr(module, "GROUP", 2)
    return module


def test_people_depend_on_their_index_alone(tool: ModuleType, tmp_path: Path) -> None:
    """Drawn, written, read: the second group is the same after others as after its own first."""
    sampler = Sampler.load(tmp_path / "no caches", "test")
    first, second = tool.draw(sampler, "studio", 0, 4)
    other = next(tool.draw(sampler, "studio", 1, 2))
    save(tool.draw(sampler, "studio", 0, 4), tmp_path / "studio")
    (read,) = Benchmark.load("studio", tmp_path).groups(4)
    for name in ("betas", "labels", "parts", "joints_3d"):
        assert torch.equal(read.batch[name], torch.cat([first[name], second[name]])), name
    assert (read.batch["image"] - torch.cat([first["image"], second["image"]])).abs().mean() < 0.03
    assert not any(torch.equal(first["betas"], batch["betas"]) for batch in (second, other))


def test_pictures_depend_on_their_index_alone(tool: ModuleType, tmp_path: Path) -> None:
    sampler = Sampler.load(tmp_path / "no caches", "test")
    first, second = tool.draw_crowd(sampler, 0, 2)
    alone = next(tool.draw_crowd(sampler, 0, 1))
    assert torch.equal(alone.image, first.image)
    assert not torch.equal(second.bodies.betas[:1], first.bodies.betas[:1])


def test_seeds_are_all_different(tool: ModuleType) -> None:
    seeds = {
        tool.group_seed(track, seed, index) for track in (*TRACKS, "crowd") for seed in range(5) for index in range(100)
    }
    assert len(seeds) == 3 * 5 * 100
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_without_caches_nobody_is_drawn(tool: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"poses.npz.*pack_training"):
        tool.load_sampler(tmp_path, 0)


def test_places_are_drawn_again_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tools")
    scenery = importlib.import_module("scenery")
    scenes = scenery.draw_scenes(4, np.random.default_rng(0))
    assert np.array_equal(scenes, scenery.draw_scenes(4, np.random.default_rng(0)))
    assert scenes.shape == (4, scenery.SIDE, scenery.SIDE, 3)
    assert all(scene.std() > 5 for scene in scenes)
    assert len(np.unique(scenes.mean((1, 2)).round(), axis=0)) == 4
