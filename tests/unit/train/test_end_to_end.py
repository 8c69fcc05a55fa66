"""The segmenter end to end: a fitter, which stays as it is, says through the soft map what the maps are good for."""

import pytest
import torch
from packs import random_people, small

from nbf.nets import Fitter, Segmenter
from nbf.nets.blocks import for_inference
from nbf.nets.segmenter import SegmenterOutput, decode_keypoints, part_probabilities
from nbf.train.batch import Batch
from nbf.train.fitter import FitterTask, FitterWeights
from nbf.train.segmenter import SegmenterTask, SegmenterWeights

COUNT = 4


@pytest.fixture
def task() -> SegmenterTask:
    """Nothing but the fitter's losses count."""
    torch.manual_seed(0)
    fitter = for_inference(Fitter(small().shape_count, width=8, features=4, lifter=64, blocks=1))
    judge = FitterTask(fitter, small(), FitterWeights())
    only_body = SegmenterWeights(parts=0.0, keypoints=0.0, surface=0.0, body=1.0)
    return SegmenterTask(Segmenter(16, 16, 0.25).eval(), only_body, "cpu", judge)


@pytest.fixture
def batch() -> Batch:
    """The last two are of photos; the fit of the last was not kept."""
    draw = torch.Generator().manual_seed(1)
    labels = random_people(COUNT, 1)
    for label in labels.values():
        label[-1] = 0
    return labels | {
        "image": torch.rand(COUNT, 3, 256, 256, generator=draw),
        "parts": torch.rand(COUNT, 25, 64, 64, generator=draw).softmax(1),
        "ignore": torch.zeros(COUNT, 64, 64, dtype=torch.bool),
        "real": torch.arange(COUNT) >= COUNT - 2,
        "has_body": torch.arange(COUNT) < COUNT - 1,
        "surface": torch.rand(COUNT, 3, 64, 64, generator=draw),
        "surface_mask": torch.ones(COUNT, 64, 64, dtype=torch.bool),
    }


def test_the_body_loss_is_the_fitters_own_on_what_the_segmenter_sees(task: SegmenterTask, batch: Batch) -> None:
    assert task.fitter is not None
    output = task.network(batch["image"])
    shown = batch | {
        "parts": part_probabilities(output),
        "seen_keypoints": decode_keypoints(output.keypoints),
        "predicted": torch.ones(COUNT, dtype=torch.bool),
    }
    with_bodies = {name: value[:-1] for name, value in shown.items()}
    expected = sum(task.fitter.losses(task.fitter.network, with_bodies).values())
    torch.testing.assert_close(task.losses(task.network, batch)["body"], expected)


def test_photos_without_bodies_do_not_count(task: SegmenterTask, batch: Batch) -> None:
    changed = batch | {"image": batch["image"].clone()}
    changed["image"][-1] = 0
    torch.testing.assert_close(*(task.losses(task.network, some)["body"] for some in (batch, changed)))


def test_the_loss_falls_as_its_gradient_says_and_the_fitter_stays(task: SegmenterTask, batch: Batch) -> None:
    """Central differences in the part logits; heat maps with one clear peak each."""
    assert task.fitter is not None
    draw = torch.Generator().manual_seed(2)
    cells = torch.arange(64) + 0.0
    peaks = 8 + 48 * torch.rand(2, COUNT, 17, 1, generator=draw)
    across, down = (-((cells - peak) ** 2) / 8 for peak in peaks)
    outputs = [
        3 * torch.randn(COUNT, 25, 64, 64, generator=draw),
        down[..., None] + across[..., None, :],
        torch.rand(COUNT, 3, 64, 64, generator=draw),
    ]

    def loss(moved: list[torch.Tensor]) -> torch.Tensor:
        return task.losses(lambda image: SegmenterOutput(*moved), batch)["body"]

    parts, heat, _ = (output.requires_grad_() for output in outputs)
    loss(outputs).backward()
    assert all(parameter.grad is None for parameter in task.fitter.network.parameters())
    assert parts.grad is not None
    assert heat.grad is not None
    assert heat.grad[0].any()
    assert not torch.cat([parts.grad[-1], heat.grad[-1]]).any(), "the last one has no body"
    step = 3e-4 * parts.grad / parts.grad.norm() ** 2
    with torch.no_grad():
        gained = loss([parts + step, *outputs[1:]]) - loss([parts - step, *outputs[1:]])
    torch.testing.assert_close(gained, torch.tensor(6e-4), rtol=0.02, atol=0.0)
