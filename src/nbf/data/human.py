"""Val photos with the joints that people labelled, and what the teachers found there: the ruler for real photos.

The shared folder's `photos`; its README says who labelled what. Nothing here is for training.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.joints import COCO17, LIMB_JOINTS, LSP14
from nbf.data.backgrounds import background_files, is_test
from nbf.data.varied import AGREED, annotations, negatives
from nbf.reading import Damaged, shown, to_numbers


@dataclass(frozen=True)
class Sightings:
    """The m people that a method found in a photo, the surest first; pixels."""

    boxes: Float[Tensor, "m 4"]
    """(x0, y0, x1, y1)."""
    scores: Float[Tensor, " m"]
    joints: Float[Tensor, "m 12 2"]
    """`LIMB_JOINTS`; NaN where the method has none."""

    def __getitem__(self, rows: Tensor) -> "Sightings":
        return Sightings(self.boxes[rows], self.scores[rows], self.joints[rows])


@dataclass(frozen=True)
class HumanPhoto:
    """A photo with n people whose joints people labelled; pixels."""

    name: str
    """SET/ID."""
    path: Path
    boxes: Float[Tensor, "n 4"]
    """(x0, y0, x1, y1)."""
    joints: Float[Tensor, "n 12 3"]
    """`LIMB_JOINTS` (x, y, 1 labelled or 0)."""
    teachers: Sightings


def lspet_photos(shared: Path) -> list[HumanPhoto]:
    """One labelled person a photo; only those whose crowd-sourced joints the teachers do not contradict.

    Raises:
        DataError: the shared folder holds no such photos.
    """

    def make(row: dict[str, Any]) -> HumanPhoto | None:
        person = row["people"][0]
        agreed = person["teacher_agrees"] >= AGREED
        return _photo(shared, row, [person | {"joints": person["lsp14"]}], LSP14) if agreed else None

    return _val(shared, "lspet", make)


def coco_photos(shared: Path) -> list[HumanPhoto]:
    """Everybody whom COCO's annotators gave joints; there may be others.

    Raises:
        DataError: the shared folder holds no such photos.
    """

    def make(row: dict[str, Any]) -> HumanPhoto:
        people = [person | {"joints": person["coco17"]} for person in row["human"]]
        return _photo(shared, row, people, COCO17)

    return _val(shared, "coco", make)


def empty_photos(shared: Path) -> list[Path]:
    """Pictures with nobody in them that no training sees: animals and things, then backgrounds."""
    return [path for path in (*negatives(shared), *background_files(shared)) if is_test(path.stem)]


def _val(shared: Path, kind: str, make: Callable[[dict[str, Any]], HumanPhoto | None]) -> list[HumanPhoto]:
    rows = annotations(shared, lambda row: make(row) if row["set"] == kind and row["split"] == "val" else None)
    return [photo for photo in rows if photo is not None]


def _photo(shared: Path, row: dict[str, Any], people: list[dict[str, Any]], names: tuple[str, ...]) -> HumanPhoto:
    limbs = [names.index(name) for name in LIMB_JOINTS]
    joints = _stacked([to_numbers(person["joints"], len(names), 3)[limbs] for person in people], 12, 3)
    if not isinstance(row["image"], str):
        raise Damaged(f"expected a name for image, got {shown(row['image'])}")
    joints[..., 2] = (joints[..., 2] > 0).float()
    return HumanPhoto(
        name=row["image"],
        path=shared / "photos" / "images" / f"{row['image']}.webp",
        boxes=_stacked([to_numbers(person["box"], 4) for person in people], 4),
        joints=joints,
        teachers=_teachers(row["people"]),
    )


def _teachers(people: list[dict[str, Any]]) -> Sightings:
    ordered = sorted(people, key=lambda person: -person["score"])
    limbs = [COCO17.index(name) for name in LIMB_JOINTS]
    nowhere = np.full((len(COCO17), 3), np.nan, np.float32)
    found = [to_numbers(person["keypoints"], 17, 3) if "keypoints" in person else nowhere for person in ordered]
    return Sightings(
        boxes=_stacked([to_numbers(person["box"], 4) for person in ordered], 4),
        scores=_stacked([to_numbers(person["score"]) for person in ordered]),
        joints=_stacked([joints[limbs, :2] for joints in found], 12, 2),
    )


def _stacked(rows: list[np.ndarray], *shape: int) -> Tensor:
    return torch.from_numpy(np.stack(rows)) if rows else torch.zeros(0, *shape)
