"""Several processes learn what one learns: the same weights, averages, statistics and random numbers."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from copy import deepcopy
from functools import cache
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from packs import random_pack, random_people, small
from torch import Tensor

from nbf import processes
from nbf.body.model import BodyModel
from nbf.errors import DataError, InputError, ModelFileError
from nbf.nets.fitter import Fitter
from nbf.train.batch import Batch, Draw, concatenate, seeded
from nbf.train.config import LoopConfig
from nbf.train.corrupt import CorruptionConfig
from nbf.train.fitter import FitterTask, FitterWeights, LifterTask, found
from nbf.train.loop import load_checkpoint, train
from nbf.train.packs import expand, save_pack

MAPS, SKELETONS = 5, 4  # of the maps two processes have shares that differ
Task = FitterTask | LifterTask
Scene = Callable[[Path], None]


def tasks() -> list[tuple[str, Task, Draw]]:
    """A network with batch norms whose losses draw random numbers, in float64: what differs is not rounding."""
    torch.manual_seed(0)
    network = Fitter(small().shape_count, width=8, features=4, lifter=32, blocks=1).double()
    fitter = FitterTask(network, body(), FitterWeights(), CorruptionConfig(clean=0.2))
    return [("fitter", fitter, maps), ("lifter", LifterTask(fitter, hidden=0.3, misled=0.3), findings)]


@cache
def body() -> BodyModel:
    return deepcopy(small()).double()


@contextmanager
def in_float64() -> Iterator[None]:
    """Networks take float32 for what needs it; here that is too little."""
    torch.set_default_dtype(torch.float64)
    try:
        with patch.object(Tensor, "float", Tensor.double):
            yield
    finally:
        torch.set_default_dtype(torch.float32)


def maps(seed: int) -> Batch:
    pack = random_pack(MAPS, seed)
    batch = concatenate([pack, random_people(SKELETONS, seed + 1)])
    seen = {"parts": expand(pack["parts"]), "seen_keypoints": pack["seen_keypoints"]}
    return doubled(batch | seen | {"predicted": torch.arange(MAPS) % 2 == 0})


def findings(seed: int) -> Batch:
    g = torch.Generator().manual_seed(seed)
    shapes = {"places": (24, 2), "spreads": (24,), "keypoints": (17, 3)}
    shapes |= {"moments": (168,), "gathered": (96,), "context": (160,)}
    values = {found(name): torch.rand(MAPS, *shape, generator=g) for name, shape in shapes.items()}
    return doubled(random_people(MAPS + SKELETONS, seed) | values)


def doubled(batch: Batch) -> Batch:
    return {name: value.double() if value.is_floating_point() else value for name, value in batch.items()}


def config(runs: Path, name: str, **changes: Any) -> LoopConfig:
    base = LoopConfig(name, steps=3, warmup=1, bf16=False, average=0.9, log_every=1, runs=runs)
    return dataclasses.replace(base, **changes)


def learn(runs: Path) -> None:
    """Train each task, then go on from its checkpoint."""
    with in_float64():
        for steps in (2, 1):
            for name, task, draw in tasks():
                train(task, seeded(draw, 0), config(runs, name, steps=steps))


def in_a_group(rank: int, port: int, scene: Scene, folder: Path) -> None:
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "test",
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    torch.set_num_threads(1)
    with processes.joined("cpu"):
        scene(folder)


def together(scene: Scene, folder: Path) -> list[int | None]:
    """Exit codes of two processes; skips where there cannot be any."""
    if sys.platform != "linux":
        pytest.skip("processes that train together are tried on Linux alone")
    context = get_context("forkserver")
    context.set_forkserver_preload(["nbf.train.fitter", "torch._dynamo"])  # of which each would take seconds
    try:
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
    except OSError as error:
        pytest.skip(f"processes talk through sockets of this machine, which it refuses: {error}")
    pair = [context.Process(target=in_a_group, args=(rank, port, scene, folder)) for rank in (0, 1)]
    for each in pair:
        each.start()
    for each in pair:
        each.join(60)
        each.kill()
    return [each.exitcode for each in pair]


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    assert together(learn, tmp_path / "two") == [0, 0]
    learn(tmp_path / "one")
    for name in ("fitter", "lifter"):
        one, two = (tmp_path / runs / name for runs in ("one", "two"))
        whole, halves = (load_checkpoint(each / "checkpoint.pt", torch.device("cpu")) for each in (one, two))
        for part in ("network", "optimizer", "average", "step"):
            torch.testing.assert_close(halves[part], whole[part], rtol=1e-8, atol=1e-11, msg=f"{name}: {part}")
        assert torch.equal(halves["generators"]["cpu"], whole["generators"]["cpu"])
        assert losses(two) == losses(one)
        assert len(losses(two)) == 3  # one process writes


def losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def race(folder: Path) -> None:
    """By clocks that go on whenever somebody looks, one of them faster, with a validation that draws random numbers."""
    ticks = count(step=1 + 2 * processes.rank())
    _, task, draw = tasks()[1]
    loop = config(folder, "race", minutes=2.0, stop_after=0.5, validate_minutes=0.1, save_minutes=0.1)
    with in_float64(), patch.object(time, "monotonic", lambda: float(next(ticks))):
        train(task, seeded(draw, 0), loop, lambda network: {"draw": torch.rand(()).item()})
    torch.save(task.network.state_dict(), folder / f"{processes.rank()}.pt")


def test_processes_stop_together_with_the_same_weights(tmp_path: Path) -> None:
    assert together(race, tmp_path) == [0, 0]
    one, other = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert len(losses(tmp_path / "race")) > 2
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def fail(folder: Path) -> None:
    def draw(seed: int) -> Batch:
        if processes.rank() == 1 and (folder / "fail" / "log.jsonl").is_file():
            raise DataError("no more")
        return maps(seed)

    with in_float64():
        train(tasks()[0][1], seeded(draw, 0), config(folder, "fail", steps=100))


def test_failure_of_one_ends_all(tmp_path: Path) -> None:
    assert together(fail, tmp_path) == [1, 1]
    assert 1 <= len(losses(tmp_path / "fail")) < 100


def refuse(folder: Path) -> None:
    """What cannot be trained together, which all processes notice."""
    (_, task, draw), _ = tasks()
    few = seeded(lambda seed: {name: value[:1] for name, value in draw(seed).items()}, 0)
    with in_float64(), pytest.raises(DataError, match="a row for each of 2 processes, got 1"):
        train(task, few, config(folder, "few"))
    with torch.no_grad():
        next(task.network.parameters()).add_(processes.rank())
    with pytest.raises(ModelFileError, match="the same weights in all processes"):
        train(task, seeded(draw, 0), config(folder, "different"))


def test_what_cannot_be_trained_together_is_refused(tmp_path: Path) -> None:
    assert together(refuse, tmp_path) == [0, 0]


@pytest.mark.parametrize(
    ("device", "fault"),
    [("cuda:1", "expected cpu or cuda, .* got cuda:1"), ("cuda", "got 9 for 2; give --nproc-per-node 2$")],
)
def test_gpus_are_one_for_each_process(monkeypatch: pytest.MonkeyPatch, device: str, fault: str) -> None:
    launched = {"TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": "9", "LOCAL_RANK": "8", "LOCAL_WORLD_SIZE": "9"}
    for name, value in launched.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match=fault), processes.joined(device):
        pass


def test_one_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with processes.joined("cuda:1"):
        assert not torch.distributed.is_initialized()  # where it is, PyTorch's batch norm wants GPUs


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="torchrun is tried on Linux alone")
def test_torchrun_trains_the_same(tmp_path: Path) -> None:
    for folder, seed in (("people", 1), ("people_test", 2)):
        save_pack(random_pack(8, seed), tmp_path / folder / "pack.npz")
    data = ("--data.people", "people", "--data.test", "people_test", "--data.batch", "4", "--data.skeletons", "4")
    train = ("-m", "nbf", "train", "fitter", "--loop.steps", "2", "--loop.log-every", "1", "--loop.no-bf16", *data)
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    printed = [
        subprocess.run(
            [sys.executable, *launcher, *train, "--loop.name", name], cwd=tmp_path, check=True, capture_output=True
        ).stdout.decode()
        for name, launcher in (("one", ()), ("two", torchrun))
    ]
    assert losses(tmp_path / "runs" / "two") == pytest.approx(losses(tmp_path / "runs" / "one"), rel=1e-3)
    assert [text.count("weights and their record") for text in printed] == [1, 1]
