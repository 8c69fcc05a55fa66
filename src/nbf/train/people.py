"""The fitter's batches, put together from packs of drawn people."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from nbf.body.joints import MIRROR_COCO17, MIRROR_SMPL24, mirror_rotations
from nbf.body.parts import MIRROR24
from nbf.errors import DataError
from nbf.nets.segmenter import INPUT_SIZE
from nbf.train.batch import BODY_LABELS, Batch, Source, concatenate, mixed_seed
from nbf.train.packs import expand, load_packs


@dataclass(frozen=True)
class PeopleConfig:
    """What the fitter is trained on: packs of `nbf draw`."""

    people: Path = Path("runs/cache/people")
    """Folder of the packs: dressed people seen through the segmenter; in its folders, if they are there, dressed people
    by their true maps (`labels`), naked ones (`bare`), people without a map (`skeletons`), fitted photos (`photos`)."""
    test: Path = Path("runs/cache/people_test")
    """Folder of dressed people of the test split, on which training is validated."""
    batch: int = 128
    """Part maps per step."""
    skeletons: int = 512
    """People per step of whom only the joints are shown."""
    bare: float = 0.25
    """Share of naked people among the maps, if there are any."""
    photos: float = 0.12
    """Share of photos among the maps, if there are any."""
    predicted: float = 0.5
    """Share of the dressed people seen through the segmenter."""
    validation: int = 1024
    """People of the test split that are measured now and then."""


# Kinds from which people without a map are taken, the first that there is.
MAPLESS = ("skeletons", "bare", "labels")


class Share(NamedTuple):
    """Rows of a batch: people of one kind, seen through the segmenter, by their true maps (False) or by none (None)."""

    kind: str
    seen: bool | None
    count: int


def people_source(config: PeopleConfig, seed: int, device: torch.device) -> Source:
    """Endless batches of people, each from a seed of its own: the run's seed and the step.

    `parts` and `seen_keypoints` are given for the first rows, the people whose maps are shown; `predicted` says which
    of these maps are the segmenter's. All rows have the labels of the body. Raises DataError where packs are missing.
    """
    groups = load_groups(config.people)
    wanted = shares(config, set(groups))

    def source(step: int) -> Iterator[Batch]:
        while True:
            generator = Generator().manual_seed(mixed_seed(seed, step))
            rows = [_draw(groups[each.kind], each.seen, each.count, generator) for each in wanted]
            yield _expanded(concatenate_partly(rows), device)
            step += 1

    return source


def load_groups(people: Path) -> dict[str, Batch]:
    """The packs of each kind of people in a folder; dressed ones have `labels` as well. Raises DataError where there
    are none whose maps can be shown."""
    folders = {"dressed": people} | {kind: people / kind for kind in ("labels", "bare", "skeletons", "photos")}
    files = {kind: sorted(folder.glob("*.npz")) for kind, folder in folders.items()}
    if not files["dressed"] and not files["labels"]:
        raise DataError(f"{people}: no packs of people there or in its folder labels; make them with `nbf draw`")
    groups = {kind: load_packs(some) for kind, some in files.items() if some}
    true = [
        {name: groups[kind][name] for name in ("parts", *BODY_LABELS)}
        for kind in ("dressed", "labels")
        if kind in groups
    ]
    return groups | {"labels": concatenate(true)}


def held_out_batches(config: PeopleConfig, seen: bool, device: torch.device) -> list[Batch]:
    """The people to validate on, by their true part maps or by what the segmenter saw."""
    people = load_packs(sorted(config.test.glob("*.npz")))
    rows = torch.arange(min(config.validation, len(people["betas"])))
    return [_expanded(rows_of(people, some, seen), device) for some in rows.split(config.batch)]


def _expanded(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device, and there, where it costs least, its part maps as probabilities."""
    batch = {name: value.to(device) for name, value in batch.items()}
    return batch | {"parts": expand(batch["parts"])}


def shares(config: PeopleConfig, kinds: set[str]) -> list[Share]:
    """What a batch is made of, in the order of its rows, if there are packs of these kinds."""
    photos = round(config.batch * config.photos) if "photos" in kinds else 0
    bare = round(config.batch * config.bare) if "bare" in kinds else 0
    seen = round((config.batch - photos - bare) * config.predicted) if "dressed" in kinds else 0
    true = config.batch - photos - bare - seen
    rows = [
        Share("photos", True, photos),
        Share("bare", False, bare),
        Share("dressed", True, seen),
        Share("labels", False, true),
        Share(next(kind for kind in MAPLESS if kind in kinds), None, config.skeletons),
    ]
    return [row for row in rows if row.count]


