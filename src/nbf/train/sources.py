"""Where training batches come from: synthetic people, real photos, or both, seeded by the step."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor

from nbf.data.crops import RealCrops
from nbf.data.pack import PhotoPack, Photos
from nbf.data.scenes import RealScenes
from nbf.nets.blocks import for_inference
from nbf.nets.segmenter import Segmenter, part_probabilities
from nbf.synth.crowd import CrowdSampler
from nbf.synth.sampler import Sampler
from nbf.train.batch import Batch, Source, concatenate

logger = logging.getLogger(__name__)

SEGMENTER_LABELS = ("image", "parts", "ignore", "real", "keypoints", "surface", "surface_mask")
BODY_LABELS = ("betas", "rotations", "translation", "focal", "center", "joints_3d", "joints_2d")
FITTER_LABELS = ("parts", "keypoints", "real", *BODY_LABELS)
LOCATOR_LABELS = ("image", "boxes", "valid")
# Batches that samples are drawn from again when they are used more than once.
POOL = 12
# Focal length of a real photo in crop sides: its diagonal, where the person's crop is about the photo's longer side.
REAL_FOCAL = 1.25


@dataclass(frozen=True)
class DataConfig:
    """What a network is trained on."""

    batch: int = 64
    """Samples per step."""
    real: float = 0.35
    """Share of real photos among them, if the pack of real photos is there (the fitter needs a segmenter, too)."""
    predicted: float = 0.5
    """Share of synthetic people seen through the segmenter, if one is given (fitter)."""
    reuse: int = 1
    """How often a sample is used on average. Above 1 saves drawing time; a resumed run then repeats only roughly."""
    cache: Path = Path("runs/cache")
    """Folder with the packs of tools/pack_training.py."""
    validation: int = 256
    """Samples of the test split that are measured now and then."""


Draw = Callable[[int], Batch]
"""A batch for a seed."""


def seeded(draw: Draw, seed: int) -> Source:
    """Endless batches, each from a seed of its own: the run's seed and the step."""

    def source(step: int) -> Iterator[Batch]:
        while True:
            yield draw((seed << 32) + step)
            step += 1

    return source


def reused(source: Source, times: int, seed: int) -> Source:
    """Batches mixed from the last POOL ones of `source`, of which a new one is drawn every `times` steps."""
    if times <= 1:
        return source

    def mixed(step: int) -> Iterator[Batch]:
        pool: list[Batch] = []
        fresh = source(step)
        generator = Generator().manual_seed((seed << 32) + step)
        while True:
            pool = [*pool[-POOL + 1 :], next(fresh)]
            for _ in range(times):
                yield mix_rows(pool, generator)

    return mixed


def mix_rows(pool: list[Batch], generator: Generator) -> Batch:
    """A batch like those in the pool, each row from a random one of them.

    Rows keep their position, so that a label that covers only the first rows still does.
    """
    choice = torch.randint(len(pool), (max(map(len, pool[0].values())),), generator=generator)
    mixed = {}
    for name, example in pool[0].items():
        mixed[name] = example.clone()
        for index in range(1, len(pool)):
            rows = (choice[: len(example)] == index).nonzero()[:, 0].to(example.device)
            mixed[name][rows] = pool[index][name][rows]
    return mixed


def segmenter_draw(config: DataConfig, split: str, device: torch.device, synthetic: Sampler) -> Draw:
    """Crops of synthetic people and of real photos; without the pack of real photos synthetic people only."""
    real = load_photos(config.cache, split)
    count = round(config.batch * config.real) if real is not None else 0
    crops = RealCrops(real.to(device), synthetic.backgrounds) if real is not None else None

    def draw(seed: int) -> Batch:
        synthetic.generator.manual_seed(seed)
        batches = [_only(synthetic.sample(config.batch - count), SEGMENTER_LABELS)]
        if crops is not None and count:
            batches.append(crops.sample(count, synthetic.generator))
        return concatenate(batches)

    return draw


