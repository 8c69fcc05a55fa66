"""Several photos at once: whose questions are asked together, in which order answers go out, whose errors are whose."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from nbf import lines
from nbf.errors import InputError, NbfError
from nbf.lines import AHEAD, PHOTOS, PIXELS, ROWS, Read
from nbf.nets.locator import LocatorOutput
from nbf.pictures import Picture
from nbf.questions import Line, Look


def picture(shade: int) -> Picture:
    return Picture(np.full((16, 16, 3), shade, np.uint8), str(shade))


def line(picture: Picture) -> Line[list[float]]:
    """As many questions as its shade, modulo 3, each of two looks; what it comes to are the answers."""
    shade = float(picture.pixels[0, 0, 0])
    seen = []
    for number in range(int(shade) % 3):
        answer = yield Look(torch.full((2, 3, 1, 1), shade + 100 * number))
        seen += answer.center.flatten().tolist()
    return seen


class Counted:
    """Answers looks with twice their pixels, and counts them; refuses some."""

    def __init__(self, refused: float = -1.0) -> None:
        self.refused, self.rows = refused, list[int]()

    def __call__(self, look: Look) -> LocatorOutput:
        self.rows.append(len(look))
        if (look.images == self.refused).any():
            raise InputError(f"{self.refused}: no such look")
        return LocatorOutput(2 * look.images[:, :1], torch.zeros(len(look), 4, 1, 1))


def ran(pictures: Iterator[tuple[int, Read]], answer: Counted) -> dict[int, Any]:
    return dict(lines.together(pictures, line, answer))


def shades(count: int) -> Iterator[tuple[int, Read]]:
    return ((shade, partial(picture, shade)) for shade in range(count))


def test_each_comes_to_what_it_comes_to_alone_in_its_order() -> None:
    together, alone = Counted(), Counted()
    found = ran(shades(50), together)
    assert found == {shade: lines.alone(line(picture(shade)), alone) for shade in range(50)}
    assert list(found) == list(range(50))
    assert sum(together.rows) == sum(alone.rows)
    assert max(together.rows) <= ROWS
    assert len(together.rows) < len(alone.rows) / 4, "questions are asked together"


def test_errors_are_of_whose_they_are() -> None:
    def pictures() -> Iterator[tuple[int, Read]]:
        for shade, read in shades(9):
            yield shade, read if shade != 4 else missing

    def missing() -> Picture:
        raise InputError("4: no such file")

    found = ran(pictures(), Counted(refused=7.0))
    assert [shade for shade, outcome in found.items() if isinstance(outcome, NbfError)] == [4, 7]
    assert (str(found[4]), str(found[7])) == ("4: no such file", "7.0: no such look")
    assert found[8] == [16.0, 16.0, 216.0, 216.0]


def test_what_ends_the_pictures_is_raised_after_those_that_there_were() -> None:
    def pictures() -> Iterator[tuple[int, Read]]:
        yield from shades(5)
        raise OSError("the camera was unplugged")

    found = []
    with pytest.raises(OSError, match="unplugged"):
        found.extend(shade for shade, _ in lines.together(pictures(), line, Counted()))
    assert found == list(range(5))


def test_large_pictures_wait_for_others_to_be_done() -> None:
    large, taken = Picture(np.zeros((PIXELS // 2 // 2000, 2000, 3), np.uint8), "large"), 0

    def pictures() -> Iterator[tuple[int, Read]]:
        nonlocal taken
        for taken in range(1, 100):
            yield taken, lambda: large

    found = lines.together(pictures(), line, Counted())
    next(found)
    assert taken <= 3 + AHEAD < PHOTOS
    found.close()
