"""MPII Human Pose (Andriluka et al., CVPR 2014): 16 joints of people in 25,000 pictures, in the two forms it comes in.

    images/015601864.jpg
    mpii_human_pose_v1_u12_1.mat     the authors' own: everybody, labels of the test pictures withheld
    annot/{train,valid}.json         HRNet's (Sun et al., CVPR 2019), one entry a person; mmpose has the same as
                                     annotations/mpii_{train,val}.json

All was clicked in Matlab, which counts pixels from 1: half a pixel less is our convention. A person's box is what the
labels say of where somebody is: the square as high as the person (200 times `scale`) about their rough centre.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray

from nbf.data.kind import DataSet, Need
from nbf.data.labelled import JointLabels, LabelledPerson, LabelledPicture, Lazy, Pictures
from nbf.data.readers.checked import numbers
from nbf.data.readers.json_files import read_json
from nbf.data.readers.matlab import load_mat, read_mat
from nbf.errors import DataError

_MAT = "mpii_human_pose_v1_u12_1.mat"
# Pixels of height for each unit of `scale`.
_SCALE = 200.0
# Share of the head box's diagonal that PCKh's reference is (`SC_BIAS` of the authors' toolbox and of HRNet's code).
_HEAD = 0.6
_PICTURES = Need("images/*.jpg", "the pictures")


def _mat(folder: Path, split: str) -> Pictures:
    path = folder / _MAT
    releases = _structs(load_mat(path).get("RELEASE"))
    rows = _structs(getattr(releases[0], "annolist", None)) if len(releases) == 1 else []
    if not rows:
        raise DataError(f"{path}: expected a struct 'RELEASE' with an 'annolist' of pictures; get the data set anew")
    training = _plain(getattr(releases[0], "img_train", None), f"{path}: img_train")
    if len(rows) != len(training):
        raise DataError(
            f"{path}: expected whether each of {len(rows)} pictures is for training, got {len(training)} numbers; get "
            "the data set anew"
        )
    taken = [row for row, train in zip(rows, training) if (train > 0) == (split == "train")]
    return Lazy(len(taken), lambda i: _picture(taken[i], folder, split))


def _picture(row: Any, folder: Path, split: str) -> LabelledPicture:
    images = _structs(getattr(row, "image", None))
    name = str(np.ravel(getattr(images[0], "name", ""))[0]) if images and np.size(images[0].name) == 1 else ""
    if not name:
        raise DataError(f"{folder / _MAT}: expected a picture's name in 'image'; get the data set anew")
    where = f"{folder / _MAT}: {name}"
    people = tuple(_person(rectangle, where) for rectangle in _structs(getattr(row, "annorect", None)))
    return LabelledPicture(Path(name).stem, folder / "images" / name, people, split, complete=False)


def _person(rectangle: Any, where: str) -> LabelledPerson:
    corners = [_number(rectangle, key, where) for key in ("x1", "y1", "x2", "y2")]
    middle = _one(rectangle, "objpos")
    place = [_number(middle, "x", where), _number(middle, "y", where), _number(rectangle, "scale", where)]
    points = _structs(getattr(_one(rectangle, "annopoints"), "point", None))
    return LabelledPerson(
        box=None if None in place else _square(np.array(place[:2]), float(place[2] or 0)),
        joints_2d=_joints(points, where) if points else None,
        head=None if None in corners else _reference(np.array(corners, float).reshape(2, 2)),
    )


def _joints(points: list[Any], where: str) -> JointLabels:
    """Joints that the file lists, each with its number; whether one is hidden is empty, a number or text there, and no
    matter: hidden ones were clicked as well."""
    rows = np.zeros((16, 3))
    for point in points:
        joint, x, y = (_number(point, key, where) for key in ("id", "x", "y"))
        if joint is None or joint not in range(16) or x is None or y is None:
            raise DataError(f"{where}: expected a joint 0 to 15 with its x and y, got {joint}, {x}, {y}")
        rows[int(joint)] = x - 0.5, y - 0.5, 1
    return JointLabels.of("mpii16", rows)


def _structs(value: Any) -> list[Any]:
    """The structs of a list of them, of which Matlab makes no list where there is one."""
    return [each for each in np.ravel(np.asarray(value, object)) if hasattr(each, "_fieldnames")]


def _one(struct: Any, name: str) -> Any:
    """The struct in a field; None where that is empty or not there."""
    return next(iter(_structs(getattr(struct, name, None))), None)


def _number(struct: Any, name: str, where: str) -> float | None:
    """The number in a field; None where that is empty or not there."""
    value = _plain(getattr(struct, name, None), f"{where}: {name}")
    return float(value[0]) if len(value) else None


def _plain(value: Any, where: str) -> Float[ndarray, " n"]:
    return numbers([] if value is None else np.ravel(value), (None,), where)


def _square(center: Float[ndarray, " 2"], scale: float) -> Float32[ndarray, " 4"]:
    half = scale * _SCALE / 2
    return np.concatenate([center - 0.5 - half, center - 0.5 + half]).astype(np.float32)


def _reference(corners: Float[ndarray, "2 2"]) -> float:
    return float(_HEAD * np.linalg.norm(corners[1] - corners[0]))


def _json(folder: Path, split: str) -> Pictures:
    mmpose = folder / "annotations" / f"mpii_{'val' if split == 'valid' else split}.json"
    path = mmpose if mmpose.is_file() else folder / "annot" / f"{split}.json"
    entries = read_json(path)
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise DataError(f"{path}: expected a list with an object for each person; get the data set anew")
    heads = _heads(path, len(entries))
    people: dict[str, list[int]] = {}
    for row, entry in enumerate(entries):
        name = entry.get("image")
        if not isinstance(name, str) or not name:
            raise DataError(f"{path}: expected the name of a picture as 'image', got {str(name)[:40]}")
        people.setdefault(name, []).append(row)
    names = list(people)
    person = partial(_entry, entries, heads, path)
    return Lazy(
        len(names),
        lambda i: LabelledPicture(
            Path(names[i]).stem,
            folder / "images" / names[i],
            tuple(person(row) for row in people[names[i]]),
            split,
            complete=False,
        ),
    )


def _heads(path: Path, count: int) -> Float[ndarray, " n"] | None:
    """PCKh's reference of each entry. Only validation has head boxes, in a file beside the entries."""
    files = {"valid.json": "gt_valid.mat", "mpii_val.json": "mpii_gt_val.mat"}
    file = path.with_name(files.get(path.name, path.name))
    if file == path or not file.is_file():
        return None
    corners = read_mat(file, "headboxes_src", (2, 2, None))
    corners = numbers(corners, (2, 2, count), f"{file}: head boxes of the {count} people in {path.name}")
    return np.array([_reference(corners[:, :, row]) for row in range(count)])


