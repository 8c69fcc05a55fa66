"""What a user may know about the people and the lens before anything is predicted, checked once and made usable."""

import math
import re
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.arguments import number, numbers, shown, whole
from nbf.body.model import BodyModel
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


_MOST_DEVIATIONS = 30.0
"""Betas are standard deviations of people's shapes: nobody's are as far off the mean."""

_SPREADS = (1e-4, 1e4)
"""Standard deviations of betas between which single precision still solves for them."""

_REACH = 10.0
"""How far, in longer sides of the picture, what it shows of somebody may reach out of it."""


Gaussian = tuple[Float[Tensor, " s"], Float[Tensor, "s s"]]
"""Mean and covariance."""


@dataclass(frozen=True)
class Known:
    """What is known of people besides what a picture shows; None is unknown.

    Attributes:
        height: metres, standing upright without shoes: everybody's, or (n,) of n people in the order of `boxes` or of
            the people to refit, nan where unknown.
        age_group: a key of `AGE_GROUPS`, everybody's.
        shape: mean and covariance of everybody's betas, where they are known better than by an age.

    Raises:
        InputError: a value is impossible.
    """

    height: float | Float[Tensor, " n"] | None = None
    age_group: str | None = None
    shape: Gaussian | None = None

    def __post_init__(self) -> None:
        # Whatever arrays they came in, once checked they are tensors.
        object.__setattr__(self, "height", None if self.height is None else _checked_height(self.height))
        object.__setattr__(self, "shape", None if self.shape is None else _checked_gaussian(self.shape))
        if self.age_group is not None:
            _checked_group(self.age_group)

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return any(value is not None for value in (self.height, self.age_group, self.shape))

    def heights(self, count: int) -> Float[Tensor, " {count}"] | None:
        """Of `count` people, nan where unknown; None where nobody's is known.

        Raises:
            InputError: they are those of another number of people.
        """
        if self.height is None:
            return None
        heights = torch.as_tensor(self.height)
        if heights.ndim == 1 and len(heights) not in (1, count):
            raise InputError(f"height: expected one, or one for each of {count} people, got {len(heights)}")
        return heights.expand(count)

    def of(self, turn: slice, count: int) -> "Known":
        """What is known of some of `count` people. Raises InputError as `heights`."""
        heights = self.heights(count)
        return self if heights is None else replace(self, height=heights[turn])

    def shape_prior(self, body: BodyModel) -> Gaussian | None:
        """Mean and covariance of the betas; None where nothing is known.

        Raises:
            InputError: the shape is one of another body model; as `age_prior`.
        """
        if self.shape is not None and len(self.shape[0]) != body.shape_count:
            raise InputError(
                f"shape: expected mean and covariance of this body model's {body.shape_count} betas, got those of "
                f"{len(self.shape[0])}"
            )
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
    value = float(match[1])
    pixels = value * math.hypot(width, height) / DIAGONAL_35MM if match[2] == "mm" else value
    return _checked_focal(pixels, text, match[2], width, height)


