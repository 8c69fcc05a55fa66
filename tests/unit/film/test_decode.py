"""Frames of video files and of folders, in order, from anywhere on, the right way up."""

import numpy as np
import pytest
from films import number, write_film
from PIL import Image

from nbf.errors import InputError
from nbf.film.decode import RATE, open_film
from nbf.pictures import read_picture


def test_frames_of_a_file_come_in_the_order_in_which_they_are_shown(tmp_path):
    film = open_film(write_film(tmp_path / "a.mp4", 30))
    assert (film.rate, film.count) == (25, 30)
    assert [number(frame.pixels) for frame in film.frames()] == list(range(30))
    assert [number(frame.pixels) for frame in film.frames(17)] == list(range(17, 30))


def test_a_folder_is_a_film_in_the_order_of_its_numbers(tmp_path):
    for k in (10, 2, 1):
        Image.fromarray(np.full((20, 30, 3), k, np.uint8)).save(tmp_path / f"frame_{k}.png")
    film = open_film(tmp_path)
    assert (film.rate, film.count) == (RATE, 3)
    assert [int(frame.pixels[0, 0, 0]) for frame in film.frames()] == [1, 2, 10]
    assert [int(frame.pixels[0, 0, 0]) for frame in open_film(tmp_path, 12.5).frames(1)] == [2, 10]


def test_what_a_file_says_of_its_rate_can_be_overruled(tmp_path):
    assert open_film(write_film(tmp_path / "a.mp4", 3), 10).rate == 10


def test_mistakes_are_said(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no film")
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    for source, words in (
        ("missing.mp4", "no such file"), ("empty", "folder"), ("text.mp4", "cannot be read as a film"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            open_film(tmp_path / source)
    with pytest.raises(InputError, match="rate: expected"):
        open_film(tmp_path, 0)


def test_lists_of_other_files_are_no_films(tmp_path):
    write_film(tmp_path / "secret.mp4", 3)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile 'secret.mp4'\n")
    with pytest.raises(InputError, match="cannot be read as a film"):
        open_film(tmp_path / "list.mp4")


def test_frames_of_other_sizes_are_refused(tmp_path):
    for k, side in enumerate((20, 24)):
        Image.new("RGB", (side, side)).save(tmp_path / f"{k}.png")
    with pytest.raises(InputError, match="20 x 20"):
        list(open_film(tmp_path).frames())


def test_a_film_that_is_cut_short_ends_there(tmp_path):
    whole = write_film(tmp_path / "a.mkv", 40, gop=5)
    data = whole.read_bytes()
    short = tmp_path / "short.mkv"
    short.write_bytes(data[: len(data) // 2])
    frames = [number(frame.pixels) for frame in open_film(short).frames()]
    assert 0 < len(frames) < 40
    assert frames == list(range(len(frames)))


def test_a_film_is_no_picture(tmp_path):
    with pytest.raises(InputError, match="nbf video"):
        read_picture(write_film(tmp_path / "a.mp4", 2))
