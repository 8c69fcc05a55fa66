"""A photo of people with its labels, whichever set it comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray
from PIL import Image

TRUSTED = 0.5  # keypoint score below which the READMEs of the sets call a keypoint unsafe
UNKNOWN = 25  # label: a person, part unknown
IGNORE = 26  # label: neither person nor background (carried things, other people, unsure pixels)


@dataclass(frozen=True)
class RealPerson:
    """One labelled person."""

    box: Float32[ndarray, " 4"]
    """(x0, y0, x1, y1) in pixels."""
    keypoints: Float32[ndarray, "17 3"]
    """COCO-17 (x, y, weight) in pixels; weight = score where the label can be trusted, else 0."""
    ignore: bool = False
    """Nobody knows who is in the box, if anybody: it is neither person nor background."""


@dataclass(frozen=True)
class RealPhoto:
    """One photo with everybody that is labelled in it."""

    name: str
    """SET/ID, unique."""
    path: Path
    """The picture."""
    read_labels: Callable[[], UInt8[ndarray, "h w"]]
    """What `labels` gives, read anew."""
    split: str
    people: tuple[RealPerson, ...]
    complete: bool
    """Everybody has a box: what lies in none is background."""
    clean_mask: bool
    """The mask is sharp enough to cut the people out."""

    def image(self) -> UInt8[ndarray, "h w 3"]:
        return np.asarray(Image.open(self.path).convert("RGB"))

    def labels(self) -> UInt8[ndarray, "h w"]:
        """0 background, 1..24 parts, 25 person of unknown part (UNKNOWN), 26 neither (IGNORE)."""
        return self.read_labels()


def join_labels(parts: UInt8[ndarray, "h w"], mask: UInt8[ndarray, "h w"]) -> UInt8[ndarray, "h w"]:
    """A part map (0 where there is none) and a mask (1 person, 2 unsure) as the labels of a `RealPhoto`."""
    labels = np.where((mask == 1) & (parts == 0), UNKNOWN, parts)
    return np.where(mask == 2, IGNORE, labels).astype(np.uint8)
