"""Joints of people as a table of comma-separated values, a row a joint of a person in a frame: for R, pandas, Excel."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from nbf import __version__
from nbf.arguments import path as checked_path
from nbf.body.joints import SMPL24
from nbf.errors import InputError
from nbf.export.world import World
from nbf.files import replacing
from nbf.motion import Motion
from nbf.people import Person
from nbf.reading import Damaged, read_text, refusing, to_numbers

_MOST_BYTES = 1 << 26


@dataclass(frozen=True)
class Row:
    """One joint of one person in one frame; nan, which is an empty cell, for what is not known."""

    picture: str
    """Name of the photo."""
    person: str
    frame: int
    """Its number in the film; 0 of a photo."""
    joint: str
    """Of SMPL's 24."""
    x_m: float
    y_m: float
    z_m: float
    """Metres, in the frame that `coordinates` names."""
    u_px: float
    v_px: float
    """Pixels of the upright photo."""
    error_m: float
    """Metres by which the joint is off on average, relative to the pelvis."""
    coordinates: str
    body_model: str
    nbf: str
    """Version that wrote it."""


_COLUMNS = [field.name for field in fields(Row)]
_NUMBERS = _COLUMNS[4:10]


def write_csv(path: str | Path, motions: Sequence[Motion], world: World, persons: Sequence[Person] = ()) -> None:
    """Write the joints of people, with a head of the names of `Row`; metres to 1e-6, pixels to 1e-3.

    Args:
        motions: people.
        world: the frame of x, y, z.
        persons: the same people, where they are in a photo; adds pixels and errors.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for index, motion in enumerate(motions):
        for row in _rows(motion, world, persons[index] if persons else None):
            writer.writerow("" if value != value else value for value in astuple(row))
    with replacing(path) as draft:
        draft.write_text(text.getvalue(), encoding="utf-8", newline="")


def _rows(motion: Motion, world: World, person: Person | None) -> Iterator[Row]:
    places = motion.moved(world.from_camera).joints().double().numpy().round(6)
    seen, picture = np.full((len(SMPL24), 3), np.nan), ""
    if person is not None:
        picture = person.picture.name
        seen[:, :2] = person.joints_2d().double().numpy().round(3)
        seen[:, 2] = person.certainty.joint_error.double().numpy().round(6)
    for frame, joints in enumerate(places, motion.start):
        for name, place, rest in zip(SMPL24, joints.tolist(), seen.tolist()):
            x, y, z, u, v, error = (*place, *rest)
            said = world.words, motion.body_name, __version__
            yield Row(picture, motion.name, frame, name, x, y, z, u, v, error, *said)


def read_csv(path: str | Path) -> list[Row]:
    """The rows of a table that `write_csv` wrote.

    Raises:
        InputError: the file is missing, damaged or another table.
    """
    path = checked_path(path, "path")
    with refusing(InputError, path, "a table of joints", "export it anew"):
        try:
            head, *rows = csv.reader(io.StringIO(read_text(path, _MOST_BYTES), newline="")) or [[]]
        except (csv.Error, ValueError) as error:
            raise Damaged(f"{error}"[:200]) from error
        if head != _COLUMNS:
            raise Damaged(f"expected the columns {', '.join(_COLUMNS)}, got {', '.join(head)[:80]!a}")
        return [_row(number, row) for number, row in enumerate(rows, 2)]


def _row(number: int, cells: list[str]) -> Row:
    if len(cells) != len(_COLUMNS):
        raise Damaged(f"line {number}: expected {len(_COLUMNS)} cells, got {len(cells)}")
    values = dict(zip(_COLUMNS, cells))
    try:
        numbers = {name: float(values[name]) if values[name] else np.nan for name in _NUMBERS}
        frame = int(values["frame"])
    except ValueError as error:
        raise Damaged(f"line {number}: expected numbers: {error}"[:200]) from error
    to_numbers([value for value in numbers.values() if value == value], None)
    if values["joint"] not in SMPL24 or not 0 <= frame < 1 << 31:
        raise Damaged(f"line {number}: expected a joint of SMPL and the number of a frame")
    return Row(**{**values, **numbers, "frame": frame})
