"""Batches for baselines and experiments: drawn people with their pictures and all that is known of them."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from torch import Generator, Tensor

from nbf.body.files import load_body
from nbf.body.model import BodyModel
from nbf.errors import DataError
from nbf.geometry import Camera
from nbf.nets.hmr import Hmr
from nbf.nets.mean_body import FitterOutput
from nbf.nets.mirror import from_sides, in_crop, in_sides
from nbf.nets.omran import Omran
from nbf.nets.pavlakos import Pavlakos
from nbf.nets.regressor import Regressor
from nbf.nets.segmenter import INPUT_SIZE
from nbf.nets.weights import read_card, save_network
from nbf.proxy.proxy import Proxy, silhouette
from nbf.train.batch import VALIDATION_SEED, Batch, Source, beside, mixed_seed
from nbf.train.body_task import MEAN_BATCHES, BodyTask, place, set_mean, true_joints, validate_bodies
from nbf.train.config import LoopConfig
from nbf.train.corrupt import CorruptionConfig, corrupt, wrong_keypoints
from nbf.train.labelled import LabelledCrops, SetsConfig, labelled_rows, open_sets
from nbf.train.loop import train
from nbf.train.packs import expand, load_packs
from nbf.train.people import mirror_people

BaselineT = TypeVar("BaselineT", Hmr, Omran, Pavlakos, Regressor)
SIDE = 128
"""Pixels of the pictures."""


@dataclass(frozen=True)
class PicturesConfig(SetsConfig):
    """What the baselines are trained on: packs of `nbf draw --kind pictures`, and data sets."""

    people: Path = Path("runs/cache/pictures")
    """Folder of the packs; not read where data sets are all of every batch."""
    test: Path = Path("runs/cache/pictures_test")
    """Folder of people of the test split, on which training is validated, unless `test_split` says of what else."""
    batch: int = 64
    """People per step."""
    validation: int = 512
    """People of the test split that are measured now and then."""


def load_pictures(folder: Path) -> Batch:
    """The people of all packs in a folder, as stored. Raises DataError where there are none."""
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise DataError(f"{folder}: no packs of people with pictures; draw them with `nbf draw --kind pictures`")
    return load_packs(files)


def pictures_source(people: Batch, count: int, seed: int, device: torch.device, known: float = 0.0) -> Source:
    """Endless batches of `count` of the people, mirrored by chance, each from a seed of its own: the run's seed and the
    step. `image` (n,3,128,128), `parts` and `surface` are as `nbf.train.batch` has them, but for the smaller picture.

    `known` is a share of every batch that is taken from those who have a body (`has_body`).
    """
    bodies = people["has_body"].nonzero()[:, 0] if known else torch.zeros(0, dtype=torch.long)

    def source(step: int) -> Iterator[Batch]:
        while True:
            generator = Generator().manual_seed(mixed_seed(seed, step))
            rows = torch.randint(len(people["betas"]), (count,), generator=generator)
            if some := round(known * count):
                rows[:some] = bodies[torch.randint(len(bodies), (some,), generator=generator)]
            drawn = {name: value[rows] for name, value in people.items()}
            yield _expanded(_mirrored_by_chance(drawn, generator), device)
            step += 1

    return source


def labelled_source(sets: Sequence[tuple[LabelledCrops, int]], seed: int, device: torch.device) -> Source:
    """The same of data sets, so many people of each, with `labelled_2d`, `labelled_3d` and `has_body`."""

    def source(step: int) -> Iterator[Batch]:
        while True:
            generator = Generator().manual_seed(mixed_seed("sets", seed, step))
            yield _expanded(_mirrored_by_chance(labelled_rows(sets, SIDE, generator), generator), device)
            step += 1

    return source


def held_out_pictures(people: Batch, count: int, batch: int, device: torch.device) -> list[Batch]:
    """The first `count` people, in batches of at most `batch`."""
    rows = torch.arange(min(count, len(people["betas"])))
    return [_expanded({name: value[some] for name, value in people.items()}, device) for some in rows.split(batch)]


def _mirrored_by_chance(batch: Batch, generator: Generator) -> Batch:
    return mirror_people(batch, torch.rand(len(batch["betas"]), generator=generator) < 0.5)


def _expanded(batch: dict[str, Tensor], device: torch.device) -> Batch:
    """On a device, and there, where it costs least, with pictures and maps as numbers."""
    batch = {name: value.to(device) for name, value in batch.items()}
    of_bytes = {name: batch[name].float() / 255 for name in ("image", "surface") if name in batch}
    return batch | of_bytes | {"parts": expand(batch["parts"])}


def proxy_of(batch: Batch) -> Proxy:
    """What is truly there, of a batch."""
    return Proxy(
        Camera(batch["focal"], batch["center"]).scaled(1 / INPUT_SIZE),
        batch["parts"],
        in_sides(in_crop(batch["keypoints"])),
        silhouette=silhouette(batch["parts"]),
        surface=batch["surface"],
        image=batch["image"],
    )


@torch.no_grad()
def spoilt(proxy: Proxy, how: CorruptionConfig) -> Proxy:
    """Joints and silhouette as a segmenter might have seen them."""
    assert proxy.joints is not None
    assert proxy.parts is not None
    joints = in_sides(wrong_keypoints(from_sides(proxy.joints)))
    return replace(proxy, joints=joints, silhouette=silhouette(corrupt(proxy.parts, how)))


def train_baseline(
    task: BodyTask[BaselineT], data: PicturesConfig, loop: LoopConfig, show: Callable[[Batch], tuple[Tensor, ...]]
) -> BaselineT:
    """The averaged network, which knows how wrong it was for the people of the test split; so does its file.

    `show` makes a network's inputs when it is measured, where a task's may spoil them. Raises DataError where packs or
    data sets are missing.
    """
    device = torch.device(loop.device)
    source, held_out = people_to_learn_from(task, data, loop)
    set_mean(task.network, task.body, islice(source(0), MEAN_BATCHES))
    task.network.to(device)

    def validate(network: BaselineT) -> dict[str, float]:
        return validate_bodies(lambda batch: network(*show(batch)), held_out, task.body)

    network = train(task, source, loop, validate)
    with torch.no_grad():
        network.set_errors(*errors(((network(*show(batch)), batch) for batch in held_out), task.body))
    weights = loop.folder / "weights.safetensors"
    save_network(network, weights, read_card(weights)["record"])
    return network


def people_to_learn_from(task: BodyTask, data: PicturesConfig, loop: LoopConfig) -> tuple[Source, list[Batch]]:
    """Drawn people and those of data sets, as the configuration mixes them; and batches to validate on."""
    device, body = torch.device(loop.device), copy.deepcopy(task.body).cpu()
    needs = "joints" if isinstance(task.network, Hmr) else "map"

    def opened(split: str) -> list[tuple[LabelledCrops, int]]:
        return open_sets(replace(data, split=split), data.batch, body, task.model, needs=needs)

    sets = opened(data.split)
    count = data.batch - sum(some for _, some in sets)
    sources = [labelled_source(sets, loop.seed, device)] if sets else []
    if count:
        sources.append(pictures_source(load_pictures(data.people), count, loop.seed, device))
    if not data.test_split:
        return beside(sources), held_out_pictures(load_pictures(data.test), data.validation, data.batch, device)
    test = labelled_source(opened(data.test_split), VALIDATION_SEED, device)(0)
    batches = ({name: value[batch["has_body"]] for name, value in batch.items()} for batch in test)
    return beside(sources), list(islice(batches, max(data.validation // data.batch, 1)))


@torch.no_grad()
def errors(answers: Iterable[tuple[FitterOutput, Batch]], body: BodyModel) -> tuple[Tensor, Tensor]:
    """How far answers are from the truth: of each joint (24,) on average, metres relative to the pelvis; of each of the
    betas (s,), the root of the mean square."""
    joints, betas = [], []
    for output, batch in answers:
        camera = Camera(batch["focal"], batch["center"])
        found, true = place(body, output, camera).joints, true_joints(body, batch)
        joints.append((found - found[:, :1] - true + true[:, :1]).norm(dim=-1))
        betas.append(output.betas - batch["betas"])
    return torch.cat(joints).mean(0), torch.cat(betas).square().mean(0).sqrt()


def small_body(device: str) -> BodyModel:
    """The body that baselines are trained through."""
    return load_body("anny24", "small").to(device)
