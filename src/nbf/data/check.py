"""What a folder of a data set holds: how many pictures and people, with which labels, and what cannot be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nbf.data.fetch import lacking
from nbf.data.labelled import LabelledPicture, Pictures
from nbf.data.manifest import Material, listing

LOOKED = 2000
"""Pictures of a split whose people are counted; of more, so many are looked at, evenly spread."""
LABELS = ("boxes", "2D joints", "3D joints", "bodies", "part maps", "masks", "cameras")


@dataclass(frozen=True)
class Counts:
    """One split of a data set."""

    pictures: int
    looked: int
    """Pictures that the other numbers are about."""
    people: int
    ignored: int
    """Boxes of which nobody knows who is in them."""
    labels: dict[str, int]
    """Of people, or of pictures for maps and cameras, by the names in LABELS; none that are 0."""
    failed: dict[str, str]
    """Why pictures have no labels, by their places in the split."""


def count(pictures: Pictures) -> Counts:
    """Look at the labels of a split, not at its pictures."""
    rows = spread(len(pictures), LOOKED)
    labels, failed, people, ignored = dict.fromkeys(LABELS, 0), {}, 0, 0
    for row in rows:
        try:
            picture = pictures[row]
        except Exception as error:  # a check goes on whatever a file brings about
            failed[f"picture {row}"] = said(error)
            continue
        known = [person for person in picture.people if not person.ignore]
        people, ignored = people + len(known), ignored + len(picture.people) - len(known)
        for label, value in zip(LABELS, _labels(picture), strict=True):
            labels[label] += value
    some = {label: value for label, value in labels.items() if value}
    return Counts(len(pictures), len(rows), people, ignored, some, failed)


def spread(count: int, most: int) -> list[int]:
    """At most so many of the numbers from 0 on, evenly spaced."""
    taken = min(count, most)
    return [int((place + 0.5) * count / taken) for place in range(taken)]


def said(error: Exception) -> str:
    """An error in one line: its own words if it was raised on purpose."""
    text = " ".join(str(error).split())
    return text if type(error).__module__ == "nbf.errors" else f"{type(error).__name__}: {text}"


def _labels(picture: LabelledPicture) -> tuple[int, ...]:
    known = [person for person in picture.people if not person.ignore]
    schemes = {each.scheme for each in picture.maps}
    return (
        sum(person.box is not None for person in known),
        sum(person.joints_2d is not None and bool(np.any(person.joints_2d.weight > 0)) for person in known),
        sum(person.joints_3d is not None and bool(np.any(person.joints_3d.weight > 0)) for person in known),
        sum(person.body is not None for person in known),
        len(schemes - {"mask"}),
        int("mask" in schemes),
        int(picture.camera is not None),
    )


@dataclass(frozen=True)
class State:
    """How much of a set of the manifest a shared folder has."""

    there: int
    whole: bool
    """All of it is what the bundled networks were trained with, or what its public home has."""


def state(material: Material, shared: Path) -> State:
    """Look whether all files of a set are there, by their hashes."""
    if material.files:
        missing = len(lacking(material.files, shared))
        return State(material.count - missing, not missing)
    paths: Sequence[Path] = material.paths(shared)
    whole = len(paths) == material.count and listing(paths, shared / material.folder) == material.sha256
    return State(len(paths), whole)
