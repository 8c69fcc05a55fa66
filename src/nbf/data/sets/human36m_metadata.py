"""metadata.xml of Human3.6M's code: which file holds which take, and the cameras.

    mapping       rows of action, sub-action and, for each of the eleven subjects, the beginning of its files' names
    actionnames   the fifteen actions after `_ALL`, as folders of h36m-fetch are called
    w0            [4 cameras][11 subjects][6] and [4 cameras][9] numbers

Six: Euler angles a, b, c, of which Rx(a) Ry(b) Rz(c) turns the world into the camera, and where the camera stands, in
mm. Nine: focal length and centre in pixels, k1, k2, k3, p1, p2 of OpenCV's distortion. (As read by
anibali/h36m-fetch, metadata.py, and karfly/human36m-camera-parameters.)
"""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nbf.data.labelled import LensCamera
from nbf.data.recordings import PlacedCamera
from nbf.errors import DataError

SERIALS = ("54138969", "55011271", "58860488", "60457274")
"""Of the cameras, in the order of w0."""
ACTIONS = (
    *("Directions", "Discussion", "Eating", "Greeting", "Phoning", "Posing", "Purchases", "Sitting", "SittingDown"),
    *("Smoking", "Photo", "Waiting", "Walking", "WalkDog", "WalkTogether"),
)
"""Actions 2 to 16 as the field calls them; subjects' files say TakingPhoto and WalkingDog too. 1 is `_ALL`."""
_SUBJECTS, _PLACE, _LENS = 11, 6, 9
_FIRST_ACTION = 2


@dataclass(frozen=True)
class Take:
    """One time that a subject did an action."""

    subject: str
    action: str
    """One of ACTIONS."""
    trial: int
    """Sub-action, 1 or 2."""
    name: str
    """How its files are called."""
    folder: str
    """How h36m-fetch calls the folder of its pictures."""


@dataclass(frozen=True, eq=False)
class Metadata:
    """What metadata.xml says."""

    takes: dict[str, tuple[Take, ...]]
    """Of each subject, by action and sub-action."""
    cameras: dict[tuple[str, str], PlacedCamera]
    """By subject and serial."""


def read_metadata(path: Path) -> Metadata:
    """Raises DataError where the file is missing or damaged."""
    try:
        root = ElementTree.parse(path).getroot()
        numbers = np.array((root.findtext("w0") or "").strip().strip("[]").split(), np.float64)
        if len(numbers) != len(SERIALS) * (_SUBJECTS * _PLACE + _LENS):
            raise ValueError(f"expected 300 numbers in w0, got {len(numbers)}")
        return Metadata(_takes(root), _cameras(numbers))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; docs/datasets says what goes where") from None
    except (ElementTree.ParseError, ValueError, OSError, LookupError, DataError) as error:
        raise DataError(f"{path}: not metadata.xml of Human3.6M ({error}); get the data set anew") from error


def _takes(root: ElementTree.Element) -> dict[str, tuple[Take, ...]]:
    rows = [[(cell.text or "").strip() for cell in row] for row in root.iterfind("mapping/*")]
    folders = [(each.text or "").strip() for each in root.iterfind("actionnames/*")]
    if not rows or len(rows[0]) < 3:
        raise ValueError("expected a table of takes in mapping, got none")
    subjects = rows[0][2:]
    found: dict[tuple[str, int, int], Take] = {}
    for row in rows[1:]:
        if not all(cell.isdecimal() for cell in row[:2]) or len(row) < 3:
            continue
        action, trial = int(row[0]) - _FIRST_ACTION, int(row[1])
        if not 0 <= action < len(ACTIONS):
            continue
        called = folders[action + 1] if action + 1 < len(folders) else ACTIONS[action]
        for subject, name in zip(subjects, row[2:]):
            if name:
                take = Take(subject, ACTIONS[action], trial, name, f"{called}-{trial}")
                found.setdefault((subject, action, trial), take)
    order = sorted(found)
    return {subject: tuple(found[key] for key in order if key[0] == subject) for subject in subjects}


def _cameras(numbers: Float[ndarray, " n"]) -> dict[tuple[str, str], PlacedCamera]:
    split = len(SERIALS) * _SUBJECTS * _PLACE
    places = numbers[:split].reshape(len(SERIALS), _SUBJECTS, _PLACE)
    lenses = numbers[split:].reshape(len(SERIALS), _LENS)
    return {
        (f"S{subject + 1}", serial): _camera(places[camera, subject], lenses[camera])
        for camera, serial in enumerate(SERIALS)
        for subject in range(_SUBJECTS)
    }


def _camera(place: Float[ndarray, " 6"], lens: Float[ndarray, " 9"]) -> PlacedCamera:
    k1, k2, k3, p1, p2 = lens[4:]
    rotation = euler(*place[:3])
    shift = -rotation @ (place[3:] / 1000)
    return PlacedCamera(
        LensCamera(lens[:2], lens[2:4], np.array([k1, k2, p1, p2, k3])), np.column_stack([rotation, shift])
    )


def euler(a: float, b: float, c: float) -> Float[ndarray, "3 3"]:
    """Rx(a) Ry(b) Rz(c)."""
    (sa, sb, sc), (ca, cb, cc) = np.sin([a, b, c]), np.cos([a, b, c])
    about_x = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    about_y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_z = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return about_x @ about_y @ about_z
