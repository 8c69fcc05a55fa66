"""What a training batch holds, how batches are joined, and how a seed becomes endless ones."""

import hashlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor

from nbf import processes
from nbf.errors import DataError

Batch = dict[str, Tensor]
"""Tensors on the training device, first dimension the sample. For people in 256 px crops (labels at 64 px):

    image (n,3,256,256) RGB in [0,1]      parts (n,25,64,64) shares of background and parts   ignore (n,64,64) bool
    keypoints (n,17,3) COCO: x, y in crop pixels, weight in [0,1]        real (n,) bool: parts are trusted merged only
    surface (n,3,64,64), surface_mask (n,64,64) bool                     betas (n,S), rotations (n,24,3,3) cam_from_body
    translation (n,3), joints_3d (n,24,3) camera metres                  focal (n,), center (n,2), joints_2d (n,24,2) px
    has_body (n,) bool: betas to center are known
    labelled_2d (n,24,3) x, y in crop pixels, weight; labelled_3d (n,24,4) metres from the middle of the hips, weight:
    SMPL's joints, of people of data sets whose bodies are not known

and for the locator: image, boxes (n,m,4) x0,y0,x1,y1 in picture sides, valid (n,m) bool: boxes of people, ignore (n,m)
bool: boxes of which nobody knows what they hold. What lies in an ignored box and in no valid one is neither person nor
background; where only one person of a photo is labelled, a box may be ignored that covers all of it.
For the fitter, no image, but labels of the body, and of the first k people, whose maps are shown: parts (k,25,64,64),
seen_keypoints (k,17,3) pixels and score, predicted (k,) bool: the map is what a segmenter saw, not the truth.
"""

BODY_LABELS = ("betas", "rotations", "translation", "focal", "center", "keypoints")
"""What of a batch says how a body stands."""

Draw = Callable[[int], Batch]
"""A batch for a seed."""

Source = Callable[[int], Iterator[Batch]]
"""Endless batches from a training step on: the same step gives the same batches, which makes resuming exact."""

# Batches that samples are drawn from again when they are used more than once.
POOL = 12
# Batches to validate on are drawn from seeds that no training run uses.
VALIDATION_SEED = -1


def mixed_seed(*values: int | str) -> int:
    """One seed for several numbers and names, such as the seed of a run and the number of a step.

    Shifting one of them up will not do: on a CPU, PyTorch's generator looks at the lower 32 bits of its seed alone.
    """
    text = " ".join(map(str, values))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def concatenate(batches: Sequence[Batch]) -> Batch:
    """One batch of all samples; a label that a batch lacks is filled with zeros (which all masks and weights ignore).

    Raises:
        DataError: a label has different shapes in different batches.
    """
    names = {name: value for batch in batches for name, value in batch.items()}
    joined = {}
    for name, example in names.items():
        rows = []
        for batch in batches:
            count = len(next(iter(batch.values())))
            rows.append(batch[name] if name in batch else example.new_zeros(count, *example.shape[1:]))
        shapes = {tuple(row.shape[1:]) for row in rows}
        if len(shapes) > 1:
            raise DataError(f"batches disagree on {name!r}: expected one shape per sample, got {sorted(shapes)}")
        joined[name] = torch.cat(rows)
    return joined


def beside(sources: Sequence[Source]) -> Source:
    """Batches of all sources in one; where one does not say who has a body (`has_body`), everybody has."""

    def source(step: int) -> Iterator[Batch]:
        for batches in zip(*(each(step) for each in sources)):
            known = [{"has_body": torch.ones_like(batch["focal"], dtype=torch.bool)} | batch for batch in batches]
            yield concatenate(known)

    return sources[0] if len(sources) == 1 else source


def seeded(draw: Draw, seed: int) -> Source:
    """Endless batches, each from a seed of its own: the run's seed and the step.

    Of several processes each draws one, all at once, and gives it to the others when its step comes.
    """

    def source(step: int) -> Iterator[Batch]:
        while True:
            own = draw(mixed_seed(seed, step + processes.rank()))
            for owner in range(processes.count()):
                yield processes.handed_out(own, owner)
            step += processes.count()

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


def held_out(draw: Draw, count: int, batch: int) -> list[Batch]:
    """About `count` samples to validate on, in batches of `batch`, one at least: the same ones whatever the run."""
    return [draw(mixed_seed(VALIDATION_SEED, index)) for index in range(max(count // batch, 1))]
