"""Whatever draws and trains on a GPU keeps its tensors there: checked on a pretended one, with two people."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from packs import random_pack, random_people, small
from photos import sportsman, write_photo, write_photos
from pretended import CUDA, PretendedCuda, PretendedGenerator, module_to
from torch import Generator, nn

from nbf.data.fits import RealFits
from nbf.data.pack import Photos, load_photos, pack_photos
from nbf.data.sets.varied import varied_photos
from nbf.nets import Fitter, Locator, Segmenter
from nbf.nets.blocks import for_inference
from nbf.synth.sampler import Sampler
from nbf.train import drawing
from nbf.train.batch import Batch
from nbf.train.config import DataConfig
from nbf.train.corrupt import CorruptionConfig
from nbf.train.fitter import FitterTask, FitterWeights, validate_fitter
from nbf.train.locator import LocatorTask, LocatorWeights, locator_draw, validate_locator
from nbf.train.packs import save_pack
from nbf.train.people import PeopleConfig, held_out_batches, people_source
from nbf.train.segmenter import (
    SegmenterData,
    SegmenterTask,
    SegmenterWeights,
    segmenter_draw,
    validate_segmenter,
)


@pytest.fixture(autouse=True)
def pretended(monkeypatch: pytest.MonkeyPatch) -> object:
    """Makes "cuda" a device."""
    for name, module in list(sys.modules.items()):
        if name.startswith("nbf.") and getattr(module, "Generator", None) is Generator:
            monkeypatch.setattr(module, "Generator", PretendedGenerator)
    monkeypatch.setattr(torch, "Generator", PretendedGenerator)
    monkeypatch.setattr(nn.Module, "to", module_to(nn.Module.to))
    with PretendedCuda() as mode:
        yield mode


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packs of two photos, each with one person, who has a fitted body."""
    shared, cache = (tmp_path_factory.mktemp(name) for name in ("shared", "cache"))
    lines = [write_photo(shared, f"lspet/{i}", [sportsman()], split) for i, split in enumerate(("train", "val"))]
    write_photos(shared, lines)
    for split in ("train", "val"):
        pack = pack_photos(varied_photos(shared, split))
        replace(pack, clean_mask=~pack.clean_mask).save(cache / f"real_{split}.npz")
    photos = load_photos(cache, "train")
    assert photos is not None
    count, body = len(photos.photo), random_people(len(photos.photo), 0)
    sure = torch.ones(count)
    RealFits(
        photo=photos.photo,
        boxes=photos.boxes,
        betas=body["betas"],
        axis_angle=torch.zeros(count, 24, 3),
        translation=body["translation"],
        focal=body["focal"],
        center=body["center"],
        kept=sure > 0,
        pck=sure,
        keypoint_error=sure,
        iou=sure,
        part_share=sure,
    ).save(cache / "real_fits.npz")
    return cache


def on_cuda(batch: Batch) -> bool:
    return all(value.device.type == "cuda" for value in batch.values())


def sampler(cache: Path) -> Sampler:
    return Sampler.load(cache, "train", device=CUDA)


def tiny_segmenter() -> Segmenter:
    return Segmenter(16, 16, 0.25).to(CUDA)


def tiny_fitter() -> Fitter:
    return Fitter(small().shape_count, width=8, features=4, lifter=64, blocks=1)


def fitter_task(network: Fitter, corruption: CorruptionConfig | None = None) -> FitterTask:
    return FitterTask(network.to(CUDA), small().to(CUDA), FitterWeights(), corruption)


def test_segmenter(cache: Path) -> None:
    config = SegmenterData(batch=6, real=0.34, studio=0.25, rolled=0.25, cache=cache)
    batch = segmenter_draw(config, "train", CUDA, sampler(cache))(0)
    assert on_cuda(batch)
    judge = fitter_task(for_inference(tiny_fitter()))
    task = SegmenterTask(tiny_segmenter(), SegmenterWeights(body=1.0), CUDA, judge)
    assert on_cuda(task.losses(task.network, batch))
    validate_segmenter(task.network, [batch])


def test_locator(cache: Path) -> None:
    batch = locator_draw(DataConfig(batch=4, real=0.5, cache=cache), "train", CUDA, sampler(cache))(0)
    assert on_cuda(batch)
    task = LocatorTask(Locator(0.25).to(CUDA), LocatorWeights())
    assert on_cuda(task.losses(task.network, batch))
    validate_locator(task.network, [batch])


def test_fitter(tmp_path: Path) -> None:
    save_pack(random_pack(8, 1), tmp_path / "0.npz")
    config = PeopleConfig(people=tmp_path, test=tmp_path, batch=4, skeletons=3)
    batch = next(people_source(config, 0, CUDA)(0))
    assert on_cuda(batch)
    task = fitter_task(tiny_fitter(), CorruptionConfig())
    assert on_cuda(task.losses(task.network, batch))
    validate_fitter(task.network, held_out_batches(config, True, CUDA), fitter_task(task.network))


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_drawing(cache: Path) -> None:
    people, segmenter = sampler(cache), tiny_segmenter().eval()
    assert on_cuda(drawing.draw_dressed(people, segmenter, 2))
    assert on_cuda(drawing.draw_labels(people, 2))
    assert on_cuda(drawing.draw_bare(people, 2))
    assert on_cuda(drawing.draw_skeletons(people, 2))
    photos = load_photos(cache, "train")
    assert isinstance(photos, Photos)
    fits, photos = RealFits.load(cache / "real_fits.npz", photos).to(CUDA), photos.to(CUDA)
    assert on_cuda(drawing.draw_photos(photos, fits, segmenter, 2, PretendedGenerator(CUDA)))
    assert on_cuda(drawing.draw_snapshots(photos, segmenter, 2, PretendedGenerator(CUDA)))


def test_the_pretended_device_refuses_what_cuda_refuses() -> None:
    here, there = torch.ones(3), torch.ones(3, device=CUDA)
    for mixed in (
        lambda: here + there,
        lambda: torch.cat([here, there]),
        lambda: here[there.long()],
        lambda: there.numpy(),
        lambda: torch.rand(3, device=CUDA, generator=PretendedGenerator()),
        lambda: here.add_(there.sum()),
        lambda: there.index_copy_(0, torch.tensor([1, 2]), there[:2]),
    ):
        with pytest.raises((RuntimeError, TypeError)):
            mixed()
    assert (there[here.long()] + torch.tensor(1.0)).device == CUDA
    there[:2] = here[:2]
    assert [value.device.type for value in (there.cpu(), there.to(here), here.to(there))] == ["cpu", "cpu", "cuda"]
    assert nn.Linear(3, 2).to(CUDA)(there).device == CUDA
