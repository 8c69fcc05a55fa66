"""What a user may know about the people and the lens before anything is predicted, checked once and made usable."""

import math
import re
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from nbf.body.model import BodyModel
from nbf.body.parts import PARTS24
from nbf.errors import InputError
from nbf.geometry import Camera
from nbf.pictures import DIAGONAL_35MM, Picture

AGE_GROUPS: dict[str, tuple[float, float]] = {
    "infant": (0.0, 2.0),
    "child": (2.0, 12.0),
    "teen": (12.0, 18.0),
    "adult": (18.0, 65.0),
    "elder": (65.0, math.inf),
}
"""Years, from the first up to but not including the second."""

_SHORTEST, _TALLEST = 0.3, 2.6
"""Metres: below small newborns, just under the tallest person on record (2.72)."""

_FOCAL_35MM = (5.0, 2000.0)
"""Millimetres: what `nbf.pictures` believes of a camera's own record; fisheyes are 8, the longest lenses 1700."""


Gaussian = tuple[Float[Tensor, " s"], Float[Tensor, "s s"]]
"""Mean and covariance."""


@dataclass(frozen=True)
class Known:
    """What is known of people besides what a picture shows; None is unknown.

    Attributes:
        height: metres, standing upright without shoes: everybody's, or (n,) of n people, nan where unknown.
        age_group: a key of `AGE_GROUPS`, everybody's.
        shape: mean and covariance of everybody's betas, where they are known better than by an age.

    Raises:
        InputError: a value is impossible.
    """

    height: float | Float[Tensor, " n"] | None = None
    age_group: str | None = None
    shape: Gaussian | None = None

    def __post_init__(self) -> None:
        if isinstance(self.height, int | float) and not _SHORTEST < self.height < _TALLEST:
            in_metres = self.height / 100
            hint = f"; did you mean {in_metres:g}?" if _SHORTEST < in_metres < _TALLEST else ""
            raise InputError(f"height: expected metres between {_SHORTEST} and {_TALLEST}, got {self.height:g}{hint}")
        if self.age_group is not None:
            _checked_group(self.age_group)

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return any(value is not None for value in (self.height, self.age_group, self.shape))

    def heights(self, count: int) -> Float[Tensor, " {count}"] | None:
        """Of `count` people, nan where unknown; None where nobody's is known."""
        if self.height is None:
            return None
        return torch.as_tensor(self.height).expand(count)

    def shape_prior(self, body: BodyModel) -> Gaussian | None:
        """Mean and covariance of the betas; None where nothing is known. Raises InputError as `age_prior`."""
        if self.shape is not None or self.age_group is None:
            return self.shape
        return age_prior(body, self.age_group)


NOTHING = Known()
"""About anybody."""


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
    words = text.strip().lower()
    if words == "exif":
        if exif is None:
            raise InputError("focal: 'exif' was asked for, but the picture has no focal length in its EXIF; give 28mm")
        return exif
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(mm|px|)", words)
    if match is None:
        raise InputError(f"focal: expected something like 28mm, 1200px or exif, got {text!r}")
    value, per_mm = float(match[1]), math.hypot(width, height) / DIAGONAL_35MM
    pixels = value * per_mm if match[2] == "mm" else value
    shortest, longest = _FOCAL_35MM
    if not shortest * per_mm <= pixels <= longest * per_mm:
        meant = match[2] != "mm" and shortest <= value <= longest
        hint = f"; did you mean {match[1]}mm?" if meant else "; give 28mm for a common phone"
        raise InputError(
            f"focal: expected {shortest:g}mm to {longest:g}mm (as on 35 mm film), in this picture "
            f"{shortest * per_mm:.0f}px to {longest * per_mm:.0f}px, got {text!r}{hint}"
        )
    return pixels


def age_prior(body: BodyModel, group: str) -> Gaussian:
    """Mean and covariance of the shape (betas, standard deviations) of people of one of `AGE_GROUPS`.

    They are those of the body model's draws from its population (`BodyModel.shape_samples`).

    Raises:
        InputError: there is no such group, or the body model does not know the ages of enough draws (as SMPL).
    """
    low, high = _checked_group(group)
    age = body.shape_info[:, 0]
    betas = body.shape_samples[(age >= low) & (age < high)]
    # With no more draws than components the covariance has no inverse.
    if len(betas) <= body.shape_count:
        raise InputError(
            f"age_group: expected a body model that knows people of the group {group!r}, got one with {len(betas)} "
            "of them (SMPL knows no ages at all); use anny24, or leave the age out"
        )
    return betas.mean(0), torch.cov(betas.T)


