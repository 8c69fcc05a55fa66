"""Where training batches come from: synthetic people, real photos, or both, seeded by the step."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

from nbf.body.files import load_body
from nbf.data.fits import FittedBodies, RealFits
from nbf.data.pack import PhotoPack, Photos
from nbf.errors import DataError
from nbf.synth.crowd import CrowdSampler
from nbf.synth.sampler import Sampler
from nbf.synth.tracks import CONFIGS
from nbf.train.batch import Batch, Source, concatenate, mixed_seed
from nbf.train.drawing import BODY_LABELS
from nbf.train.photo_crops import RealCrops
from nbf.train.photo_scenes import MOST_PEOPLE, RealScenes

logger = logging.getLogger(__name__)

SEGMENTER_LABELS = ("image", "parts", "ignore", "real", "surface", "surface_mask", *BODY_LABELS)
LOCATOR_LABELS = ("image", "boxes", "valid", "ignore")
# Batches that samples are drawn from again when they are used more than once.
POOL = 12
# A normal distribution this wide is uniform on the circle to within 1 %.
ANY_ROLL_DEG = 200.0


@dataclass(frozen=True)
class DataConfig:
    """What a network is trained on."""

    batch: int = 64
    """Samples per step."""
    real: float = 0.35
    """Share of real photos among them, if the pack of real photos is there."""
    reuse: int = 1
    """How often a sample is used on average. Above 1 saves drawing time; a resumed run then repeats only roughly."""
    cache: Path = Path("runs/cache")
    """Folder with the packs of tools/pack_training.py."""
    validation: int = 256
    """Samples of the test split that are measured now and then."""


@dataclass(frozen=True)
class SegmenterData(DataConfig):
    """What the segmenter is trained on."""

    studio: float = 0.0
    """Share of the synthetic people who stand in the benchmark's plain room."""
    rolled: float = 0.0
    """Share of the synthetic people whom a camera sees that is rolled by any angle."""


Draw = Callable[[int], Batch]
"""A batch for a seed."""


def seeded(draw: Draw, seed: int) -> Source:
    """Endless batches, each from a seed of its own: the run's seed and the step."""

    def source(step: int) -> Iterator[Batch]:
        while True:
            yield draw(mixed_seed(seed, step))
            step += 1

    return source


def reused(source: Source, times: int, seed: int) -> Source:
    """Batches mixed from the last POOL ones of `source`, of which a new one is drawn every `times` steps."""
    if times <= 1:
        return source

    def mixed(step: int) -> Iterator[Batch]:
        pool: list[Batch] = []
        fresh = source(step)
        generator = Generator().manual_seed(mixed_seed(seed, step))
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


def segmenter_draw(config: SegmenterData, split: str, device: torch.device, synthetic: Sampler) -> Draw:
    """Crops of synthetic people and of real photos; without the pack of real photos synthetic people only.

    Raises DataError for shares of people that are negative or sum to more than one, and for photos alone.
    """
    real = load_photos(config.cache, split)
    count = round(config.batch * config.real) if real is not None else 0
    crops = None
    if real is not None:
        crops = RealCrops(real.to(device), synthetic.backgrounds, bodies=_fitted(config.cache, split, real, device))
    people = config.batch - count
    if people < 1:
        raise DataError(f"real: expected a share below one, since photos lack labels, got {config.real}")
    rolled = replace(synthetic.config, view=replace(synthetic.config.view, roll_deg=ANY_ROLL_DEG))
    shares = {
        synthetic.like(CONFIGS["studio"]): round(people * config.studio),
        synthetic.like(rolled): round(people * config.rolled),
    }
    shares[synthetic] = people - sum(shares.values())
    if min(shares.values()) < 0:
        raise DataError(
            f"studio and rolled: expected shares that sum to one at most, got {config.studio} and {config.rolled}"
        )

    def draw(seed: int) -> Batch:
        synthetic.generator.manual_seed(seed)
        batches = [_only(sampler.sample(share), SEGMENTER_LABELS) for sampler, share in shares.items() if share]
        for batch in batches:
            batch["has_body"] = torch.ones_like(batch["real"])
        if crops is not None and count:
            batches.append(crops.sample(count, synthetic.generator))
        return concatenate(batches)

    return draw


def locator_draw(config: DataConfig, split: str, device: torch.device, synthetic: Sampler) -> Draw:
    """Whole pictures with synthetic and with real people; without the pack of real photos synthetic people only."""
    crowd = CrowdSampler(synthetic)
    real = load_photos(config.cache, split)
    count = round(config.batch * config.real) if real is not None else 0
    scenes = RealScenes(real.to(device), synthetic.backgrounds) if real is not None else None

    def draw(seed: int) -> Batch:
        synthetic.generator.manual_seed(seed)
        batches = [_padded(crowd.sample(config.batch - count), MOST_PEOPLE)] if count < config.batch else []
        if scenes is not None and count:
            batches.append(_only(scenes.sample(count, synthetic.generator), LOCATOR_LABELS))
        return concatenate(batches)

    return draw


def _padded(crowd: dict[str, Tensor], most: int) -> Batch:
    """Scenes of synthetic people with as many boxes as photos have, none of them to be ignored."""
    more = most - crowd["valid"].shape[1]
    valid = pad(crowd["valid"], (0, more))
    return crowd | {"boxes": pad(crowd["boxes"], (0, 0, 0, more)), "valid": valid, "ignore": torch.zeros_like(valid)}


def load_photos(cache: Path, split: str) -> Photos | None:
    """The decoded pack of real photos of a split; None, and a warning, where there is none."""
    path = cache / f"real_{split}.npz"
    if path.is_file():
        return PhotoPack.load(path).decode()
    logger.warning("no real photos at %s: training on synthetic people alone", path)
    return None


def _fitted(cache: Path, split: str, photos: Photos, device: torch.device) -> FittedBodies | None:
    """The bodies that `nbf fit-photos` fitted to the training photos, if it did."""
    path = cache / "real_fits.npz"
    if split != "train" or not path.is_file():
        return None
    return FittedBodies(RealFits.load(path, photos).to(device), load_body("anny24", "small").to(device))


def _only(batch: dict[str, Tensor], names: tuple[str, ...]) -> Batch:
    return {name: batch[name] for name in names}
