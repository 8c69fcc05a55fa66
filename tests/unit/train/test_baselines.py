"""Training of baselines: pictures in packs, people with and without 3D labels, and errors on people never seen."""

from pathlib import Path

import pytest
import torch
from packs import random_pack, small

from nbf.cli import main
from nbf.errors import DataError
from nbf.nets.regressor import Regressor
from nbf.networks import Networks
from nbf.proxy.proxy import mirrored
from nbf.train.batch import Batch
from nbf.train.body_task import BodyTask, BodyWeights, true_joints
from nbf.train.config import LoopConfig
from nbf.train.packs import save_pack
from nbf.train.pictures import (
    PicturesConfig,
    held_out_pictures,
    load_pictures,
    pictures_source,
    proxy_of,
    train_baseline,
)

CPU = torch.device("cpu")


def pack(count: int, seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return random_pack(count, seed, seen=False) | {
        "image": torch.randint(256, (count, 3, 128, 128), generator=generator, dtype=torch.uint8),
        "surface": torch.randint(256, (count, 3, 64, 64), generator=generator, dtype=torch.uint8),
    }


def look(batch: Batch) -> tuple[torch.Tensor, ...]:
    return (batch["parts"],)


def test_a_mirrored_person_is_the_mirrored_evidence() -> None:
    people = pack(1, 0)
    batches = [next(pictures_source(people, 8, seed, CPU)(0)) for seed in range(2)]
    plain = held_out_pictures(people, 1, 1, CPU)[0]
    there, back = proxy_of(plain), mirrored(proxy_of(plain))
    seen = torch.cat([batch["image"] for batch in batches])
    same = (seen - plain["image"]).flatten(1).abs().amax(1) == 0
    assert 0 < int(same.sum()) < len(same)
    for batch in batches:
        for row, proxy in enumerate(proxy_of(batch)[i : i + 1] for i in range(8)):
            expected = there if torch.equal(batch["image"][row], plain["image"][0]) else back
            for name in ("parts", "joints", "silhouette", "surface"):
                torch.testing.assert_close(getattr(proxy, name), getattr(expected, name), atol=1e-5, rtol=0)
            torch.testing.assert_close(proxy.camera.center, expected.camera.center)


def test_the_same_step_draws_the_same_people() -> None:
    people = pack(6, 0)
    source = pictures_source(people, 4, 0, CPU)
    first = source(0)
    next(first)
    torch.testing.assert_close(next(first)["betas"], next(source(1))["betas"])


def test_those_with_bodies_are_a_share_of_every_batch() -> None:
    people = pack(6, 0) | {"has_body": torch.arange(6) < 1}
    batches = pictures_source(people, 8, 0, CPU, known=0.75)(0)
    assert all(int(next(batches)["has_body"].sum()) >= 6 for _ in range(5))
    plain = pictures_source(people, 8, 0, CPU)(0)
    assert min(int(next(plain)["has_body"].sum()) for _ in range(5)) < 6


def test_people_without_bodies_count_by_their_projection_alone() -> None:
    torch.manual_seed(0)
    task = BodyTask(Regressor(25, small().shape_count, width=8), look, small(), BodyWeights())
    batch = held_out_pictures(pack(4, 0), 4, 4, CPU)[0]
    task.network.eval().requires_grad_(False)
    whole = task.losses(task.network, batch)
    none = task.losses(task.network, batch | {"has_body": torch.zeros(4, dtype=torch.bool)})
    torch.testing.assert_close(none["projection"], whole["projection"])
    assert all(float(none[name]) == 0 for name in whole if name != "projection")
    first = task.losses(task.network, batch | {"has_body": torch.arange(4) < 1})
    single = task.losses(task.network, {name: value[:1] for name, value in batch.items()})
    torch.testing.assert_close(first["joints"], single["joints"])


def test_a_loss_without_weight_is_not_there() -> None:
    task = BodyTask(Regressor(25, small().shape_count, width=8), look, small(), BodyWeights(0, 0, 0, 1.0, 0))
    batch = held_out_pictures(pack(2, 0), 2, 2, CPU)[0]
    assert list(task.losses(task.network.eval(), batch)) == ["projection"]


def test_a_baseline_learns_and_knows_its_errors(tmp_path: Path) -> None:
    save_pack(pack(4, 0), tmp_path / "people" / "0.npz")
    data = PicturesConfig(people=tmp_path / "people", test=tmp_path / "people", batch=4, validation=4)
    loop = LoopConfig("run", steps=40, rate=4e-3, warmup=2, bf16=False, runs=tmp_path, average=0.9)
    torch.manual_seed(0)
    task = BodyTask(Regressor(25, small().shape_count, width=8), look, small(), BodyWeights())
    batch = held_out_pictures(pack(4, 0), 4, 4, CPU)[0]
    before = sum(float(loss.detach()) for loss in task.losses(task.network.eval(), batch).values())
    network = train_baseline(task, data, loop, look)
    after = sum(float(loss.detach()) for loss in task.losses(network, batch).values())
    assert after < 0.9 * before
    spread = true_joints(small(), batch)
    spread = (spread - spread[:, :1]).norm(dim=-1).mean(0)
    assert float(network.joint_error[0]) == 0
    assert (network.joint_error[1:] > 0).all()
    assert (network.joint_error < 4 * spread.max()).all()
    assert (network.shape_error > 0).all()


def test_packs_are_missed_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nbf draw --kind pictures"):
        load_pictures(tmp_path)


@pytest.mark.parametrize(("name", "network"), [("hmr", "hmr"), ("pavlakos", "pavlakos"), ("selfsup", "regressor")])
def test_what_the_command_trains_takes_the_place_of_the_bundled(name: str, network: str, tmp_path: Path) -> None:
    save_pack(pack(4, 0), tmp_path / "people" / "0.npz")
    loop = ["--loop.steps", "1", "--loop.runs", str(tmp_path), "--loop.name", "run"]
    data = ["--data.people", str(tmp_path / "people"), "--data.test", str(tmp_path / "people")]
    assert main(["train", name, *loop, *data, "--data.batch", "2", "--data.validation", "2"]) == 0
    trained, bundled = (getattr(Networks.load(folder), network) for folder in (tmp_path / "run", None))
    assert type(trained) is type(bundled)
    assert trained.arguments == bundled.arguments
    assert not torch.equal(trained.joint_error, bundled.joint_error)