def _entry(entries: list[dict[str, Any]], heads: Float[ndarray, " n"] | None, path: Path, row: int) -> LabelledPerson:
    entry, where = entries[row], f"{path}: entry {row}"
    center = numbers(entry.get("center"), (2,), f"{where}: center")
    joints = None
    if "joints" in entry:
        points = numbers(entry["joints"], (16, 2), f"{where}: joints")
        seen = numbers(entry.get("joints_vis"), (16,), f"{where}: joints_vis") > 0
        joints = JointLabels("mpii16", np.where(seen[:, None], points - 0.5, 0), seen.astype(float))
    return LabelledPerson(
        box=_square(center, float(numbers(entry.get("scale"), (), f"{where}: scale"))),
        joints_2d=joints,
        head=None if heads is None else float(heads[row]),
    )


MPII = DataSet("mpii", "MPII Human Pose", ("train", "test"), (_MAT,), (Need(_MAT, "the labels"), _PICTURES), _mat)
MPII_JSON = DataSet(
    "mpii-json",
    "MPII Human Pose as HRNet and mmpose have it",
    ("train", "valid", "trainval", "test"),
    ("annot*/*train.json", "images/*.jpg"),
    (
        Need("annot*/*.json", "the labels: annot/train.json, or annotations/mpii_train.json"),
        Need("annot*/*gt_val*.mat", "head boxes of the validation people, for PCKh", optional=True),
        _PICTURES,
    ),
    _json,
)
