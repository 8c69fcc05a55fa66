"""Training: tiny tasks are learnt by heart, runs repeat and resume exactly, schedules end on time."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nbf.body.files import load_body
from nbf.body.parts import MERGE, merge_probabilities
from nbf.errors import DataError, ModelFileError
from nbf.geometry.camera import Camera, crop_camera_from_translation
from nbf.geometry.rotations import project_to_rotation
from nbf.nets import Fitter, Locator, Segmenter, load_network
from nbf.nets.locator import LocatorOutput, decode
from nbf.nets.mean_body import FitterOutput
from nbf.train.batch import Batch, Source, concatenate
from nbf.train.body_task import set_mean
from nbf.train.config import LoopConfig
from nbf.train.corrupt import CorruptionConfig
from nbf.train.fitter import FitterTask, FitterWeights, validate_fitter
from nbf.train.locator import LocatorTask, LocatorWeights, center_targets, validate_locator
from nbf.train.loop import Schedule, train
from nbf.train.segmenter import TRUSTED_PARTS, SegmenterTask, SegmenterWeights, validate_segmenter

BODY = load_body("anny24", "small")


def people(count: int, seed: int = 0) -> Batch:
    """Random labels of the right kind; part maps that differ from person to person."""
    g = torch.Generator().manual_seed(seed)
    betas = 0.3 * torch.randn(count, BODY.shape_count, generator=g)
    rotations = project_to_rotation(torch.eye(3) + 0.4 * torch.randn(count, 24, 3, 3, generator=g))
    rotations[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ rotations[:, 0]
    translation = torch.tensor([0.0, 0.0, 4.0]) + 0.2 * torch.randn(count, 3, generator=g)
    focal, center = torch.full((count,), 450.0), torch.full((count, 2), 128.0)
    joints = BODY(betas, rotations, translation).joints
    coarse = torch.randn(count, 25, 8, 8, generator=g) * 4
    coarse[:, 0, :2] += 20
    parts = torch.nn.functional.interpolate(coarse, size=64, mode="bilinear").softmax(1)
    image = torch.nn.functional.interpolate(torch.rand(count, 3, 16, 16, generator=g), size=256, mode="nearest")
    points = torch.rand(count, 17, 2, generator=g) * 256
    return {
        "image": image,
        "parts": parts,
        "ignore": torch.zeros(count, 64, 64, dtype=torch.bool),
        "real": torch.zeros(count, dtype=torch.bool),
        "predicted": torch.zeros(count, dtype=torch.bool),
        "seen_keypoints": torch.rand(count, 17, 3, generator=g) * torch.tensor([256.0, 256.0, 1.0]),
        "keypoints": torch.cat([points, torch.ones(count, 17, 1)], -1),
        "surface": torch.rand(count, 3, 64, 64, generator=g),
        "surface_mask": parts[:, 0] < 0.5,
        "betas": betas,
        "rotations": rotations,
        "translation": translation,
        "focal": focal,
        "center": center,
        "joints_3d": joints,
        "joints_2d": Camera(focal, center).project(joints),
    }


def repeat(batch: Batch) -> Source:
    def source(step: int) -> Iterator[Batch]:
        while True:
            yield batch

    return source


def varied(step: int) -> Iterator[Batch]:
    while True:
        yield people(4, seed=step)
        step += 1


def config(folder: Path, **changes) -> LoopConfig:
    base = LoopConfig("run", steps=6, rate=2e-3, warmup=2, bf16=False, log_every=2, runs=folder, average=0.9)
    return dataclasses.replace(base, **changes)


def tiny_fitter() -> Fitter:
    torch.manual_seed(0)
    return Fitter(BODY.shape_count, width=8, features=4, lifter=64, blocks=1)


def fitter_task(**options) -> FitterTask:
    return FitterTask(tiny_fitter(), BODY, FitterWeights(), **options)


@pytest.mark.slow
def test_fitter_learns_16_people_by_heart(tmp_path: Path) -> None:
    batch, task = people(16), fitter_task()
    set_mean(task.network, task.body, [batch])
    task.network.eval()
    before = validate_fitter(task.network, [batch], task)
    network = train(task, repeat(batch), config(tmp_path, steps=140, warmup=10, rate=4e-3))
    after = validate_fitter(network, [batch], task)
    assert after["mpjpe_mm"] < 0.15 * before["mpjpe_mm"], (before, after)
    assert after["pixels"] < 4, after


@pytest.mark.slow
def test_segmenter_learns_8_people_by_heart(tmp_path: Path) -> None:
    torch.manual_seed(0)
    batch = people(8)
    batch["image"] = batch["image"][:, :, ::4, ::4]  # a sixteenth of the pixels and of the time
    for name in ("parts", "surface"):
        batch[name] = batch[name][:, :, ::4, ::4]
    for name in ("ignore", "surface_mask"):
        batch[name] = batch[name][:, ::4, ::4]
    batch["parts"] = torch.nn.functional.one_hot(batch["parts"].argmax(1), 25).movedim(-1, 1).float()
    batch["keypoints"][..., :2] /= 4
    batch["real"][:4] = True
    task = SegmenterTask(Segmenter(32, 32, 0.25), SegmenterWeights(), "cpu")
    network = train(task, repeat(batch), config(tmp_path, steps=60, warmup=5, rate=5e-3))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"], (lines[0], lines[-1])
    assert validate_segmenter(network, [batch])["miou14"] > 0.5


def test_locator_learns_its_boxes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    boxes = torch.tensor([[[0.1, 0.1, 0.5, 0.9], [0.5, 0.2, 0.9, 0.8]], [[0.2, 0.3, 0.7, 0.9], [0, 0, 0, 0]]])
    valid = torch.tensor([[True, True], [True, False]])
    image = torch.zeros(2, 3, 128, 128)
    for picture, rows, present in zip(image, boxes, valid, strict=True):
        for x0, y0, x1, y1 in (rows[present] * 128).long().tolist():
            picture[:, y0:y1, x0:x1] = torch.tensor([0.9, 0.5, 0.2])[:, None, None]
    batch = {"image": image, "boxes": boxes, "valid": valid, "ignore": torch.zeros_like(valid)}
    network = train(LocatorTask(Locator(0.25), LocatorWeights()), repeat(batch), config(tmp_path, steps=80, rate=4e-3))
    assert isinstance(network, Locator)
    scores = validate_locator(network, [batch])
    assert (scores["recall"], scores["precision"]) == (1.0, 1.0), scores
    assert scores["iou"] > 0.7
    assert [len(found) for found, _ in decode(network(image))] == [2, 1]


def test_same_seed_same_weights(tmp_path: Path) -> None:
    first, second = (
        train(fitter_task(corruption=CorruptionConfig()), varied, config(tmp_path / name)) for name in ("a", "b")
    )
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_resumed_run_equals_uninterrupted_run(tmp_path: Path) -> None:
    task = lambda: fitter_task(corruption=CorruptionConfig())  # noqa: E731
    whole = train(task(), varied, config(tmp_path / "whole"))

    class PowerCutError(Exception):
        pass

    def fails_after(steps: int) -> Source:
        def source(step: int) -> Iterator[Batch]:
            for index, batch in enumerate(varied(step)):
                if index == steps:
                    raise PowerCutError
                yield batch

        return source

    with pytest.raises(PowerCutError):  # save_minutes=0: a checkpoint after every step
        train(task(), fails_after(3), config(tmp_path / "cut", save_minutes=0.0))
    parts = train(task(), varied, config(tmp_path / "cut"))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, parts.state_dict()[name]), name


def test_finished_run_goes_on_with_a_new_schedule(tmp_path: Path) -> None:
    train(fitter_task(), varied, config(tmp_path, steps=3))
    train(fitter_task(), varied, config(tmp_path, steps=4))
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == 7


def test_run_leaves_weights_with_their_record(tmp_path: Path) -> None:
    network = train(fitter_task(), varied, config(tmp_path), validate=lambda network: {"answer": 42.0})
    back = load_network(tmp_path / "run" / "weights.safetensors")
    torch.testing.assert_close(back.state_dict(), network.state_dict(), atol=1e-3, rtol=1e-3)
    card = json.loads((tmp_path / "run" / "weights.json").read_text())
    assert card["record"]["validation"] == {"answer": 42.0}
    assert card["record"]["step"] == 6


def test_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"no")
    with pytest.raises(ModelFileError, match=r"checkpoint\.pt"):
        train(fitter_task(), varied, config(tmp_path))


def test_not_finite_batch_changes_nothing(tmp_path: Path) -> None:
    bad = people(4)
    bad["joints_3d"] = bad["joints_3d"] * torch.nan
    bad["betas"] = bad["betas"] * torch.nan
    task = fitter_task()
    before = {name: value.clone() for name, value in task.network.named_parameters()}
    train(task, repeat(bad), config(tmp_path, steps=2, decay=0.0))
    for name, value in task.network.named_parameters():
        assert torch.equal(value, before[name]), name


def test_schedule_follows_the_clock() -> None:
    now = [100.0]
    schedule = Schedule(LoopConfig("x", minutes=2.0, warmup=1, stop_after=1.5), clock=lambda: now[0])
    assert schedule.rate() == pytest.approx(2e-3)
    now[0] += 60
    assert (schedule.rate(), schedule.finished, schedule.out_of_time) == (pytest.approx(1e-3), False, False)
    now[0] += 40
    assert (schedule.finished, schedule.out_of_time) == (False, True)
    resumed = Schedule(LoopConfig("x", minutes=2.0), clock=lambda: now[0])
    resumed.load_state_dict(schedule.state_dict())
    assert resumed.progress == pytest.approx(100 / 120)
    now[0] += 21
    assert resumed.finished
    assert resumed.rate() == pytest.approx(0.0)


def test_joined_batches_fill_missing_labels() -> None:
    whole = people(2)
    real = {name: whole[name][:1] for name in ("image", "parts", "keypoints", "ignore", "real")}
    joined = concatenate([whole, real])
    assert len(joined["betas"]) == 3
    assert not joined["surface_mask"][2].any()
    with pytest.raises(DataError, match="parts"):
        concatenate([whole, {**real, "parts": real["parts"][:, :, :8]}])


def test_only_true_maps_are_spoilt() -> None:
    torch.manual_seed(0)
    batch = people(3) | {"predicted": torch.tensor([True, False, True])}
    proxy = fitter_task(corruption=CorruptionConfig(clean=0.0)).proxy(batch)
    assert torch.equal(proxy.parts[[0, 2]], batch["parts"][[0, 2]])
    assert not torch.equal(proxy.parts[1], batch["parts"][1])
    assert proxy.keypoints[0, :, 2].gt(0).all()
    assert not proxy.keypoints[1].any()  # whoever has the true map has no segmenter's keypoints


def test_fitter_learns_from_joints_alone() -> None:
    """Rows beyond the maps count in every loss of the body, and their gradients stay out of the joint finder."""
    torch.manual_seed(0)
    task = fitter_task()
    whole = people(6)
    batch = whole | {name: whole[name][:2] for name in ("parts", "seen_keypoints", "predicted")}
    losses = task.losses(task.network, batch)
    only = {name: value[2:] for name, value in whole.items()}
    only |= {name: whole[name][:0] for name in ("parts", "seen_keypoints", "predicted")}
    truth = task.truth(only)
    task.residuals(task.lifted(only, truth, 0), only, truth)["joints"].backward()
    assert all(parameter.grad is None for parameter in task.network.finder.parameters())
    assert task.network.lifter.places.weight.grad is not None
    assert set(losses) == {"rotations", "betas", "joints", "projection", "camera", "maps", "places"}


def test_true_answer_costs_nothing() -> None:
    batch, task = people(5), fitter_task()
    scale, offset = crop_camera_from_translation(batch["joints_3d"][:, 0], Camera(batch["focal"], batch["center"]), 256)
    output = FitterOutput(batch["betas"], batch["rotations"], scale, offset)
    for name, value in task.residuals(output, batch, task.truth(batch)).items():
        assert value < 1e-4, name


def test_nobody_learns_whether_ignored_boxes_hold_people() -> None:
    torch.manual_seed(0)
    task = LocatorTask(Locator(0.25), LocatorWeights())
    boxes = torch.tensor([[[0.0, 0.0, 0.25, 0.25], [0.0, 0.0, 0.5, 1.0]]])
    valid = torch.tensor([[True, False]])
    centers = torch.zeros(1, 1, 16, 16, requires_grad=True)
    output = LocatorOutput(centers, torch.full((1, 4, 16, 16), 0.1))
    batch = {"image": torch.empty(0), "boxes": boxes, "valid": valid, "ignore": ~valid}
    task.losses(lambda image: output, batch)["center"].backward()
    assert centers.grad is not None
    learnt = centers.grad[0, 0] != 0
    assert learnt[:4, :4].all()  # in somebody's box
    assert not learnt[4:, :8].any()
    assert learnt[:, 8:].all()


def test_frozen_layers_stay(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = SegmenterTask(Segmenter(16, 16, 0.25), SegmenterWeights(), "cpu")
    before = {name: value.clone() for name, value in task.network.named_parameters()}
    batch = {name: value[:2] for name, value in people(2).items()}
    learnt = train(task, repeat(batch), config(tmp_path, steps=2, average=0.0, frozen=("joints.0.stem", "trunk.")))
    moved = {name for name, value in learnt.named_parameters() if not torch.equal(value, before[name])}
    assert moved
    assert not any(name.startswith(("joints.0.stem", "trunk.")) for name in moved)


def test_smaller_box_owns_shared_cells() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [0.4, 0.4, 0.6, 0.6], [0.0, 0.0, 0.2, 0.2]]])
    heat, owner = center_targets(boxes, torch.tensor([[True, True, False]]), 32)
    assert heat.max() == 1
    assert (heat == 1).sum() == 1  # both visible centres fall into one cell; the invalid box makes none
    assert owner[0, 16, 16] == 1
    assert owner[0, 16, 20] == 0


def test_real_photos_are_compared_after_merging() -> None:
    """Exchanging front and back of a real photo's labels changes nothing; of a synthetic one it does."""
    torch.manual_seed(0)
    batch = people(2)
    swapped = {**batch, "parts": batch["parts"].clone()}
    swapped["parts"][:, 3:5] = batch["parts"][:, 3:5].flip(1)
    groups = MERGE[TRUSTED_PARTS]
    assert groups[3] == groups[4]
    assert merge_probabilities(batch["parts"], TRUSTED_PARTS).shape[1] == TRUSTED_PARTS + 1
    task = SegmenterTask(Segmenter(16, 16, 0.25).eval(), SegmenterWeights(foreground=1.0), "cpu")
    for real, same in ((True, True), (False, False)):
        flags = {"real": torch.full((2,), real)}
        a, b = (task.losses(task.network, {**labels, **flags})["parts"] for labels in (batch, swapped))
        assert torch.isclose(a, b, rtol=1e-5).item() is same
