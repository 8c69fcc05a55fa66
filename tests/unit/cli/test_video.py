"""`nbf video`: what it writes, what it says, and that it goes on."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from films import number, write_film
from moving import BODY, seen, swinging

from nbf import predictor
from nbf.cli import main
from nbf.film import run
from nbf.film.decode import open_film
from nbf.predictor import Predictor

FRAMES = 6


@pytest.fixture
def looks(monkeypatch) -> list[int]:
    """Numbers of frames that were looked at, by a predictor without networks."""
    somebody, numbers = seen(swinging(FRAMES)), []
    empty = object.__new__(Predictor)
    empty.body, empty.body_name = BODY, "anny24"

    def look(predictor: Any, picture: Any, **options: Any) -> Any:
        numbers.append(number(picture.pixels))
        return None, somebody[numbers[-1] : numbers[-1] + 1]

    monkeypatch.setattr(run, "look", look)
    monkeypatch.setattr(predictor, "load", lambda **options: empty)
    return numbers


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_film_is_written_beside_its_bodies_with_numbers(looks, tmp_path, capsys):
    film, output = write_film(tmp_path / "walk.mp4", FRAMES), tmp_path / "out"
    assert main(["video", str(film), "-o", str(output), "--format", "mp4,json"]) == 0
    assert files(output) == ["walk.json", "walk_film.mp4"]
    assert "6 frames, 1 person" in capsys.readouterr().out
    (person,) = json.loads((output / "walk.json").read_text())["people"]
    assert person["found"] == person["frames"] == FRAMES
    frames = list(open_film(output / "walk_film.mp4").frames())
    assert [frame.pixels.shape for frame in frames] == [(48, 128, 3)] * FRAMES
    # What was seen is kept no longer than until all is written.
    assert list((output / ".nbf").glob("*.seen")) == []


def test_each_person_has_files_of_their_motion(looks, tmp_path):
    amass = pytest.importorskip("nbf.export.amass")
    bvh = pytest.importorskip("nbf.export.bvh")
    film, output = write_film(tmp_path / "walk.mp4", FRAMES), tmp_path / "out"
    assert main(["video", str(film), "-o", str(output), "--format", "glb,bvh,npz"]) == 0
    assert files(output) == ["walk_0.bvh", "walk_0.glb", "walk_0.npz"]
    assert len(amass.read_amass(output / "walk_0.npz")) == FRAMES
    assert "Frames: 6" in (output / "walk_0.bvh").read_text()
    assert bvh.read_bvh(output / "walk_0.bvh") is not None


def test_what_was_seen_with_other_options_is_not_gone_on_with(looks, tmp_path, monkeypatch):
    film, output = write_film(tmp_path / "walk.mp4", FRAMES), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *args, **options: None)
        assert main(["video", str(film), "-o", str(output), "--format", "json"]) == 0
    looks.clear()
    assert main(["video", str(film), "-o", str(output), "--format", "json", "--lag", "1"]) == 0
    assert looks == []
    assert main(["video", str(film), "-o", str(output), "--format", "json", "--rate", "10"]) == 0
    assert looks == list(range(FRAMES))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "at least one film"),
        (["a.mp4", "--format", "glb,fbi"], "--format: expected"),
        (["a.mp4", "--max-people", "0"], "max_people"),
        (["a.mp4", "--height", "180"], "did you mean 1.8"),
    ],
)
def test_mistakes_are_said_before_anything_is_done(arguments, words, capsys):
    assert main(["video", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_film_that_cannot_be_read_stops_no_other(looks, tmp_path, capsys):
    film, output = write_film(tmp_path / "walk.mp4", FRAMES), tmp_path / "out"
    assert main(["video", "missing.mp4", str(film), "-o", str(output), "--format", "json"]) == 1
    assert files(output) == ["walk.json"]
    assert "missing.mp4" in capsys.readouterr().err
