"""Arguments of the predictor, checked once: where people are and how many, what the lens is, where networks run."""

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbf.errors import InputError
from nbf.geometry import Camera
from nbf.pictures import Picture


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


def checked_device(device: str | torch.device) -> torch.device:
    """Raises InputError where there is no such device."""
    try:
        checked = torch.device(device)
        torch.empty(0, device=checked)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device: {device!r} cannot be used here ({str(error).splitlines()[0]}); use 'cpu'") from error
    return checked
