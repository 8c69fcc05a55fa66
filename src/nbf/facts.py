"""What a user may know about the people and the lens before anything is predicted, checked once and made usable."""

import math
import re
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.model import BodyModel
from nbf.errors import InputError
from nbf.pictures import DIAGONAL_35MM

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


@dataclass(frozen=True)
class Facts:
    """What is known of everybody in a picture; None is unknown.

    Attributes:
        height: metres, standing upright without shoes.
        age_group: a key of `AGE_GROUPS`.

    Raises:
        InputError: a value is impossible.
    """

    height: float | None = None
    age_group: str | None = None

    def __post_init__(self) -> None:
        if self.height is not None and not _SHORTEST < self.height < _TALLEST:
            in_metres = self.height / 100
            hint = f"; did you mean {in_metres:g}?" if _SHORTEST < in_metres < _TALLEST else ""
            raise InputError(f"height: expected metres between {_SHORTEST} and {_TALLEST}, got {self.height:g}{hint}")
        if self.age_group is not None:
            _checked_group(self.age_group)


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


def age_prior(body: BodyModel, group: str) -> tuple[Float[Tensor, " s"], Float[Tensor, "s s"]]:
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
