"""What users may say, as words and plain numbers, without torch: the command line asks before anything is loaded."""

import math
import re
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, get_args

from nbf.errors import InputError, ModelFileError

MethodName = Literal[
    "nbf",
    "nbf-plain",
    "feedback",
    "smplify",
    "smplify-dense",
    "lifting-ramakrishna",
    "lifting-akhter",
    "lifting-zhou",
    "hmr",
    "omran",
    "pavlakos",
    "selfsup",
]
"""What `nbf.methods.METHODS` is a table of."""

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

FOCAL_35MM = (5.0, 2000.0)
"""Millimetres: what `nbf.pictures` believes of a camera's own record; fisheyes are 8, the longest lenses 1700."""


def check_method(name: str) -> None:
    """Raises InputError where no method has that name."""
    if name not in get_args(MethodName):
        raise InputError(f"method: expected one of {', '.join(get_args(MethodName))}, got {name!r}")


def check_age_group(group: str) -> None:
    """Raises InputError where there is no such group in `AGE_GROUPS`."""
    if group not in AGE_GROUPS:
        raise InputError(f"age_group: expected one of {', '.join(AGE_GROUPS)}, got {group!r}")


def check_height(metres: float) -> None:
    """Raises InputError where nobody is that tall."""
    if not _SHORTEST < metres < _TALLEST:
        in_metres = metres / 100
        hint = f"; did you mean {in_metres:g}?" if _SHORTEST < in_metres < _TALLEST else ""
        raise InputError(f"height: expected metres between {_SHORTEST} and {_TALLEST}, got {metres:g}{hint}")


def parse_focal(text: str) -> tuple[float, Literal["mm", "px"]] | None:
    """A focal length and its unit, from what a user writes (`nbf.known.focal_pixels`); None for "exif".

    Raises:
        InputError: the text is no focal length, or no lens has so many millimetres.
    """
    words = text.strip().lower()
    if words == "exif":
        return None
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(mm|px|)", words)
    if match is None:
        raise InputError(f"focal: expected something like 28mm, 1200px or exif, got {text!r}")
    value = float(match[1])
    if match[2] != "mm":
        return value, "px"
    shortest, longest = FOCAL_35MM
    if not shortest <= value <= longest:
        raise InputError(
            f"focal: expected {shortest:g}mm to {longest:g}mm (as on 35 mm film), got {text!r}; give 28mm for a "
            "common phone"
        )
    return value, "mm"


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


def weight_files(folder: Path) -> list[Path]:
    """The networks in a folder. Raises ModelFileError where there are none."""
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not files:
        raise ModelFileError(
            f"{folder}: expected a folder with weights of `nbf train` (.safetensors beside .json), got "
            f"{'one without any' if folder.is_dir() else 'no such folder'}"
        )
    return files