def fitter_draw(
    config: DataConfig, synthetic: Sampler, segmenter: Segmenter | None = None, real: Photos | None = None
) -> Draw:
    """Synthetic people by their true parts and, with a segmenter, synthetic people and real photos as it sees them."""
    some = round(config.batch * config.real) if segmenter is not None and real is not None else 0
    seen = round((config.batch - some) * config.predicted) if segmenter is not None else 0
    crops = RealCrops(real.to(synthetic.generator.device), synthetic.backgrounds) if real is not None and some else None
    look = None if segmenter is None else for_inference(segmenter)

    def draw(seed: int) -> Batch:
        synthetic.generator.manual_seed(seed)
        batches = []
        if look is not None and seen:
            batches.append(as_seen(synthetic.sample(seen), look))
        if look is not None and crops is not None:
            batches.append(as_seen(without_body(crops.sample(some, synthetic.generator), synthetic), look))
        if config.batch > seen + some:
            true = _only(synthetic.sample(config.batch - seen - some, picture=False), FITTER_LABELS)
            batches.append(true | {"predicted": torch.zeros_like(true["real"])})
        return concatenate(batches)

    return draw


@torch.no_grad()
def as_seen(batch: Batch, segmenter: Segmenter) -> Batch:
    """A fitter's batch whose part maps are the segmenter's predictions."""
    image = batch["image"].contiguous(memory_format=torch.channels_last)
    with torch.autocast(image.device.type, torch.bfloat16):
        parts = part_probabilities(segmenter(image))
    return _only(batch, FITTER_LABELS) | {"parts": parts.float(), "predicted": torch.ones_like(batch["real"])}


def without_body(batch: Batch, synthetic: Sampler) -> Batch:
    """A batch of real crops with the labels of a fitter's batch: a placeholder body, and the focal length of a photo
    that shows a whole person (its diagonal, as `Camera.default`). Only the keypoints are to be believed."""
    count, side = len(batch["image"]), synthetic.config.resolution
    device = batch["image"].device
    translation = torch.tensor([0.0, 0.0, 4.0], device=device).expand(count, 3)
    betas = torch.zeros(count, synthetic.body.shape_count, device=device)
    rotations = torch.eye(3, device=device).expand(count, 24, 3, 3).contiguous()
    joints = synthetic.body.rest_joints(betas) + translation[:, None]
    return {name: batch[name] for name in ("image", "parts", "keypoints", "real")} | {
        "betas": betas,
        "rotations": rotations,
        "translation": translation,
        "focal": torch.full((count,), REAL_FOCAL * side, device=device),
        "center": torch.full((count, 2), side / 2, device=device),
        "joints_3d": joints,
        "joints_2d": torch.zeros(count, 24, 2, device=device),
    }


def locator_draw(config: DataConfig, split: str, device: torch.device, synthetic: Sampler) -> Draw:
    """Whole pictures with synthetic and with real people; without the pack of real photos synthetic people only."""
    crowd = CrowdSampler(synthetic)
    real = load_photos(config.cache, split)
    count = round(config.batch * config.real) if real is not None else 0
    scenes = RealScenes(real.to(device), synthetic.backgrounds) if real is not None else None

    def draw(seed: int) -> Batch:
        synthetic.generator.manual_seed(seed)
        batches = [_only(crowd.sample(config.batch - count), LOCATOR_LABELS)] if count < config.batch else []
        if scenes is not None and count:
            batches.append(_only(scenes.sample(count, synthetic.generator), LOCATOR_LABELS))
        return concatenate(batches)

    return draw


def load_photos(cache: Path, split: str) -> Photos | None:
    """The decoded pack of real photos of a split; None, and a warning, where there is none."""
    path = cache / f"real_{split}.npz"
    if path.is_file():
        return PhotoPack.load(path).decode()
    logger.warning("no real photos at %s: training on synthetic people alone", path)
    return None


def _only(batch: dict[str, Tensor], names: tuple[str, ...]) -> Batch:
    return {name: batch[name] for name in names}
