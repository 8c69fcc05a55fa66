"""A small folder of photos of varied poses in the layout of the shared folder's `photos`, for tests that read it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nbf.body.joints import COCO17, LSP14

WIDTH, HEIGHT = 120, 160
# A standing person facing the camera: the person's left is on the right of the picture.
PLACES = {
    "nose": (60, 25), "eye": (64, 22), "ear": (68, 24), "shoulder": (75, 40), "elbow": (85, 62), "wrist": (90, 84),
    "hip": (68, 85), "knee": (70, 115), "ankle": (71, 145), "neck": (60, 36), "head_top": (60, 12),
}  # fmt: skip
BOX = [25.0, 10.0, 95.0, 152.0]


def joints(names: tuple[str, ...], score: float = 0.9) -> list[list[float]]:
    """The standing person's joints [x, y, score]."""
    places = []
    for name in names:
        x, y = PLACES[name.split("_")[-1] if name not in PLACES else name]
        places.append([float(WIDTH - x if name.startswith("right") else x), float(y), score])
    return places


def standing(**fields: Any) -> dict[str, Any]:
    """A line's entry for the standing person."""
    return {"box": BOX, "score": 0.8, "keypoints": joints(COCO17), "turn": 0, "agree": 0.9} | fields


def sportsman(**fields: Any) -> dict[str, Any]:
    """The same, as crowd workers labelled it too."""
    return standing(score=1.0, lsp14=joints(LSP14, 1), teacher_agrees=1.0, sides_swapped=False) | fields


def write_photo(folder: Path, name: str, people: list[dict[str, Any]], split: str, **fields: Any) -> dict[str, Any]:
    """A grey photo with a mask around everybody and, if `parts`, a part map that is torso alone; returns its line."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[15:150, 40:80] = 1
    mask[:4, :4] = 2
    pictures = {"images": np.full((HEIGHT, WIDTH, 3), 99, np.uint8), "masks": mask, "parts": np.where(mask == 1, 13, 0)}
    if not fields.get("parts", True):
        del pictures["parts"]
    for kind, values in pictures.items():
        path = folder / "photos" / kind / f"{name}.{'webp' if kind == 'images' else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint8)).save(path)
    kind, photo = name.split("/")
    line = {"image": name, "set": kind, "id": photo, "split": split, "width": WIDTH, "height": HEIGHT, "people": people}
    return {"parts": True} | line | fields


def write_photos(folder: Path, lines: list[dict[str, Any]], negatives: tuple[str, ...] = ()) -> Path:
    """The annotation file and pictures without people; returns the shared folder."""
    for name in negatives:
        path = folder / "photos" / "images" / "negatives" / f"{name}.webp"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), "green").save(path)
    (folder / "photos" / "annotations.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder
