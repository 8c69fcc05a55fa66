"""Val photos with the joints that people labelled, and what the teachers found there: the ruler for real photos.

The shared folder's `photos`; its README says who labelled what. Nothing here is for training.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.joints import COCO17, LIMB_JOINTS, LSP14
from nbf.data.backgrounds import background_files, is_test
from nbf.data.sets.varied import AGREED, annotations, negatives


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
    return [
        _photo(shared, row, [row["people"][0] | {"joints": row["people"][0]["lsp14"]}], LSP14)
        for row in _val(shared, "lspet")
        if row["people"][0]["teacher_agrees"] >= AGREED
    ]


def coco_photos(shared: Path) -> list[HumanPhoto]:
    """Everybody whom COCO's annotators gave joints; there may be others.

    Raises:
        DataError: the shared folder holds no such photos.
    """
    return [
        _photo(shared, row, [person | {"joints": person["coco17"]} for person in row["human"]], COCO17)
        for row in _val(shared, "coco")
    ]


def empty_photos(shared: Path) -> list[Path]:
    """Pictures with nobody in them that no training sees: animals and things, then backgrounds."""
    return [path for path in (*negatives(shared), *background_files(shared)) if is_test(path.stem)]


def _val(shared: Path, kind: str) -> list[dict[str, Any]]:
    return [row for row in annotations(shared) if row["set"] == kind and row["split"] == "val"]


def _photo(shared: Path, row: dict[str, Any], people: list[dict[str, Any]], names: tuple[str, ...]) -> HumanPhoto:
    limbs = [names.index(name) for name in LIMB_JOINTS]
    joints = torch.tensor([person["joints"] for person in people]).reshape(-1, len(names), 3)[:, limbs]
    joints[..., 2] = (joints[..., 2] > 0).float()
    return HumanPhoto(
        name=row["image"],
        path=shared / "photos" / "images" / f"{row['image']}.webp",
        boxes=torch.tensor([person["box"] for person in people]).reshape(-1, 4),
        joints=joints,
        teachers=_teachers(row["people"]),
    )


def _teachers(people: list[dict[str, Any]]) -> Sightings:
    ordered = sorted(people, key=lambda person: -person["score"])
    limbs = [COCO17.index(name) for name in LIMB_JOINTS]
    nowhere = [[torch.nan] * 3] * len(COCO17)
    return Sightings(
        boxes=torch.tensor([person["box"] for person in ordered]).reshape(-1, 4),
        scores=torch.tensor([float(person["score"]) for person in ordered]),
        joints=torch.tensor([person.get("keypoints", nowhere) for person in ordered]).reshape(-1, 17, 3)[:, limbs, :2],
    )
