"""Street photos of the shared folder, with their machine-made keypoints, part maps and masks.

The folder's own README says how far each label can be trusted. Two conventions change here: its pixel centres lie at
integers, ours at half-integers (+0.5); its boxes are [x, y, w, h], ours (x0, y0, x1, y1).
"""

import json
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from nbf.data.kind import DataSet, Need
from nbf.data.labelled import JointLabels, LabelledPerson, LabelledPicture, LabelMap, join_labels
from nbf.errors import DataError

TRUSTED = 0.5
"""Keypoint score below which the READMEs of the sets call a keypoint unsafe."""


def street_photos(shared: Path, split: str) -> list[LabelledPicture]:
    """All photos of a split ("train" or "val"), in the order of the annotation file.

    Raises:
        DataError: the shared folder holds no street photos.
    """
    folder = shared / "real"
    file = folder / "annotations.jsonl"
    if not file.is_file():
        raise DataError(
            f"no street photos: expected annotations.jsonl in {folder}; point NBF_SHARED at the shared folder"
        )
    rows: dict[str, list[dict]] = {}
    for line in file.read_text().splitlines():
        row = json.loads(line)
        if row["split"] == split:
            rows.setdefault(f"{row['set']}/{row['id']}", []).append(row)
    return [_photo(folder, name, split, group) for name, group in rows.items()]


def _photo(folder: Path, name: str, split: str, rows: list[dict]) -> LabelledPicture:
    return LabelledPicture(
        name=name,
        source=folder / "images" / f"{name}.jpg",
        maps=(LabelMap("parts24", partial(_labels, folder, name)),),
        split=split,
        people=tuple(_person(row) for row in sorted(rows, key=lambda row: row["person"])),
        # No detector saw a person without a label.
        complete=not any(row["unlabelled_people"] for row in rows) and len(rows) == rows[0]["persons"],
        # Made by people or by the fusion network, not by BodyPix.
        clean_mask=all(row["mask_source"] in ("annotation", "fusion") for row in rows),
    )


def _labels(folder: Path, name: str) -> UInt8[ndarray, "h w"]:
    parts, mask = (np.asarray(Image.open(folder / kind / f"{name}.png")) for kind in ("parts", "masks"))
    return join_labels(parts, mask)


def _person(row: dict) -> LabelledPerson:
    x, y, width, height = row["box"]
    keypoints = np.array(row["keypoints"], np.float32)
    trusted = keypoints[:, 2] >= TRUSTED
    trusted[row["lr_flags"]] = False  # the teachers disputed which side it is: a wrong side teaches more than none
    weight = np.where(trusted, keypoints[:, 2], 0)
    points = (keypoints[:, :2] + 0.5).astype(np.float32)
    return LabelledPerson(
        box=np.array([x, y, x + width, y + height], np.float32),
        joints_2d=JointLabels("coco17", points, weight),
    )


STREET = DataSet(
    "street",
    "street photos of the shared folder",
    ("train", "val"),
    ("real/annotations.jsonl",),
    (
        Need("real/annotations.jsonl", "boxes and keypoints"),
        Need("real/images/*/*.jpg", "the photos"),
        Need("real/masks/*/*.png", "who is a person"),
        Need("real/parts/*/*.png", "body parts"),
    ),
    street_photos,
)
