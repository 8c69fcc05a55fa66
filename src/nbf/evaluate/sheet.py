"""Contact sheets: many people on one picture, from the worst fit to the best, so that failures can be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from nbf.geometry import Camera, Crop
from nbf.render import Tile, contact_sheet, draw_mesh, faded, over, part_colors, side_view

SHOWN = 30
# Pixels; columns of people.
_TILE, _COLUMNS = 184, 3
_PICTURE = 256  # side of an entry's picture of a photo
_STUDIO = (234, 236, 240)
_PART_OPACITY, _FOUND_OPACITY = 0.85, 0.7
# Tint of true bodies, so that they are not taken for the found ones.
_BLUE = (0.35, 0.6, 1.0)


@dataclass(frozen=True)
class Entry:
    """One person, or the people of one photo, in a square picture."""

    picture: Image.Image
    parts: list[tuple[Tensor, Crop]]
    """Part probabilities (25, h, w) and their crop, in pixels of the picture, of each person."""
    vertices: Float[Tensor, "n v 3"]
    """Metres, in the camera's frame."""
    camera: Camera
    """In pixels of the picture."""
    caption: str
    true: Float[Tensor, "n v 3"] | None = None
    """The true bodies, if they are known: drawn in blue behind the found ones in the side view."""


def spread(scores: Sequence[float], count: int = SHOWN) -> list[int]:
    """Indices of about `count` scores evenly spaced through their ranking, the largest first."""
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return [order[place] for place in places]


def photo_entry(
    image: UInt8[Tensor, "3 height width"],
    box: Float[Tensor, "4"],
    parts: Sequence[tuple[Tensor, Crop]],
    vertices: Float[Tensor, "n v 3"],
    camera: Camera,
    caption: str,
) -> Entry:
    """The square around a box of a photo; parts and camera are in pixels of the photo."""
    square = Crop.from_boxes(box, _PICTURE)
    picture = (square.sample(image)[0] * 255).round().byte().permute(1, 2, 0).numpy()
    zoom = _PICTURE / square.size
    placed = [
        (probabilities, Crop(square.to_crop(crop.center[None])[0], crop.size * zoom, crop.resolution))
        for probabilities, crop in parts
    ]
    return Entry(Image.fromarray(picture), placed, vertices, square.camera(camera), caption)


def sheet(entries: Sequence[Entry], faces: Int64[Tensor, "f 3"], title: str) -> Image.Image:
    """All entries, row by row: picture, parts, mesh over the picture, mesh from the side, and the caption above."""
    return contact_sheet([Tile(entry.caption, _panels(entry, faces)) for entry in entries], _COLUMNS, title)


def comparison_sheet(
    rows: Sequence[Sequence[Entry]], names: Sequence[str], faces: Int64[Tensor, "f 3"], title: str
) -> Image.Image:
    """One photo a row, one method a column: the photo, then what each method makes of it, over the photo and from the
    side, under its caption.

    Args:
        rows: of each photo an entry a method; all of them have the photo.
        names: of the methods.
        faces: of all meshes.
        title: above everything.
    """
    tiles = []
    for entries in rows:
        tiles.append(Tile("", [_photo(entries[0])]))
        for entry, _ in zip(entries, names, strict=True):
            tiles.append(Tile(entry.caption, [_meshed(entry, faces), _from_the_side(entry, faces)]))
    return contact_sheet(tiles, 1 + len(names), title, headings=["", *names])


def _photo(entry: Entry) -> Image.Image:
    return entry.picture.resize((_TILE, _TILE), Image.Resampling.LANCZOS)


def _meshed(entry: Entry, faces: Int64[Tensor, "f 3"]) -> Image.Image:
    if not len(entry.vertices):
        return _photo(entry)
    camera = entry.camera.scaled(_TILE / entry.picture.width)
    return over(_photo(entry), draw_mesh(entry.vertices, faces, camera, _TILE, _TILE))


def _panels(entry: Entry, faces: Int64[Tensor, "f 3"]) -> list[Image.Image]:
    zoom = _TILE / entry.picture.width
    picture = _photo(entry)
    pale = faded(picture)
    parted = over(pale, part_colors(entry.parts, _TILE, _TILE, zoom=zoom), _PART_OPACITY)
    return [picture, parted, _meshed(entry, faces), _from_the_side(entry, faces)]


def _from_the_side(entry: Entry, faces: Int64[Tensor, "f 3"]) -> Image.Image:
    studio = Image.new("RGB", (_TILE, _TILE), _STUDIO)
    if not len(entry.vertices):
        return studio
    if entry.true is None:
        turned, camera = side_view(entry.vertices, _TILE, _TILE)
        return over(studio, draw_mesh(turned, faces, camera, _TILE, _TILE))
    # Depth and size are a guess: laid centre on centre, the two show how the pose differs.
    moved = entry.true - entry.true.mean(1, keepdim=True) + entry.vertices.mean(1, keepdim=True)
    turned, camera = side_view(torch.cat([entry.vertices, moved]), _TILE, _TILE)
    found, true = turned.chunk(2)
    blue = draw_mesh(true, faces, camera, _TILE, _TILE) * torch.tensor([*_BLUE, 1.0])
    return over(over(studio, blue), draw_mesh(found, faces, camera, _TILE, _TILE), _FOUND_OPACITY)
