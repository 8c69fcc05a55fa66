"""`nbf draw`: packs that the fitter can learn from, drawn once."""

from pathlib import Path

import pytest
import torch

from nbf.cli.draw import BATCH, PACK, main
from nbf.errors import DataError, InputError
from nbf.nets.segmenter import Segmenter
from nbf.synth.room import Room
from nbf.synth.sampler import Sampler
from nbf.train.drawing import BODY_LABELS, draw_dressed
from nbf.train.packs import expand, load_packs


def test_naked_people_are_drawn_once(tmp_path: Path) -> None:
    words = ["--kind", "bare", "--n", str(PACK), "--cache", str(tmp_path), "-o", str(tmp_path / "bare")]
    assert main(words) == 0
    (file,) = (tmp_path / "bare").glob("*.npz")
    written = file.stat().st_mtime_ns
    assert main(words) == 0
    assert file.stat().st_mtime_ns == written
    people = load_packs([file])
    assert people.keys() == {"parts", *BODY_LABELS}
    parts = expand(people["parts"][:32])
    torch.testing.assert_close(parts.sum(1), torch.ones(32, 64, 64))
    assert (parts[:, 0] < 0.5).flatten(1).any(1).float().mean() > 0.9  # nearly everybody shows


def test_every_seed_draws_other_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbf.cli.draw.PACK", BATCH)
    words = ["--kind", "skeletons", "--n", str(BATCH), "--cache", str(tmp_path), "-o", str(tmp_path / "skeletons")]
    for seed in ("1", "2"):
        assert main([*words, "--seed", seed]) == 0
    first, second = (load_packs([file]) for file in sorted((tmp_path / "skeletons").glob("*.npz")))
    assert first.keys() == set(BODY_LABELS)
    shapes = torch.cat([first["betas"], second["betas"]])
    assert len(shapes.unique(dim=0)) == 2 * BATCH


def test_every_kind_draws_other_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one seed, those whose maps are shown are not those whose joints are."""
    monkeypatch.setattr("nbf.cli.draw.PACK", BATCH)
    for kind in ("skeletons", "bare"):
        words = ["--kind", kind, "--n", str(BATCH), "--cache", str(tmp_path), "-o", str(tmp_path / kind)]
        assert main(words) == 0
    shapes = [load_packs(list((tmp_path / kind).glob("*.npz")))["betas"] for kind in ("skeletons", "bare")]
    assert len(torch.cat(shapes).unique(dim=0)) == 2 * BATCH


def test_people_are_drawn_in_the_track_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbf.cli.draw.PACK", BATCH)
    for track in ("wild", "studio"):
        words = ["--kind", "skeletons", "--track", track, "--n", str(BATCH)]
        assert main([*words, "--cache", str(tmp_path), "-o", str(tmp_path / track)]) == 0
    wild, studio = (load_packs(list((tmp_path / track).glob("*.npz"))) for track in ("wild", "studio"))
    assert len(torch.cat([wild["betas"], studio["betas"]]).unique(dim=0)) == 2 * BATCH
    nearest, furthest = Room().distance
    assert ((studio["translation"][:, 2] - (nearest + furthest) / 2).abs() < (furthest - nearest) / 2 + 0.1).all()
    assert wild["translation"][:, 2].max() > 1.5 * furthest


def test_dressed_people_are_kept_true_and_as_seen(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pack = draw_dressed(Sampler.load(tmp_path, "train", seed=1), Segmenter(16, 16, 0.25).eval(), 2)
    assert pack.keys() == {"parts", "seen_parts", "seen_keypoints", *BODY_LABELS}
    assert pack["parts"].shape == pack["seen_parts"].shape == (2, 2, 3, 64, 64)
    assert pack["seen_keypoints"].shape == (2, 17, 3)


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--n"):
        main(["--n", "5"])
    with pytest.raises(DataError, match="pack of photos"):
        main(["--kind", "photos", "--n", str(PACK), "--cache", str(tmp_path)])
