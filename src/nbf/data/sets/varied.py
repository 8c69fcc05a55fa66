"""Photos of people in varied poses (the shared folder's `photos`): sport, work, groups, crowds, and nobody at all.

The folder's own README says who made which label and how far it can be trusted. Its conventions are ours: pixel centres
at half-integers, boxes (x0, y0, x1, y1).
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy import ndarray
from PIL import Image

from nbf.arguments import shown
from nbf.body.joints import COCO17, LIMB_JOINTS, LSP14
from nbf.body.parts import MERGE, NAMES
from nbf.data.backgrounds import is_test
from nbf.data.kind import DataSet, Need
from nbf.data.labelled import IGNORE, UNKNOWN, JointLabels, LabelledPerson, LabelledPicture, LabelMap, join_labels
from nbf.data.sets.street import TRUSTED
from nbf.errors import DataError
from nbf.reading import Damaged, read_json_lines, refusing, to_numbers

T = TypeVar("T")

SURE_SCORE = 0.15
"""Score of a detector below which its box is neither a person nor background."""
LEAST_SIDE = 24.0
"""Pixels of the longer side below which a person without joints is neither, too: nobody could check who it is."""
AGREED = 0.75
"""Share of limb joints on which teachers and crowd workers must agree before the workers' other joints are believed."""
_WORKERS_WEIGHT = 0.5
_LSP_LIMBS = [LSP14.index(name) for name in LIMB_JOINTS]
_COCO_LIMBS = [COCO17.index(name) for name in LIMB_JOINTS]
# A limb's labels are doubted where its two joints are this sure, within so many of its lengths on either side.
_SURE_JOINT, _LIMB_WIDTH = 0.65, 0.25
_SIX = np.append(MERGE[6].numpy(), [0, 0])  # labels 0..26 to six parts
_BONES = [
    (COCO17.index(f"{side}_{start}"), COCO17.index(f"{side}_{end}"), NAMES[6].index(f"{side}_{limb}"))
    for side in ("left", "right")
    for limb, joints in (("arm", ("shoulder", "elbow", "wrist")), ("leg", ("hip", "knee", "ankle")))
    for start, end in pairwise(joints)
]


def varied_photos(shared: Path, split: str) -> list[LabelledPicture]:
    """All photos of a split ("train" or "val"): those with people in the order of the annotation file, then the others.

    Photos without people have no split of their own: val are those that `nbf.data.backgrounds.is_test` says are.

    Raises:
        DataError: the shared folder holds no such photos.
    """
    folder = shared / "photos"
    nobody = [
        LabelledPicture(
            f"negatives/{path.stem}", path, (), split, maps=(LabelMap("parts24", partial(_no_labels, path)),)
        )
        for path in negatives(shared)
        if is_test(path.stem) == (split == "val")
    ]
    photos = annotations(shared, lambda row: _photo(folder, row) if row["split"] == split else None)
    return [photo for photo in photos if photo is not None] + nobody


def annotations(shared: Path, make: Callable[[dict[str, Any]], T]) -> list[T]:
    """What `make` makes of the lines of the annotation file; their fields are in the folder's README.

    Raises:
        DataError: there is none, or it is damaged.
    """
    file = shared / "photos" / "annotations.jsonl"
    if not file.is_file():
        raise DataError(
            f"no photos of varied poses: expected annotations.jsonl in {file.parent}; point NBF_SHARED at the shared "
            "folder"
        )
    with refusing(DataError, file, "annotations of photos", "fetch the shared folder anew"):
        return read_json_lines(file, make)


def negatives(shared: Path) -> list[Path]:
    """The pictures with nobody in them, by name."""
    return sorted((shared / "photos" / "images" / "negatives").glob("*.webp"))


def _photo(folder: Path, row: dict[str, Any]) -> LabelledPicture:
    people = tuple(_person(person) for person in row["people"])
    counted = people[0].box if row.get("others_unlabelled") else None
    frame = to_numbers([0, 0, row["width"], row["height"]], 4)
    if not isinstance(row["image"], str):
        raise Damaged(f"expected a name for image, got {shown(row['image'])}")
    # Whoever else is in the photo carries no label: all that is not the person is unsure.
    others = () if counted is None else (LabelledPerson(frame, ignore=True),)
    read = partial(_labels, folder, row["image"], row["parts"], people, counted)
    return LabelledPicture(
        name=row["image"],
        source=folder / "images" / f"{row['image']}.webp",
        maps=(LabelMap("parts24", read),),
        split=row["split"],
        people=(*people, *others),
        clean_mask=False,  # thin and far-flung limbs may be missing from the masks
    )


