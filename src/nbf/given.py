"""What a user may give beside a picture, its lens and what is seen in it, checked once and made usable."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from nbf.arguments import is_masked, number, numbers, shown
from nbf.body.parts import PARTS24
from nbf.errors import InputError
from nbf.geometry import Camera
from nbf.geometry.camera import Lens
from nbf.limits import FOCAL_35MM, parse_focal
from nbf.pictures import DIAGONAL_35MM, Picture

_OFF_AXIS = 5.0
"""How far beside a picture, in focal lengths, its lens may look: 79 degrees off, which no lens without distortion sees.
"""

_REACH = 10.0
"""How far, in longer sides of the picture, what it shows of somebody may reach out of it."""


def focal_pixels(text: str, width: int, height: int, exif: float | None) -> float:
    """Focal length in pixels of a picture, from what a user writes.

    Args:
        text: "28mm" is a 35 mm equivalent, what phones and cameras call the lens and EXIF's FocalLengthIn35mmFilm
            records: the lens that, on a frame of 36 x 24 mm, sees as much across the diagonal (43.27 mm; CIPA DCG-001).
            Not the lens's own length of a few mm. "1200px" or "1200" are pixels; "exif" is the camera's own record.
        width, height: pixels of the picture, uncropped, as it left the camera.
        exif: that record in pixels (`Picture.focal`), None where there is none.

    Raises:
        InputError: the text means none of these, no lens is like that, or the picture has no record.
    """
    told = parse_focal(text)
    if told is None:
        if exif is None:
            raise InputError("focal: 'exif' was asked for, but the picture has no focal length in its EXIF; give 28mm")
        return exif
    value, unit = told
    if unit == "mm":
        return value * math.hypot(width, height) / DIAGONAL_35MM
    return _checked_focal(value, text, width, height)


def _checked_focal(pixels: float, given: Any, width: int, height: int) -> float:
    """A focal length in pixels, as it was `given`. Raises InputError where no lens has it."""
    shortest, longest = FOCAL_35MM
    per_mm = math.hypot(width, height) / DIAGONAL_35MM
    if not shortest * per_mm <= pixels <= longest * per_mm:
        meant = shortest <= pixels <= longest
        hint = f"; did you mean {pixels:g}mm?" if meant else "; give 28mm for a common phone"
        raise InputError(
            f"focal: expected {shortest:g}mm to {longest:g}mm (as on 35 mm film), in this picture "
            f"{shortest * per_mm:.0f}px to {longest * per_mm:.0f}px, got {shown(given)}{hint}"
        )
    return pixels


def picture_camera(picture: Picture, focal: Any, center: Any = None) -> Camera:
    """The camera of a picture, pixels: `focal` if given, else of its EXIF data, else a guess; its centre if given, else
    the middle.

    Raises InputError where `focal` is neither a number of pixels that a lens has nor text as `focal_pixels` reads it,
    or `center` is none that `looking_at` takes.
    """
    default = Camera.default(picture.width, picture.height)
    lens: Lens = "given"
    if focal is None:
        known, lens = (float(default.focal), "guess") if picture.focal is None else (picture.focal, "EXIF")
    elif isinstance(focal, str):
        known = focal_pixels(focal, picture.width, picture.height, picture.focal)
        lens = "given" if parse_focal(focal) else "EXIF"
    else:
        known = number(focal)
        if math.isnan(known):
            raise InputError(f"focal: expected a number of pixels, or text such as '28mm', got {shown(focal)}")
        known = _checked_focal(known, focal, picture.width, picture.height)
    camera = Camera(torch.tensor(known), default.center, lens)
    return camera if center is None else looking_at(camera, center, picture)


def looking_at(camera: Camera, center: Any, picture: Picture) -> Camera:
    """The camera of a picture with another principal point, x and y in pixels.

    Raises InputError where it is no such place, or so far beside the picture that no lens would see the picture.
    """
    values = torch.from_numpy(numbers(center, "center", "x, y in pixels"))
    if values.shape != (2,):
        raise InputError(f"center: expected x, y in pixels, got shape {tuple(values.shape)}")
    size = torch.tensor([picture.width, picture.height])
    beside = float((values - values.clamp_min(0).minimum(size)).norm())
    if beside > (most := _OFF_AXIS * float(camera.focal)):
        raise InputError(
            f"center: expected x, y within {_OFF_AXIS:g} focal lengths, {most:.0f} px, of the picture "
            f"({picture.width} x {picture.height}), got {values.tolist()}; of a cropped picture give the focal length, "
            "too, in pixels"
        )
    return replace(camera, center=values)


def checked_boxes(boxes: Any, picture: Picture) -> Float[Tensor, "n 4"]:
    """Boxes x0, y0, x1, y1 in pixels. Raises InputError where they are not that, or beside the picture."""
    values = torch.from_numpy(numbers(boxes, "boxes", "finite numbers, n rows of x0, y0, x1, y1 in pixels"))
    if values.numel() == 0:
        return values.new_zeros(0, 4)
    values = values[None] if values.ndim == 1 else values
    if values.ndim != 2 or values.shape[1] != 4:
        raise InputError(f"boxes: expected n rows of x0, y0, x1, y1 in pixels, got shape {tuple(values.shape)}")
    x0, y0, x1, y1 = values.unbind(-1)
    # Nobody can be seen on less than a pixel.
    good = (x1 - x0 >= 1) & (y1 - y0 >= 1) & (values.abs().amax(-1) <= _REACH * max(picture.width, picture.height))
    good &= (x1 > 0) & (y1 > 0) & (x0 < picture.width) & (y0 < picture.height)
    if not good.all():
        wrong = values[~good][0].tolist()
        raise InputError(
            f"boxes: expected x0 < x1, y0 < y1 in pixels of the picture ({picture.width} x {picture.height}), a pixel "
            f"or more a side and at most {_REACH:g} pictures away, got {wrong}; a box given as x, y, width, height is "
            "x, y, x + width, y + height"
        )
    return values


def checked_keypoints(keypoints: Any, picture: Picture) -> Float[Tensor, "n 17 3"] | None:
    """COCO-17 keypoints x, y (pixels), score (0 unknown .. 1), all 0 where unknown; None where there are none.

    Raises InputError where they are not that.
    """
    if keypoints is None:
        return None
    expected = "finite numbers (people, 17, 3) in COCO's order, x, y in pixels and a score"
    values = torch.from_numpy(numbers(keypoints, "keypoints", expected))
    if values.ndim != 3 or values.shape[1:] != (17, 3):
        raise InputError(f"keypoints: expected {expected}, got shape {tuple(values.shape)}")
    scores = values[..., 2]
    if ((scores < 0) | (scores > 1)).any():
        raise InputError(
            f"keypoints: expected scores in 0..1, got {float(scores.min()):g} to {float(scores.max()):g}; divide them "
            "by the highest that there can be (COCO's visibilities 1 and 2 are score 1)"
        )
    values = values * (scores > 0)[..., None]
    farthest = float(values[..., :2].abs().amax()) if len(values) else 0.0
    if farthest > _REACH * max(picture.width, picture.height):
        raise InputError(
            f"keypoints: expected pixels of the picture ({picture.width} x {picture.height}), at most {_REACH:g} "
            f"pictures away, got {farthest:g}; give keypoints that are unknown the score 0"
        )
    return values


def checked_parts(parts: Any, picture: Picture) -> UInt8[np.ndarray, "h w"]:
    """Labels of the pixels of a picture. Raises InputError where they are not that."""
    expected = (
        f"parts: expected whole numbers 0 .. {len(PARTS24) - 1} (nbf.body.parts.PARTS24), one for each pixel of the "
        f"picture, ({picture.height}, {picture.width})"
    )
    if is_masked(parts):
        raise InputError(f"{expected}, got a masked array; fill it with 0, background: parts.filled(0)")
    try:
        values = np.asarray(parts)
    # Tensors without plain values (sparse, meta ...) raise whatever their kind does.
    except Exception as error:
        raise InputError(f"{expected}, got {shown(parts)}; give a numpy array of uint8") from error
    if values.dtype.kind not in "iu":
        raise InputError(f"{expected}, got {values.dtype}; convert them: parts.astype('uint8')")
    if values.shape != (picture.height, picture.width):
        raise InputError(f"{expected}, got the shape {values.shape}; draw them on the upright, uncropped picture")
    if values.min() < 0 or values.max() >= len(PARTS24):
        raise InputError(
            f"{expected}, got {values.min()} to {values.max()}; labels of finer maps must be merged into these first"
        )
    return values.astype(np.uint8, order="C")
