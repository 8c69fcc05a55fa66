"""The one picture of a result: photo | part map | mesh over the photo | mesh from the side."""

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from nbf.geometry import Camera, Crop
from nbf.render.mesh import draw_mesh, side_view
from nbf.render.overlay import faded, over, resized
from nbf.render.parts import part_colors
from nbf.render.studio import in_studio, studio

# Pixels.
_SIDE, _GAP, _CAPTION, _FONT, _THINNEST = 600, 12, 34, 16, 200
_PAPER, _INK = (255, 255, 255), (90, 90, 96)
_PART_OPACITY = 0.85


def summary(
    pixels: UInt8[np.ndarray, "h w 3"],
    parts: list[tuple[Tensor, Crop]],
    vertices: Float[Tensor, "n v 3"],
    faces: Int64[Tensor, "f 3"],
    camera: Camera,
    guessed: Bool[Tensor, "n f"] | None = None,
) -> Image.Image:
    """Four panels of one size with captions.

    Args:
        pixels: the photo.
        parts: part probabilities (25, h, w) and crop of each person.
        vertices: n bodies in the photo's camera frame, metres.
        faces: counter-clockwise from outside.
        camera: the photo's camera.
        guessed: faces to hatch over the photo, body by body; where there are any, the caption says so.
    """
    zoom = _SIDE / max(pixels.shape[:2])
    photo = resized(pixels, zoom)
    pale = faded(photo)
    parted, meshed, side = pale, photo, studio(*photo.size)
    if len(vertices):
        parted = over(pale, part_colors(parts, *photo.size, zoom=zoom), _PART_OPACITY)
        meshed = over(photo, draw_mesh(vertices, faces, camera.scaled(zoom), *photo.size, guessed))
        turned, side_camera = side_view(vertices, *photo.size)
        side = in_studio(turned, faces, side_camera, *photo.size)
    people = "nobody found" if len(vertices) == 0 else "mesh over the photo"
    if guessed is not None and guessed.any():
        people = "mesh, guesses hatched"
    panels = {"photo": photo, "body parts": parted, people: meshed, "mesh from the side": side}
    return _side_by_side(panels)


def _side_by_side(panels: dict[str, Image.Image]) -> Image.Image:
    width, height = next(iter(panels.values())).size
    # Very thin pictures get room for their captions.
    cell = max(width, _THINNEST)
    sheet = Image.new("RGB", (_GAP + len(panels) * (cell + _GAP), height + _CAPTION + _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=_FONT)
    for index, (caption, panel) in enumerate(panels.items()):
        left = _GAP + index * (cell + _GAP)
        sheet.paste(panel, (left + (cell - width) // 2, _CAPTION))
        pen.text((left + cell / 2, _CAPTION / 2), caption, fill=_INK, font=font, anchor="mm")
    return sheet
