"""The real photos of the shared folder, with their machine-made keypoints, part maps and masks.

The folder's own README says how far each label can be trusted. Two conventions change here: its pixel centres lie at
integers, ours at half-integers (+0.5); its boxes are [x, y, w, h], ours (x0, y0, x1, y1).
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray
from PIL import Image

from nbf.errors import DataError

TRUSTED = 0.5  # keypoint score below which the README calls a keypoint unsafe
UNKNOWN = 25  # label: a person, part unknown
IGNORE = 26  # label: neither person nor background (carried things, other people, unsure pixels)


@dataclass(frozen=True)
class RealPerson:
    """One labelled person."""

    box: Float32[ndarray, " 4"]
    """(x0, y0, x1, y1) in pixels."""
    keypoints: Float32[ndarray, "17 3"]
    """COCO-17 (x, y, weight) in pixels; weight = score where the label can be trusted, else 0."""


@dataclass(frozen=True)
class RealPhoto:
    """One photo with everybody that is labelled in it."""

    name: str
    """SET/ID, unique."""
    folder: Path
    """The folder that holds images/, parts/ and masks/."""
    split: str
    people: tuple[RealPerson, ...]
    complete: bool
    """No detector saw a person without a label: the rest of the picture is background."""
    clean_mask: bool
    """The mask is sharp enough to cut the people out (made by people or by the fusion network, not by BodyPix)."""

    @cached_property
    def path(self) -> Path:
        return self.folder / "images" / f"{self.name}.jpg"

    def image(self) -> UInt8[ndarray, "h w 3"]:
        return np.asarray(Image.open(self.path).convert("RGB"))

    def labels(self) -> UInt8[ndarray, "h w"]:
        """0 background, 1..24 parts, 25 person of unknown part (UNKNOWN), 26 neither (IGNORE)."""
        parts = np.asarray(Image.open(self.folder / "parts" / f"{self.name}.png"))
        mask = np.asarray(Image.open(self.folder / "masks" / f"{self.name}.png"))
        labels = np.where((mask == 1) & (parts == 0), UNKNOWN, parts)
        return np.where(mask == 2, IGNORE, labels).astype(np.uint8)


def real_photos(shared: Path, split: str) -> list[RealPhoto]:
    """All photos of a split ("train" or "val"), in the order of the annotation file.

    Raises:
        DataError: the shared folder holds no real photos.
    """
    folder = shared / "real"
    file = folder / "annotations.jsonl"
    if not file.is_file():
        raise DataError(
            f"no real photos: expected annotations.jsonl in {folder}; point NBF_SHARED at the shared folder"
        )
    rows: dict[str, list[dict]] = {}
    for line in file.read_text().splitlines():
        row = json.loads(line)
        if row["split"] == split:
            rows.setdefault(f"{row['set']}/{row['id']}", []).append(row)
    return [_photo(folder, name, split, group) for name, group in rows.items()]


def _photo(folder: Path, name: str, split: str, rows: list[dict]) -> RealPhoto:
    return RealPhoto(
        name=name,
        folder=folder,
        split=split,
        people=tuple(_person(row) for row in sorted(rows, key=lambda row: row["person"])),
        complete=not any(row["unlabelled_people"] for row in rows) and len(rows) == rows[0]["persons"],
        clean_mask=all(row["mask_source"] in ("annotation", "fusion") for row in rows),
    )


def _person(row: dict) -> RealPerson:
    x, y, width, height = row["box"]
    keypoints = np.array(row["keypoints"], np.float32)
    trusted = keypoints[:, 2] >= TRUSTED
    trusted[row["lr_flags"]] = False  # the teachers disputed which side it is: a wrong side teaches more than none
    weight = np.where(trusted, keypoints[:, 2], 0)
    return RealPerson(
        box=np.array([x, y, x + width, y + height], np.float32),
        keypoints=np.concatenate([keypoints[:, :2] + 0.5, weight[:, None]], axis=1).astype(np.float32),
    )
