"""The 24 body parts (BodyPix's order, 0 is background) and their merges to 14, 12, 6, 3 and 1 parts.

Source of the 24 parts: BodyPix (Google, 2019), itself after DensePose (Güler et al., CVPR 2018). The merges to 12, 6, 3
and 1 are those that the NBF paper compares (Omran et al., 3DV 2018, table 1).
"""

import colorsys

import torch
from jaxtyping import Float, Int64
from torch import Tensor

PARTS24 = (
    "background",
    "left_face",
    "right_face",
    "left_upper_arm_front",
    "left_upper_arm_back",
    "right_upper_arm_front",
    "right_upper_arm_back",
    "left_lower_arm_front",
    "left_lower_arm_back",
    "right_lower_arm_front",
    "right_lower_arm_back",
    "left_hand",
    "right_hand",
    "torso_front",
    "torso_back",
    "left_upper_leg_front",
    "left_upper_leg_back",
    "right_upper_leg_front",
    "right_upper_leg_back",
    "left_lower_leg_front",
    "left_lower_leg_back",
    "right_lower_leg_front",
    "right_lower_leg_back",
    "left_foot",
    "right_foot",
)


def _swap(name: str) -> str:
    swap = {"left": "right", "right": "left"}
    return "_".join(swap.get(word, word) for word in name.split("_"))


# MIRROR24[k] is the part that part k becomes in a mirror.
MIRROR24 = tuple(PARTS24.index(_swap(name)) for name in PARTS24)


def _merged14(name: str) -> str:
    if "face" in name:
        return "head"
    return name.removesuffix("_front").removesuffix("_back")


def _merged12(name: str) -> str:
    return _merged14(name).replace("hand", "lower_arm")


def _merged6(name: str) -> str:
    words = _merged12(name).split("_")
    if words[-1] in ("arm", "leg", "foot"):
        return f"{words[0]}_{'arm' if words[-1] == 'arm' else 'leg'}"
    return words[0]


def _merged3(name: str) -> str:
    words = _merged6(name).split("_")
    return {"head": "head", "torso": "upper", "arm": "upper", "leg": "lower", "background": "background"}[words[-1]]


_NAMERS = {14: _merged14, 12: _merged12, 6: _merged6, 3: _merged3, 1: lambda n: n if n == "background" else "person"}


def _ordered(namer) -> tuple[str, ...]:
    return tuple(dict.fromkeys(namer(name) for name in PARTS24))


# Names of the merged parts, background first. 14 parts: hands and feet kept, front/back and the face's halves merged.
NAMES: dict[int, tuple[str, ...]] = {24: PARTS24, **{k: _ordered(namer) for k, namer in _NAMERS.items()}}

# MERGE[k] (25,) maps a label of the 24-part map to its label in the k-part map.
MERGE: dict[int, Int64[Tensor, "25"]] = {
    24: torch.arange(25),
    **{k: torch.tensor([NAMES[k].index(namer(name)) for name in PARTS24]) for k, namer in _NAMERS.items()},
}


def merge_labels(labels: Int64[Tensor, "*shape"], parts: int) -> Int64[Tensor, "*shape"]:
    """Labels 0..24 -> labels 0..parts, parts one of 24, 14, 12, 6, 3, 1."""
    return MERGE[parts].to(labels.device)[labels]


def merge_probabilities(probabilities: Float[Tensor, "b 25 h w"], parts: int) -> Float[Tensor, "b k h w"]:
    """Part probabilities (background first) summed over the merged parts; k = parts + 1."""
    index = MERGE[parts].to(probabilities.device)
    b, _, h, w = probabilities.shape
    return probabilities.new_zeros(b, parts + 1, h, w).index_add(1, index, probabilities)


def _colors() -> Tensor:
    """Left parts in cool hues, right parts in warm ones, torso green, head yellow/pink; backs darker than fronts."""
    hues = {
        "left": {"face": 0.50, "upper_arm": 0.53, "lower_arm": 0.59, "hand": 0.46}
        | {"upper_leg": 0.65, "lower_leg": 0.74, "foot": 0.70},
        "right": {"face": 0.13, "upper_arm": 0.11, "lower_arm": 0.05, "hand": 0.16}
        | {"upper_leg": 0.99, "lower_leg": 0.92, "foot": 0.97},
    }
    colors = [(0, 0, 0)]
    for name in PARTS24[1:]:
        side, _, limb = name.removesuffix("_front").removesuffix("_back").partition("_")
        hue = 0.33 if side == "torso" else hues[side][limb]
        value = 0.55 if name.endswith("_back") else 0.95
        saturation = {"face": 0.35, "foot": 0.45, "hand": 1.0}.get(limb, 0.85)
        red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
        colors.append((round(255 * red), round(255 * green), round(255 * blue)))
    return torch.tensor(colors, dtype=torch.uint8)


# RGB of each label of the 24-part map, background black.
COLORS = _colors()