def _checked_focal(pixels: float, given: Any, unit: str, width: int, height: int) -> float:
    """A focal length as it was `given`, in a unit, in pixels. Raises InputError where no lens has it."""
    shortest, longest = _FOCAL_35MM
    per_mm = math.hypot(width, height) / DIAGONAL_35MM
    if not shortest * per_mm <= pixels <= longest * per_mm:
        meant = unit != "mm" and shortest <= pixels <= longest
        hint = f"; did you mean {pixels:g}mm?" if meant else "; give 28mm for a common phone"
        raise InputError(
            f"focal: expected {shortest:g}mm to {longest:g}mm (as on 35 mm film), in this picture "
            f"{shortest * per_mm:.0f}px to {longest * per_mm:.0f}px, got {shown(given)}{hint}"
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


def _checked_height(height: Any) -> float | Float[Tensor, " n"]:
    if isinstance(height, list | tuple) or getattr(height, "ndim", 0):
        return _checked_heights(height)
    value = number(height)
    if not _SHORTEST < value < _TALLEST:
        in_metres = value / 100
        hint = f"; did you mean {in_metres:g}?" if _SHORTEST < in_metres < _TALLEST else ""
        got = shown(height) if math.isnan(value) else f"{value:g}"
        raise InputError(f"height: expected metres between {_SHORTEST} and {_TALLEST}, got {got}{hint}")
    return value


def _checked_heights(height: Any) -> Float[Tensor, " n"]:
    expected = f"one number, or a row of them, of metres between {_SHORTEST} and {_TALLEST}, nan where unknown"
    values = _tensor(height, "height", expected, nan=True)
    if values.ndim != 1 or len(values) == 0:
        raise InputError(f"height: expected {expected}, got shape {tuple(values.shape)}")
    wrong = values[~values.isnan() & ~((values > _SHORTEST) & (values < _TALLEST))]
    if len(wrong):
        raise InputError(f"height: expected {expected}, got {float(wrong[0]):g}")
    return values


def _checked_gaussian(shape: Any) -> Gaussian:
    expected = "(mean, covariance) of betas, of shapes (s,) and (s, s)"
    if not isinstance(shape, list | tuple) or len(shape) != 2:
        raise InputError(f"shape: expected {expected}, got {shown(shape)}")
    mean, covariance = (_tensor(values, "shape", expected) for values in shape)
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise InputError(f"shape: expected {expected}, got {tuple(mean.shape)} and {tuple(covariance.shape)}")
    if (mean.abs() > _MOST_DEVIATIONS).any():
        raise InputError(
            f"shape: expected a mean within {_MOST_DEVIATIONS:g} standard deviations, got {float(mean.abs().max()):g}"
        )
    double = covariance.double()
    lowest, highest = (spread**2 for spread in _SPREADS)
    spreads = torch.linalg.eigvalsh(double) if len(mean) else double.diagonal()
    symmetric = torch.allclose(double, double.mT, rtol=1e-3, atol=1e-6 * float(double.abs().amax() if len(mean) else 0))
    if not symmetric or not ((spreads >= lowest) & (spreads <= highest)).all():
        raise InputError(
            "shape: expected a covariance that is symmetric and positive definite, with standard deviations between "
            f"{_SPREADS[0]:g} and {_SPREADS[1]:g}, got variances along its axes of {spreads.tolist()}"
        )
    return mean, covariance


def _tensor(given: Any, name: str, expected: str, nan: bool = False) -> Float[Tensor, "..."]:
    """Numbers in float32, on the device that they came from. Raises InputError as `numbers`."""
    values = torch.from_numpy(numbers(given, name, expected, nan))
    return values.to(given.device) if isinstance(given, Tensor) else values


def _checked_group(group: Any) -> tuple[float, float]:
    if not isinstance(group, str) or group not in AGE_GROUPS:
        raise InputError(f"age_group: expected one of {', '.join(AGE_GROUPS)}, got {shown(group)}")
    return AGE_GROUPS[group]


def checked_known(known: Any, count: int | None) -> Known:
    """What is known of `count` people, or of however many are located (None).

    Raises InputError where it is no `Known`, or one of another number of people.
    """
    if not isinstance(known, Known):
        raise InputError(f"known: expected nbf.Known, such as nbf.Known(height=1.78), got {shown(known)}")
    if count is None and isinstance(known.height, Tensor) and known.height.numel() > 1:
        raise InputError(
            f"height: expected one where people are yet to be located, got {len(known.height)}; give boxes= beside "
            "them, in the same order, or predict first and refit with the heights"
        )
    if count:
        known.heights(count)
    return known


def picture_camera(picture: Picture, focal: Any) -> Camera:
    """The camera of a picture, pixels: `focal` if given, else of its EXIF data, else a guess.

    Raises InputError where `focal` is neither a number of pixels that a lens has nor text as `focal_pixels` reads it.
    """
    default = Camera.default(picture.width, picture.height)
    if focal is None:
        known = picture.focal
    elif isinstance(focal, str):
        known = focal_pixels(focal, picture.width, picture.height, picture.focal)
    else:
        known = number(focal)
        if math.isnan(known):
            raise InputError(f"focal: expected a number of pixels, or text such as '28mm', got {shown(focal)}")
        known = _checked_focal(known, focal, "px", picture.width, picture.height)
    return default if known is None else Camera(torch.tensor(known), default.center)


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


def checked_max_people(max_people: Any) -> int | None:
    """A number of people, or None for everybody. Raises InputError where it is neither."""
    if max_people is None:
        return None
    return whole(max_people, "max_people", ", or None for everybody")


def checked_min_score(min_score: Any) -> float:
    """A probability. Raises InputError where it is none."""
    if not 0 < number(min_score) <= 1:
        raise InputError(
            f"min_score: expected a probability above 0, up to 1, got {shown(min_score)}; lower finds more people, and "
            "more who are none"
        )
    return number(min_score)


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