def _checked_group(group: str) -> tuple[float, float]:
    if group not in AGE_GROUPS:
        raise InputError(f"age_group: expected one of {', '.join(AGE_GROUPS)}, got {group!r}")
    return AGE_GROUPS[group]


def picture_camera(picture: Picture, focal: float | None) -> Camera:
    """The camera of a picture, pixels: `focal` if given, else of its EXIF data, else a guess.

    Raises InputError where `focal` is not a positive number.
    """
    if focal is not None and not (np.isfinite(focal) and focal > 0):
        raise InputError(f"focal: expected a positive number of pixels, got {focal}")
    default = Camera.default(picture.width, picture.height)
    known = picture.focal if focal is None else focal
    return default if known is None else Camera(torch.tensor(float(known)), default.center)


def checked_boxes(boxes: Any, picture: Picture) -> Float[Tensor, "n 4"]:
    """Boxes x0, y0, x1, y1 in pixels. Raises InputError where they are not that, or beside the picture."""
    try:
        values = torch.as_tensor(np.asarray(boxes, dtype=np.float32)).reshape(-1, 4)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"boxes: expected n rows of x0, y0, x1, y1 in pixels, got {boxes!r}") from error
    x0, y0, x1, y1 = values.unbind(-1)
    good = values.isfinite().all(-1) & (x1 > x0) & (y1 > y0)
    good &= (x1 > 0) & (y1 > 0) & (x0 < picture.width) & (y0 < picture.height)
    if not good.all():
        wrong = values[~good][0].tolist()
        raise InputError(
            f"boxes: expected x0 < x1, y0 < y1 in pixels of the picture ({picture.width} x {picture.height}), "
            f"got {wrong}; a box given as x, y, width, height is x, y, x + width, y + height"
        )
    return values


def checked_max_people(max_people: Any) -> int | None:
    """A number of people, or None for everybody. Raises InputError where it is neither."""
    if max_people is None:
        return None
    if isinstance(max_people, bool) or not isinstance(max_people, Integral) or max_people < 1:
        raise InputError(f"max_people: expected a whole number of 1 or more, or None for everybody, got {max_people!r}")
    return int(max_people)


def checked_min_score(min_score: Any) -> float:
    """A probability. Raises InputError where it is none."""
    if isinstance(min_score, bool) or not isinstance(min_score, Real) or not 0 < float(min_score) <= 1:
        raise InputError(
            f"min_score: expected a probability above 0, up to 1, got {min_score!r}; lower finds more people, and more "
            "who are none"
        )
    return float(min_score)


def checked_keypoints(keypoints: Any) -> Float[Tensor, "n 17 3"]:
    """COCO-17 keypoints x, y (pixels), score (0 unknown .. 1). Raises InputError where they are not that."""
    try:
        values = torch.as_tensor(np.asarray(keypoints, dtype=np.float32))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"keypoints: expected an array (people, 17, 3), got {type(keypoints).__name__}") from error
    if values.ndim != 3 or values.shape[1:] != (17, 3) or not values.isfinite().all():
        raise InputError(
            "keypoints: expected finite numbers (people, 17, 3) in COCO's order, x, y in pixels and a score, "
            f"got shape {tuple(values.shape)}"
        )
    return values


def checked_parts(parts: Any, picture: Picture) -> UInt8[np.ndarray, "h w"]:
    """Labels of the pixels of a picture. Raises InputError where they are not that."""
    expected = (
        f"parts: expected whole numbers 0 .. {len(PARTS24) - 1} (nbf.body.parts.PARTS24), one for each pixel of the "
        f"picture, ({picture.height}, {picture.width})"
    )
    if isinstance(parts, np.ma.MaskedArray):
        raise InputError(f"{expected}, got a masked array; fill it with 0, background: parts.filled(0)")
    try:
        values = np.asarray(parts)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InputError(f"{expected}, got {type(parts).__name__}; give a numpy array of uint8") from error
    if values.dtype.kind not in "iu":
        raise InputError(f"{expected}, got {values.dtype}; convert them: parts.astype('uint8')")
    if values.shape != (picture.height, picture.width):
        raise InputError(f"{expected}, got the shape {values.shape}; draw them on the upright, uncropped picture")
    if values.min() < 0 or values.max() >= len(PARTS24):
        raise InputError(
            f"{expected}, got {values.min()} to {values.max()}; labels of finer maps must be merged into these first"
        )
    return values.astype(np.uint8, order="C")
