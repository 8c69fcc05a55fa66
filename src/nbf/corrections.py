"""What somebody corrects of the evidence for a person: parts painted, joints pinned or hidden, left and right swapped.

`corrected` gives people with such evidence; `Predictor.refit` fits bodies to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn.functional import avg_pool2d

from nbf.arguments import numbers, shown
from nbf.body.joints import COCO17, MIRROR_COCO17
from nbf.body.parts import MIRROR24, PARTS24
from nbf.errors import InputError
from nbf.nets.segmenter import INPUT_SIZE, STRIDE
from nbf.people import PartMap, People, Person
from nbf.pictures import Picture

UNTOUCHED = 255
"""The label of what nobody painted."""

SWAPS: dict[str, frozenset[str]] = {
    "arms": frozenset({"arm", "hand", "shoulder", "elbow", "wrist"}),
    "legs": frozenset({"leg", "foot", "hip", "knee", "ankle"}),
    "face": frozenset({"face", "eye", "ear"}),
}
"""What can be swapped, left for right: words in the names of its parts and joints."""

_MEET = {
    "shoulder": ("upper_arm", "torso"),
    "elbow": ("upper_arm", "lower_arm"),
    "wrist": ("lower_arm", "hand"),
    "hip": ("upper_leg", "torso"),
    "knee": ("upper_leg", "lower_leg"),
    "ankle": ("lower_leg", "foot"),
}
"""Parts that meet in a joint."""
_NEAR = 2.5
"""Cells of the part map within which a joint has one of the parts that meet in it."""
_FARTHEST = 10.0
"""Longer sides of the picture by which a joint may lie beside it."""


@dataclass(frozen=True)
class Correction:
    """Of one person.

    Attributes:
        joints: by names of `nbf.body.joints.COCO17`: x, y in pixels of the upright picture, where the body's joint has
            to be; None where the joint that was seen is not to be believed.
        paint: (256, 256) labels of `nbf.body.parts.PARTS24` in the window that the person's part map covers
            (`Person.parts.crop`), `UNTOUCHED` (255) where the map stays as it is.
        swap: of arms, legs and face those whose left is right; before anything is painted.

    Raises:
        InputError: there is no such joint, label or swap.
    """

    joints: Mapping[str, Any] = field(default_factory=dict)
    paint: Any = None
    swap: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, place in self.joints.items():
            if name not in COCO17:
                raise InputError(f"joints: expected names out of {', '.join(COCO17)}, got {shown(name)}")
            if place is not None and numbers(place, f"joints: {name}", "x, y in pixels").shape != (2,):
                raise InputError(f"joints: {name}: expected x, y in pixels, got {shown(place)}")
        for name in self.swap:
            if name not in SWAPS:
                raise InputError(f"swap: expected some of {', '.join(SWAPS)}, got {shown(name)}")
        if self.paint is not None:
            object.__setattr__(self, "paint", _checked_paint(self.paint))

    def __bool__(self) -> bool:
        """Whether anything is corrected."""
        return bool(self.joints) or bool(self.swap) or self.paint is not None


def corrected(people: People, corrections: Sequence[Correction]) -> tuple[People, Float[Tensor, "n 17 3"]]:
    """People with the evidence that somebody says is right, in the order of `corrections`; and the joints that are
    pinned: x, y in pixels, and 1 where a joint has to be there, all 0 elsewhere.

    Of joints that are pinned or hidden, and of those whose limb was painted somewhere else, what was seen has score 0.

    Raises:
        InputError: there are more or fewer corrections than people; a joint is far beside the picture.
    """
    if not isinstance(corrections, list | tuple) or not all(isinstance(each, Correction) for each in corrections):
        raise InputError(f"corrections: expected a list of nbf.Correction, got {shown(corrections)}")
    if len(corrections) != len(people):
        raise InputError(f"corrections: expected one for each of {len(people)} people, got {len(corrections)}")
    persons = tuple(_corrected(person, each) for person, each in zip(people, corrections))
    pinned = torch.stack([_pinned(each, people.picture) for each in corrections])
    return People(persons, people.picture, people.camera), pinned


def _corrected(person: Person, correction: Correction) -> Person:
    parts, joints = person.parts.probabilities.float(), person.keypoints.clone()
    if correction.swap:
        words = frozenset().union(*(SWAPS[name] for name in correction.swap))
        parts = parts[_swapped(PARTS24, MIRROR24, words)]
        joints = joints[_swapped(COCO17, MIRROR_COCO17, words)]
    if correction.paint is not None:
        before = parts
        parts = painted(parts, correction.paint)
        joints[:, 2] *= ~_left_behind(before, parts, _cells(joints, person))
    for name in correction.joints:
        joints[COCO17.index(name), 2] = 0
    return replace(person, parts=PartMap(parts, person.parts.crop), keypoints=joints)


def painted(parts: Float[Tensor, "25 m m"], paint: UInt8[np.ndarray, "p p"]) -> Float[Tensor, "25 m m"]:
    """A part map with shares of what was painted in its cells; each cell is as many pixels of the paint a side as of
    the crop."""
    labels = torch.from_numpy(paint)
    one_hot = torch.stack([(labels == part).float() for part in range(len(PARTS24))])
    shares = avg_pool2d(one_hot, STRIDE)
    return parts * (1 - shares.sum(0)) + shares


def _left_behind(
    before: Float[Tensor, "25 m m"], after: Float[Tensor, "25 m m"], joints: Float[Tensor, "17 2"]
) -> Bool[Tensor, "17"]:
    """Joints (in cells) of limbs that were repainted, near which there is none of the limb's parts any more."""
    changed = (before.argmax(0) != after.argmax(0)) & ((after - before).abs().amax(0) > 0.25)
    was, now = before.argmax(0), after.argmax(0)
    touched = {PARTS24[part] for part in torch.cat([was[changed], now[changed]]).tolist()}
    y, x = torch.meshgrid(*(torch.arange(side) + 0.5 for side in now.shape), indexing="ij")
    cells = torch.stack([x, y], dim=-1)
    gone = torch.zeros(len(COCO17), dtype=torch.bool)
    for index, name in enumerate(COCO17):
        side, _, joint = name.partition("_")
        parts = [part for part in PARTS24 if _is_of(part, side, _MEET.get(joint, ()))]
        if touched.intersection(parts):
            near = (cells - joints[index]).norm(dim=-1) < _NEAR
            there = torch.isin(now, torch.tensor([PARTS24.index(part) for part in parts]))
            gone[index] = not bool((near & there).any())
    return gone


