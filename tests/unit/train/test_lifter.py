"""Training the lifter alone: findings are what the finder finds, and nothing but the lifter learns from them."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from packs import random_pack, random_people, small

from nbf.nets.fitter import Findings, Fitter
from nbf.nets.weights import load_kind, save_network
from nbf.train.batch import concatenate
from nbf.train.blend import blend
from nbf.train.config import LoopConfig
from nbf.train.corrupt import CorruptionConfig
from nbf.train.fitter import (
    FitterTask,
    FitterWeights,
    LifterConfig,
    LifterTask,
    findings_source,
    found,
    read,
    train_lifter,
)
from nbf.train.packs import expand, save_pack
from nbf.train.people import PeopleConfig, mirror_people

BODY = small()
CPU = torch.device("cpu")


def tiny() -> Fitter:
    torch.manual_seed(0)
    return Fitter(BODY.shape_count, width=8, features=4, lifter=64, blocks=1).eval()


def task_of(network: Fitter, corruption: CorruptionConfig | None = None) -> FitterTask:
    return FitterTask(network, BODY, FitterWeights(), corruption)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Packs of every kind of people."""
    save_pack(random_pack(6, 0), tmp_path / "people" / "0")
    save_pack(random_pack(5, 1, seen=False), tmp_path / "people" / "labels" / "0")
    save_pack(random_pack(4, 2, seen=False), tmp_path / "people" / "bare" / "0")
    save_pack(random_people(9, 3), tmp_path / "people" / "skeletons" / "0")
    save_pack(random_pack(3, 4, true=False), tmp_path / "people" / "photos" / "0")
    return tmp_path


def data(folder: Path) -> PeopleConfig:
    return PeopleConfig(folder / "people", folder / "people", batch=16, skeletons=5, bare=0.25, photos=0.25)


@pytest.mark.parametrize("seen", [False, True])
def test_lifting_what_was_read_is_fitting(seen: bool) -> None:
    """The losses of findings are those of the maps, up to the rounding of float16."""
    network = tiny()
    clean = task_of(network)
    people = random_pack(5, 0)
    findings = read(clean, people, seen, 1, CPU)
    assert len(findings["betas"]) == 10
    first = {name: value[:5].float() for name, value in findings.items()}
    maps = people["seen_parts" if seen else "parts"]
    keypoints = people["seen_keypoints"] * seen
    batch = people | {"parts": expand(maps), "seen_keypoints": keypoints, "predicted": torch.full((5,), seen)}
    truth = clean.truth(batch)
    output, maps = network(clean.proxy(batch))
    expected = clean.residuals(output, batch, truth) | clean.place_residuals(maps.places, batch, truth)
    losses = LifterTask(clean, hidden=0.0).losses(network, first)
    assert losses.keys() == expected.keys()
    for name, value in losses.items():
        torch.testing.assert_close(value, expected[name], rtol=2e-3, atol=1e-4, msg=name)


def test_only_people_with_keypoints_are_misled() -> None:
    clean = task_of(tiny())
    batch = concatenate([read(clean, random_pack(4, 0), seen, 1, CPU) for seen in (True, False)])
    batch = {name: value.float() for name, value in batch.items()}
    findings = Findings(*(batch[found(name)] for name in Findings._fields))
    torch.manual_seed(0)
    misled = LifterTask(clean, hidden=0.0, misled=1.0).mislead(findings, batch, clean.truth(batch))
    seen = torch.arange(16) < 8
    for name, value in findings._asdict().items():
        other = getattr(misled, name)
        torch.testing.assert_close(other[~seen], value[~seen], msg=name)
        if name in ("moments", "gathered", "context"):
            assert not other[seen].any(), name
        elif name != "keypoints":
            assert not torch.isclose(other[seen], value[seen]).flatten(1).all(1).any(), name
    torch.testing.assert_close(misled.keypoints, findings.keypoints)


def test_mirror_images_are_read_as_well() -> None:
    clean = task_of(tiny())
    people = random_pack(3, 0, true=False)
    findings = read(clean, people, True, 1, CPU)
    labels = ("betas", "rotations", "translation", "focal", "center", "keypoints")
    mirrored = mirror_people({name: people[name] for name in labels}, torch.ones(3, dtype=torch.bool))
    for name in labels:
        torch.testing.assert_close(findings[name][3:], mirrored[name], msg=name)


def test_further_looks_are_at_moved_people() -> None:
    """A moved map and its mirror image show other findings of the same shapes in other places."""
    people = random_pack(3, 0, true=False)
    once, twice = (read(task_of(tiny()), people, True, looks, CPU) for looks in (1, 2))
    assert all(torch.equal(twice[name][:6], value) for name, value in once.items())
    torch.testing.assert_close(twice["betas"][6:], once["betas"])
    for name in ("focal", "center", "translation", found("moments")):
        assert not torch.isclose(twice[name][6:], once[name]).view(6, -1).all(1).any(), name


def test_true_maps_are_spoilt_before_they_are_read() -> None:
    network, people, places = tiny(), random_pack(3, 0), found("places")
    torch.manual_seed(0)
    spoiling = task_of(network, CorruptionConfig(clean=0.0))
    for seen in (False, True):
        read_spoilt, read_clean = (read(task, people, seen, 1, CPU)[places] for task in (spoiling, task_of(network)))
        assert torch.equal(read_spoilt, read_clean) is seen


def test_batches_are_findings_first_and_repeat(folder: Path) -> None:
    config = LifterConfig(LoopConfig("lifter", runs=folder), data(folder))
    source = findings_source(config, task_of(tiny()), CPU)
    batches = list(islice(source(0), 3))
    for batch in batches:
        assert len(batch["betas"]) == 21
        assert len(batch[found("places")]) == 16
        # Photos, naked people, dressed people seen, dressed people by their labels: no keypoints but where seen.
        seen = batch[found("keypoints")][..., 2].any(1).tolist()
        assert seen == [True] * 4 + [False] * 4 + [True] * 4 + [False] * 4
    # A second source reads nothing anew, and the same step gives the same batch.
    assert (folder / "lifter" / "bare_true.npz").is_file()
    again = next(findings_source(config, task_of(tiny()), CPU)(2))
    assert all(torch.equal(again[name], batches[2][name]) for name in again)


def test_blends_lie_between_their_ends() -> None:
    start, learnt = tiny(), tiny()
    for parameter in learnt.lifter.parameters():
        parameter.data += 1.0
    for share, moved in ((0.0, 0.0), (0.25, 0.25), (1.0, 1.0)):
        blended = blend(start, learnt, share).state_dict()
        for name, first in start.state_dict().items():
            expected = first + moved * name.startswith("lifter.") if first.is_floating_point() else first
            torch.testing.assert_close(blended[name], expected, msg=name)


def test_nothing_but_the_lifter_learns(folder: Path) -> None:
    start = save_network(tiny(), folder / "start", {})
    loop = LoopConfig("lifter", steps=4, warmup=1, bf16=False, log_every=2, runs=folder / "runs", average=0.0)
    trained = train_lifter(LifterConfig(loop, data(folder), start=start)).state_dict()
    before = load_kind(start, Fitter).state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], trained[name])}
    assert changed == {"lifter"}
    kept = load_kind(folder / "runs" / "lifter" / "weights.safetensors", Fitter).state_dict()
    for name, value in trained.items():
        torch.testing.assert_close(kept[name], value, atol=1e-3, rtol=1e-3, msg=name)
