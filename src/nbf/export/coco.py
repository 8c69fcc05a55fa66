"""COCO's keypoints of people in a photo, in the format of its results (https://cocodataset.org/#format-results).

`nbf.proxy.keypoint_files.read_keypoints` reads it, as it does those of other programs.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nbf import __version__
from nbf.files import replacing
from nbf.people import Person

_PERSON = 1
"""COCO's category."""


def write_coco(path: str | Path, persons: Sequence[Person]) -> None:
    """Write a list with an entry for each person: the joints of the body that was fitted, pixels of the upright
    picture, each with the score at which it was seen; `image_id` is the number that the picture's name is, as in COCO,
    else its name without the ending."""
    with replacing(path) as draft:
        draft.write_text(json.dumps([_entry(person) for person in persons], indent=1), encoding="utf-8")


def _entry(person: Person) -> dict[str, Any]:
    name = Path(person.picture.name).stem
    scores = person.keypoints[:, 2:].double().numpy()
    points = np.concatenate([person.joints_2d("coco17").double().numpy(), scores], axis=1)
    x0, y0, x1, y1 = person.box.double().numpy()
    return {
        "image_id": int(name) if name.isdecimal() and name.isascii() else name,
        "category_id": _PERSON,
        "keypoints": np.round(points, 3).reshape(-1).tolist(),
        "score": round(person.score, 4),
        "bbox": np.round([x0, y0, x1 - x0, y1 - y0], 2).tolist(),
        "nbf": __version__,
        "body_model": person.body_name,
        "unit": "pixel",
        "frame": "upright picture: x right, y down, the first pixel covers 0 to 1",
    }
