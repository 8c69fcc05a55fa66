"""Val photos with the joints that people labelled, and what the teachers found there: the ruler for real photos.

The shared folder's `photos`; its README says who labelled what. Nothing here is for training.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.arguments import shown
from nbf.body.joints import COCO17, LIMB_JOINTS
from nbf.data.backgrounds import background_files, is_test
from nbf.data.joint_orders import ORDERS
from nbf.data.labelled import JointLabels, LabelledPerson, LabelledPicture
from nbf.data.sets.varied import AGREED, annotations, negatives
from nbf.reading import Damaged, to_numbers

VISIBLE = 2.0
"""COCO's flag of joints that are not only labelled (1) but seen."""


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
    """A photo with n people whose joints people labelled."""

    picture: LabelledPicture
    teachers: Sightings

    @property
    def name(self) -> str:
        """SET/ID."""
        return self.picture.name

    @property
    def path(self) -> Path:
        """The picture's file."""
        assert isinstance(self.picture.source, Path)
        return self.picture.source

    @cached_property
    def boxes(self) -> Float[Tensor, "n 4"]:
        """(x0, y0, x1, y1) in pixels."""
        boxes = [np.zeros(4) if (box := person.bounds()) is None else box for person in self.picture.people]
        return torch.from_numpy(np.array(boxes, np.float32)).reshape(-1, 4)

    @cached_property
    def joints(self) -> Float[Tensor, "n 12 3"]:
        """`LIMB_JOINTS` (x, y in pixels, 1 labelled or 0)."""
        joints = np.zeros((len(self.picture.people), len(LIMB_JOINTS), 3), np.float32)
        for row, person in zip(joints, self.picture.people):
            if person.joints_2d is not None:
                row[:, :2], weight = person.joints_2d.pick(LIMB_JOINTS)
                row[:, 2] = weight > 0
        return torch.from_numpy(joints)

    @cached_property
    def visible(self) -> Bool[Tensor, "n 12"]:
        """Which of them the annotators saw; COCO's say so, who label hidden joints as well."""
        weights = [person.joints_2d.pick(LIMB_JOINTS)[1] for person in self.picture.people if person.joints_2d]
        return torch.from_numpy(np.array(weights).reshape(-1, len(LIMB_JOINTS)) == VISIBLE)


def lspet_photos(shared: Path) -> list[HumanPhoto]:
    """One labelled person a photo; only those whose crowd-sourced joints the teachers do not contradict.

    Raises:
        DataError: the shared folder holds no such photos.
    """

    def make(row: dict[str, Any]) -> HumanPhoto | None:
        person = row["people"][0]
        agreed = person["teacher_agrees"] >= AGREED
        return _photo(shared, row, [person | {"joints": person["lsp14"]}], "lsp14") if agreed else None

    return _val(shared, "lspet", make)


def coco_photos(shared: Path) -> list[HumanPhoto]:
    """Everybody whom COCO's annotators gave joints; there may be others.

    Raises:
        DataError: the shared folder holds no such photos.
    """

    def make(row: dict[str, Any]) -> HumanPhoto:
        people = [person | {"joints": person["coco17"]} for person in row["human"]]
        return _photo(shared, row, people, "coco17")

    return _val(shared, "coco", make)


def empty_photos(shared: Path) -> list[Path]:
    """Pictures with nobody in them that no training sees: animals and things, then backgrounds."""
    return [path for path in (*negatives(shared), *background_files(shared)) if is_test(path.stem)]


def _val(shared: Path, kind: str, make: Callable[[dict[str, Any]], HumanPhoto | None]) -> list[HumanPhoto]:
    rows = annotations(shared, lambda row: make(row) if row["set"] == kind and row["split"] == "val" else None)
    return [photo for photo in rows if photo is not None]


def _photo(shared: Path, row: dict[str, Any], people: list[dict[str, Any]], order: str) -> HumanPhoto:
    if not isinstance(row["image"], str):
        raise Damaged(f"expected a name for image, got {shown(row['image'])}")
    joints = len(ORDERS[order])
    labelled = tuple(
        LabelledPerson(to_numbers(person["box"], 4), JointLabels.of(order, to_numbers(person["joints"], joints, 3)))
        for person in people
    )
    path = shared / "photos" / "images" / f"{row['image']}.webp"
    picture = LabelledPicture(row["image"], path, labelled, row["split"], complete=False)
    return HumanPhoto(picture, _teachers(row["people"]))


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