def _draw(people: Batch, seen: bool | None, count: int, generator: Generator) -> Batch:
    rows = torch.randint(len(people["betas"]), (count,), generator=generator)
    mirrored = torch.rand(count, generator=generator) < 0.5
    return mirror_people(rows_of(people, rows, seen), mirrored)


def rows_of(people: Batch, rows: Tensor, seen: bool | None) -> Batch:
    """Chosen people of packs: their bodies and, unless `seen` is None, a compressed map with what belongs to it."""
    batch = {name: people[name][rows] for name in BODY_LABELS}
    if seen is None:
        return batch
    batch["parts"] = people["seen_parts" if seen else "parts"][rows]
    batch["seen_keypoints"] = people["seen_keypoints"][rows].float() if seen else torch.zeros(len(rows), 17, 3)
    batch["predicted"] = torch.full((len(rows),), seen)
    return batch


def concatenate_partly(batches: list[Batch]) -> Batch:
    """One batch of all rows; of maps, which the last batches may lack, as many rows as there are."""
    shown = [batch for batch in batches if "parts" in batch]
    strongest = max(batch["parts"].shape[2] for batch in shown)
    maps = [
        {name: _padded(batch[name], strongest) for name in ("parts", "seen_keypoints", "predicted")} for batch in shown
    ]
    bodies = [{name: batch[name] for name in BODY_LABELS} for batch in batches]
    return concatenate(bodies) | concatenate(maps)


def _padded(value: Tensor, strongest: int) -> Tensor:
    """A compressed map with empty labels up to `strongest`; anything else as it is."""
    if value.ndim != 5 or value.shape[2] == strongest:
        return value
    return torch.cat([value, value.new_zeros(*value.shape[:2], strongest - value.shape[2], *value.shape[3:])], 2)


def mirror_people(batch: Batch, mirrored: Tensor) -> Batch:
    """The chosen rows as in the mirrored picture; part maps compressed, pixels of a 256 px crop."""
    flip = torch.tensor([-1.0, 1.0, 1.0])
    other = {
        "betas": batch["betas"],
        "rotations": mirror_rotations(batch["rotations"]),
        "translation": batch["translation"] * flip,
        "focal": batch["focal"],
        "center": torch.stack([INPUT_SIZE - batch["center"][:, 0], batch["center"][:, 1]], -1),
        "keypoints": _mirror_pixels(batch["keypoints"]),
    }
    if "parts" in batch:
        labels, shares = batch["parts"].flip(-1).unbind(1)
        other["parts"] = torch.stack([torch.tensor(MIRROR24, dtype=torch.uint8)[labels.long()], shares], 1)
    if "seen_keypoints" in batch:
        other["seen_keypoints"] = _mirror_pixels(batch["seen_keypoints"])
        other["predicted"] = batch["predicted"]
    if "has_body" in batch:
        other["has_body"] = batch["has_body"]
    if "labelled_2d" in batch:
        order = list(MIRROR_SMPL24)
        pixels, metres = batch["labelled_2d"][:, order], batch["labelled_3d"][:, order]
        other["labelled_2d"] = torch.cat([INPUT_SIZE - pixels[..., :1], pixels[..., 1:]], -1)
        other["labelled_3d"] = metres * torch.tensor([-1.0, 1.0, 1.0, 1.0])
        other["ignore"] = batch["ignore"].flip(-1)
    if "image" in batch:
        other["image"] = batch["image"].flip(-1)
    if "surface" in batch:
        surface = batch["surface"].flip(-1)
        # Bytes; the template's left is its right in the mirror, and nothing is still nothing.
        across = torch.where((surface > 0).any(1), 255 - surface[:, 0], 0)
        other["surface"] = torch.cat([across[:, None], surface[:, 1:]], 1)
    return {
        name: torch.where(mirrored.view(-1, *[1] * (value.ndim - 1)), other[name], value)
        for name, value in batch.items()
    }


def _mirror_pixels(keypoints: Tensor) -> Tensor:
    swapped = keypoints[:, list(MIRROR_COCO17)]
    return torch.cat([INPUT_SIZE - swapped[..., :1], swapped[..., 1:]], -1)