def _is_of(part: str, side: str, kinds: Sequence[str]) -> bool:
    return any(part.removeprefix(f"{side}_").startswith(kind) for kind in kinds)


def _swapped(names: Sequence[str], mirror: Sequence[int], words: frozenset[str]) -> Int64[Tensor, " n"]:
    """Where each of some parts or joints comes from, once those with one of `words` in their name are swapped."""
    return torch.tensor([mirror[i] if words.intersection(name.split("_")) else i for i, name in enumerate(names)])


def _cells(joints: Float[Tensor, "17 3"], person: Person) -> Float[Tensor, "17 2"]:
    return person.parts.crop.to_crop(joints[:, :2]) / STRIDE


def _pinned(correction: Correction, picture: Picture) -> Float[Tensor, "17 3"]:
    pinned = torch.zeros(len(COCO17), 3)
    most = _FARTHEST * max(picture.width, picture.height)
    for name, place in correction.joints.items():
        if place is not None:
            if max(map(abs, place)) > most:
                raise InputError(f"joints: {name}: expected pixels of the picture, got {shown(place)}")
            pinned[COCO17.index(name)] = torch.tensor([*place, 1.0])
    return pinned


def _checked_paint(paint: Any) -> UInt8[np.ndarray, "256 256"]:
    expected = f"paint: expected uint8 labels ({INPUT_SIZE}, {INPUT_SIZE}), 0 .. {len(PARTS24) - 1} or {UNTOUCHED}"
    if not isinstance(paint, np.ndarray) or paint.dtype != np.uint8 or paint.shape != (INPUT_SIZE, INPUT_SIZE):
        raise InputError(f"{expected}, got {shown(paint)}")
    if (wrong := paint[(paint >= len(PARTS24)) & (paint != UNTOUCHED)]).size:
        raise InputError(f"{expected}, got {wrong[0]}")
    return paint
