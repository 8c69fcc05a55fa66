"""The people that experiments train on and measure."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch

from nbf.body.files import load_body
from nbf.body.model import BodyModel
from nbf.experiments.experiment import Lab
from nbf.synth.sampler import Sampler, Split
from nbf.train.batch import Batch, mixed_seed
from nbf.train.drawing import draw_pictures
from nbf.train.packs import load_packs, save_pack
from nbf.train.pictures import held_out_pictures

_BATCH = 16
_FOLDERS: dict[Split, Literal["pictures", "pictures_test"]] = {"train": "pictures", "test": "pictures_test"}


@dataclass(frozen=True)
class Crowd:
    """Drawn people: as stored those to train on, in batches those to measure on."""

    train: Batch
    test: list[Batch]
    body: BodyModel
    """Theirs, in full detail."""


@cache
def crowd(lab: Lab) -> Crowd:
    """The people of a lab, drawn if they are not there: the first ones of the cache's packs, if these hold enough."""
    device = torch.device(lab.device)
    train, test = _people(lab, "train", lab.preset.people), _people(lab, "test", lab.preset.test)
    batches = held_out_pictures(test, lab.preset.test, lab.preset.batch, device)
    return Crowd(train, batches, load_body("anny24", "full").to(device))


def _people(lab: Lab, split: Split, count: int) -> Batch:
    packs = sorted((lab.cache / _FOLDERS[split]).glob("*.npz"))
    if packs:
        stored = load_packs(packs)
        if len(stored["betas"]) >= count:
            return {name: value[:count] for name, value in stored.items()}
    kept = lab.out / "people" / f"{split}_{count}.npz"
    if not kept.is_file():
        save_pack(_drawn(lab, split, count), kept)
    return load_packs([kept])


def _drawn(lab: Lab, split: Split, count: int) -> Batch:
    sampler = Sampler.load(lab.cache, split, device=lab.device)
    batches = []
    for first in range(0, count, _BATCH):
        sampler.generator.manual_seed(mixed_seed("experiments", split, first))
        batches.append(draw_pictures(sampler, min(_BATCH, count - first)))
    return {name: torch.cat([batch[name].cpu() for batch in batches]) for name in batches[0]}
