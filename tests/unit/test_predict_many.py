"""Many pictures of any kind, one after the other; what one is and what are many."""

import itertools
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nbf.errors import InputError
from nbf.geometry import Camera
from nbf.lines import AHEAD, PHOTOS
from nbf.people import People
from nbf.pictures import read_picture
from nbf.predictor import Predictor
from nbf.questions import Line

PIXELS = np.full((20, 30, 3), 7, np.uint8)


class Nobody(Predictor):
    """Reads pictures and finds nobody in them."""

    def __init__(self) -> None:
        pass

    def _predict(self, picture: Any, **options: Any) -> Line[People]:
        picture = read_picture(picture)
        yield from ()
        return People((), picture, Camera.default(picture.width, picture.height))


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two photos, a file that is none, and the folder they are in as the current one."""
    for name in ("a.png", "m.png"):
        Image.fromarray(PIXELS).save(tmp_path / name)
    (tmp_path / "z.png").write_text("not a picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(pictures: Any) -> list[tuple[Any, bool]]:
    """What is yielded for each picture, and whether it could be read."""
    return [(source, isinstance(people, People)) for source, people in Nobody().predict_many(pictures)]


def test_several_are_refused_by_predict_which_says_who_takes_them() -> None:
    one = torch.zeros(3, 20, 30)
    for several in ([PIXELS, PIXELS], (PIXELS, PIXELS), iter([PIXELS]), np.stack([PIXELS] * 2), torch.stack([one] * 2)):
        with pytest.raises(InputError, match="predict_many"):
            Nobody().predict(several)


@pytest.mark.parametrize("kind", [str, Path, lambda path: str(path).encode()])
def test_a_lone_path_is_a_file_a_folder_or_a_pattern(album: Path, kind: Any) -> None:
    assert names(kind("m.png")) == [(Path("m.png"), True)]
    assert names(kind("m*.png")) == [(Path("m.png"), True)]
    assert [(path.name, read) for path, read in names(kind(album))] == [
        ("a.png", True),
        ("m.png", True),
        ("z.png", False),
    ]
    assert names(kind("gone.png")) == [(Path("gone.png"), False)]


def test_a_lone_picture_is_one() -> None:
    image = Image.fromarray(PIXELS)
    for one in (PIXELS, PIXELS[..., 0], image, torch.from_numpy(PIXELS).permute(2, 0, 1), read_picture(PIXELS)):
        ((source, read),) = names(one)
        assert source is one
        assert read


def test_all_kinds_go_together_and_a_bad_one_stops_nobody(album: Path) -> None:
    tensor = torch.from_numpy(PIXELS).permute(2, 0, 1)
    pictures = [
        "a.png",
        PIXELS,
        Path("z.png"),
        7,
        tensor,
        None,
        [PIXELS],
        "",
        "a\0b",
        Image.fromarray(PIXELS),
        "a*.png",
    ]
    found = names(pictures)
    # The pattern means a file that was there before.
    expected = [Path("a.png"), PIXELS, Path("z.png"), *pictures[3:-1]]
    assert len(found) == len(expected)
    assert all(
        source is one or source == one for (source, _), one in zip(found, expected, strict=True) if one is not PIXELS
    )
    assert [read for _, read in found] == [True, True, False, False, True, False, False, False, False, True]


def test_batches_and_arrays_of_paths_are_many(album: Path) -> None:
    assert [read for _, read in names(np.stack([PIXELS] * 3))] == [True] * 3
    assert [read for _, read in names(torch.zeros(2, 3, 20, 30))] == [True] * 2
    assert names(np.array(["a.png", "m.png"])) == [(Path("a.png"), True), (Path("m.png"), True)]
    assert names(path for path in ("m.png", "a.png")) == [(Path("m.png"), True), (Path("a.png"), True)]


@pytest.mark.parametrize("wrong", [None, 7, 1.5, object()])
def test_what_is_no_picture_and_no_sequence_is_refused(wrong: Any) -> None:
    with pytest.raises(
        InputError, match="pictures: expected a picture, a folder, a pattern or a sequence of them, got"
    ):
        names(wrong)


def test_no_more_pictures_are_taken_ahead_than_is_said_and_none_is_kept() -> None:
    made: list[weakref.ref] = []

    def frames() -> Iterator[np.ndarray]:
        for _ in itertools.count():
            frame = PIXELS.copy()
            made.append(weakref.ref(frame))
            yield frame

    results = Nobody().predict_many(frames())
    for count in range(1, 50):
        next(results)
        assert len(made) <= count + PHOTOS + AHEAD
        assert sum(frame() is not None for frame in made) <= PHOTOS + AHEAD + 1


def test_memory_of_pictures_may_be_used_again_for_the_next() -> None:
    def frames() -> Iterator[np.ndarray]:
        frame = PIXELS.copy()
        for shade in range(40):
            frame[:] = shade
            yield frame

    people = [people for _, people in Nobody().predict_many(frames()) if isinstance(people, People)]
    seen = [some.picture.pixels[0, 0, 0] for some in people]
    assert seen == list(range(40))
