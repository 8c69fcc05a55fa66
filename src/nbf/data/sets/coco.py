"""People of COCO (Lin et al., "Microsoft COCO", ECCV 2014): 17 joints, boxes and outlines of everybody in a picture.

    annotations/person_keypoints_train2017.json   (val2017; train2014 and val2014 are a set of their own here)
    train2017/000000000009.jpg                    or images/train2017/...

Joints are whole pixels counted from 0, whose centres lie half a pixel further in our convention; boxes and polygons are
edges, which are ours. Crowds, which have one box and runs of pixels, are neither people nor background.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from nbf.data.kind import DataSet, Need
from nbf.data.labelled import IGNORE, JointLabels, LabelledPerson, LabelledPicture, LabelMap, Lazy, Pictures
from nbf.data.readers.checked import numbers
from nbf.data.readers.coco_regions import read_region
from nbf.data.readers.json_files import read_json
from nbf.errors import DataError

# Pixels of a picture, many times COCO's largest.
_MOST_PIXELS = 1 << 28


def _coco(year: int, folder: Path, split: str) -> Pictures:
    name = f"{split}{year}"
    path = folder / "annotations" / f"person_keypoints_{name}.json"
    document = read_json(path, _packed)
    images, entries = (_objects(document, key, path) for key in ("images", "annotations"))
    people: dict[int, list[dict[str, Any]]] = {}
    for entry in entries:
        people.setdefault(int(_number(entry, "image_id", path)), []).append(entry)
    pictures = folder / name if (folder / name).is_dir() else folder / "images" / name
    return Lazy(len(images), lambda i: _picture(images[i], people, pictures, split, path))


def _picture(
    image: dict[str, Any], people: dict[int, list[dict[str, Any]]], folder: Path, split: str, path: Path
) -> LabelledPicture:
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        raise DataError(f"{path}: expected the name of a picture as 'file_name', got {str(name)[:40]}")
    entries = people.get(int(_number(image, "id", path)), [])
    height, width = (int(_number(image, key, path)) for key in ("height", "width"))
    if not 0 < height * width <= _MOST_PIXELS or height < 0:
        raise DataError(f"{path}: expected the size of {name}, got {width} x {height}; get the data set anew")
    outlined = all("segmentation" in entry for entry in entries)
    return LabelledPicture(
        name=Path(name).stem,
        source=folder / name,
        people=tuple(_person(entry, path) for entry in entries),
        split=split,
        maps=(LabelMap("mask", partial(_mask, height, width, entries, path)),) if outlined else (),
    )


def _person(entry: dict[str, Any], path: Path) -> LabelledPerson:
    where = _where(entry, path)
    x, y, width, height = numbers(entry.get("bbox"), (4,), f"{where}: bbox")
    box = np.array([x, y, x + width, y + height], np.float32)
    if entry.get("iscrowd"):
        return LabelledPerson(box, ignore=True)
    keypoints = numbers(entry.get("keypoints", np.zeros(51)), (51,), f"{where}: keypoints").reshape(17, 3)
    seen = keypoints[:, 2] > 0
    points = np.where(seen[:, None], keypoints[:, :2] + 0.5, 0)
    return LabelledPerson(box, JointLabels("coco17", points, seen.astype(float)))


def _mask(height: int, width: int, entries: list[dict[str, Any]], path: Path) -> UInt8[ndarray, "h w"]:
    labels = np.zeros((height, width), np.uint8)
    # People last: some stand within a crowd.
    for entry in sorted(entries, key=lambda entry: not entry.get("iscrowd")):
        inside = read_region(entry["segmentation"], height, width, f"{_where(entry, path)}: segmentation")
        labels[inside] = IGNORE if entry.get("iscrowd") else 1
    return labels


def _packed(table: dict[str, Any]) -> dict[str, Any]:
    """An object of the file with its long lists as arrays, a tenth as large: there are millions of numbers."""
    for key, kind in (("keypoints", np.float32), ("counts", np.float64)):
        if key in table:
            table[key] = _array(table[key], kind)
    if isinstance(table.get("segmentation"), list):
        table["segmentation"] = [_array(polygon, np.float32) for polygon in table["segmentation"]]
    return table


def _array(value: Any, kind: type[np.floating]) -> Any:
    """What is no list of numbers is left to whoever asks for them."""
    if not isinstance(value, list):
        return value
    try:
        with np.errstate(over="ignore"):
            return np.array(value, kind)
    except (TypeError, ValueError, OverflowError):
        return value


def _objects(document: Any, key: str, path: Path) -> list[dict[str, Any]]:
    listed = document.get(key) if isinstance(document, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise DataError(f"{path}: expected a list of objects called {key!r}; get the data set anew")
    return listed


def _number(table: dict[str, Any], key: str, path: Path) -> float:
    return float(numbers(table.get(key), (), f"{path}: {key}"))


def _where(entry: dict[str, Any], path: Path) -> str:
    return f"{path}: annotation {str(entry.get('id'))[:20]}"


def _of(name: str, year: int) -> DataSet:
    return DataSet(
        name,
        f"COCO's people, {year}",
        ("train", "val"),
        (f"annotations/person_keypoints_*{year}.json",),
        (
            Need(f"annotations/person_keypoints_*{year}.json", "joints, boxes and outlines; annotations_trainval"),
            Need(f"**/*{year}/*.jpg", "the pictures"),
        ),
        partial(_coco, year),
    )


COCO = _of("coco", 2017)
COCO2014 = _of("coco2014", 2014)
