"""What users may say, as words and plain numbers, without torch: the command line asks before anything is loaded."""

import math
import re
from pathlib import Path
from typing import Any, Literal, get_args

from nbf.arguments import number, shown, whole
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

RuntimeName = Literal["torch", "onnx"]
"""What runs the networks."""

AGE_GROUPS: dict[str, tuple[float, float]] = {
    "infant": (0.0, 2.0),
    "child": (2.0, 12.0),
    "teen": (12.0, 18.0),
    "adult": (18.0, 65.0),
    "elder": (65.0, math.inf),
}
"""Years, from the first up to but not including the second."""

RANGES = {
    "height": (0.3, 2.6, "metres"),
    "sex": (0.0, 1.0, "shares of female"),
    "age": (0.0, 120.0, "years"),
    "weight": (1.0, 400.0, "kilograms"),
}
"""What facts about people can be, in which unit. Heights: below small newborns, just under the tallest person on record
(2.72)."""

MOST_BYTES = 1 << 28
"""Of a picture that comes as bytes: room for the most pixels that `nbf.pictures` reads, stored as they are."""

_SEXES = {"male": 0.0, "female": 1.0}

FOCAL_35MM = (5.0, 2000.0)
"""Millimetres: what `nbf.pictures` believes of a camera's own record; fisheyes are 8, the longest lenses 1700."""


def check_method(name: Any) -> None:
    """Raises InputError where no method has that name."""
    if not isinstance(name, str) or name not in get_args(MethodName):
        raise InputError(f"method: expected one of {', '.join(get_args(MethodName))}, got {shown(name)}")


def check_runtime(name: Any) -> None:
    """Raises InputError where no runtime has that name."""
    if not isinstance(name, str) or name not in get_args(RuntimeName):
        raise InputError(f"runtime: expected one of {', '.join(get_args(RuntimeName))}, got {shown(name)}")


def check_age_group(group: Any) -> None:
    """Raises InputError where there is no such group in `AGE_GROUPS`."""
    if not isinstance(group, str) or group not in AGE_GROUPS:
        raise InputError(f"age_group: expected one of {', '.join(AGE_GROUPS)}, got {shown(group)}")


def checked_fact(name: str, value: Any) -> float:
    """What one of `RANGES` is of one person. Raises InputError where nobody is like that."""
    low, high, unit = RANGES[name]
    one = number(sex_number(value) if name == "sex" else value)
    if not low <= one <= high:
        in_metres = one / 100
        hint = f"; did you mean {in_metres:g}?" if name == "height" and low <= in_metres <= high else ""
        words = "female, male or a number" if name == "sex" else unit
        got = shown(value) if math.isnan(one) else f"{one:g}"
        raise InputError(f"{name}: expected {words} between {low:g} and {high:g}, got {got}{hint}")
    return one


def sex_number(value: Any) -> Any:
    """The number that "male" or "female" stands for, or that a text is; all else as it is."""
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    try:
        return _SEXES[word] if word in _SEXES else float(word)
    except ValueError:
        return value


def parse_focal(text: str) -> tuple[float, Literal["mm", "px"]] | None:
    """A focal length and its unit, from what a user writes (`nbf.given.focal_pixels`); None for "exif".

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


def parse_center(text: str) -> tuple[float, float]:
    """Where the lens looks, x and y in pixels, from what a user writes. Raises InputError where it is no such place."""
    try:
        x, y = map(float, text.split(","))
    except ValueError:
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        raise InputError(f"center: expected X,Y in pixels, such as 960,540, got {shown(text)}")
    return x, y


def parse_box(text: str, name: str = "box") -> tuple[float, float, float, float]:
    """Where somebody is, pixels, from what a user writes.

    Raises:
        InputError: it is not four numbers, or no box; begins with `name`.
    """
    try:
        x0, y0, x1, y1 = map(float, text.split(","))
    except ValueError:
        x0 = y0 = x1 = y1 = math.nan
    if not (-math.inf < x0 < x1 < math.inf and -math.inf < y0 < y1 < math.inf):
        raise InputError(
            f"{name}: expected X0,Y0,X1,Y1 in pixels, left and top before right and bottom, such as "
            f"120,40,300.5,510, got {shown(text)}"
        )
    return x0, y0, x1, y1


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


def weight_files(folder: Path) -> list[Path]:
    """The networks in a folder. Raises ModelFileError where there are none."""
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not files:
        onnx = "one with ONNX files alone, which the runtime onnx takes" if onnx_files(folder) else "one without any"
        raise ModelFileError(
            f"{folder}: expected a folder with weights of `nbf train` (.safetensors beside .json), got "
            f"{onnx if folder.is_dir() else 'no such folder'}"
        )
    return files


def onnx_files(folder: Path) -> dict[str, Path]:
    """The networks that predict, of those in a folder that `nbf export-model` wrote; none where it is no such one."""
    named = {name: folder / f"{name}.onnx" for name in ("locator", "segmenter", "fitter")}
    return {name: path for name, path in named.items() if path.is_file()}


def check_weights(folder: Path, runtime: RuntimeName) -> None:
    """Raises ModelFileError where a folder has nothing that a runtime could run."""
    if runtime == "torch" or not onnx_files(folder):
        weight_files(folder)