def _person(row: dict[str, Any]) -> LabelledPerson:
    box = to_numbers(row["box"], 4)
    if "keypoints" not in row:
        small = (box[2:] - box[:2]).max() < LEAST_SIDE
        return LabelledPerson(box, ignore=bool(row["score"] < SURE_SCORE or small))
    keypoints = to_numbers(row["keypoints"], 17, 3)
    keypoints[keypoints[:, 2] < TRUSTED, 2] = 0
    if row.get("teacher_agrees", 0) >= AGREED and not row["sides_swapped"]:
        workers = to_numbers(row["lsp14"], 14, 3)[_LSP_LIMBS]
        taken = (workers[:, 2] > 0) & (keypoints[_COCO_LIMBS, 2] == 0)
        workers[:, 2] = _WORKERS_WEIGHT
        keypoints[_COCO_LIMBS] = np.where(taken[:, None], workers, keypoints[_COCO_LIMBS])
    return LabelledPerson(box, JointLabels.of("coco17", keypoints), ignore=bool(row["score"] < SURE_SCORE))


def _labels(
    folder: Path, name: str, mapped: bool, people: tuple[LabelledPerson, ...], counted: Float32[ndarray, " 4"] | None
) -> UInt8[ndarray, "h w"]:
    mask = np.asarray(Image.open(folder / "masks" / f"{name}.png"))
    parts = np.asarray(Image.open(folder / "parts" / f"{name}.png")) if mapped else np.zeros_like(mask)
    labels = doubt_limbs(join_labels(parts, mask), people)
    if counted is not None:
        y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
        inside = (x >= counted[0]) & (y >= counted[1]) & (x < counted[2]) & (y < counted[3])
        labels[~inside] = IGNORE
    return labels


def _no_labels(path: Path) -> UInt8[ndarray, "h w"]:
    with Image.open(path) as picture:
        return np.zeros((picture.height, picture.width), np.uint8)


def doubt_limbs(labels: UInt8[ndarray, "h w"], people: tuple[LabelledPerson, ...]) -> UInt8[ndarray, "h w"]:
    """Labels without the parts that sure joints contradict: those become UNKNOWN.

    A bone between two sure joints, most of whose middle third is called another limb (or that of the other side),
    contradicts these labels along it, except where the limb that they name is there as well: limbs cross.
    """
    bones = [
        (_along(labels.shape, joints[start, :2], joints[end, :2]), limb)
        for joints in (person.keypoints() for person in people)
        for start, end, limb in _BONES
        if joints[[start, end], 2].min() >= _SURE_JOINT
    ]
    called = _SIX[labels]
    explained = np.isin(called, [NAMES[6].index(name) for name in ("background", "head", "torso")])
    for (beside, _), limb in bones:
        explained |= beside & (called == limb)
    doubted = labels.copy()
    for (beside, middle), limb in bones:
        wrong = ~explained & (called != limb)
        if middle.any() and wrong[middle].mean() > 0.5:
            doubted[beside & wrong] = UNKNOWN
    return doubted


def _along(
    shape: tuple[int, ...], start: Float32[ndarray, " 2"], end: Float32[ndarray, " 2"]
) -> tuple[Bool[ndarray, "h w"], Bool[ndarray, "h w"]]:
    """Pixels beside a bone, and those of them on the middle third of its line."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    bone = end - start
    length = max(float(np.hypot(*bone)), 1.0)
    along = ((x - start[0]) * bone[0] + (y - start[1]) * bone[1]) / length**2
    across = np.abs((x - start[0]) * bone[1] - (y - start[1]) * bone[0]) / length**2
    return (
        (along >= 0) & (along <= 1) & (across <= _LIMB_WIDTH),
        (np.abs(along - 0.5) <= 1 / 6) & (across * length <= 1),
    )


VARIED = DataSet(
    "varied",
    "photos of varied poses of the shared folder",
    ("train", "val"),
    ("photos/annotations.jsonl",),
    (
        Need("photos/annotations.jsonl", "boxes and keypoints"),
        Need("photos/images/*/*.webp", "the photos"),
        Need("photos/masks/*/*.png", "who is a person"),
        Need("photos/parts/*/*.png", "body parts"),
        Need("photos/images/negatives/*.webp", "photos of nobody", optional=True),
    ),
    varied_photos,
)
