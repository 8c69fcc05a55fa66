"""Pictures of films by number, in films that PyAV writes."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from films import damaged, number, write_film

from nbf.data.labelled import LabelledPicture
from nbf.data.readers.films import VideoFrame, _Film, _film
from nbf.errors import DataError

COUNT = 100


def read(path: Path, index: int) -> int:
    return number(VideoFrame(path, index).read())


FILMS = {
    "h264 with B-frames": ("film.mp4", "libx264", 2, 12),
    "h264 without": ("film.mp4", "libx264", 0, 12),
    "one key frame only": ("film.mp4", "libx264", 3, 1000),
    "mpeg4": ("film.avi", "mpeg4", 0, 12),
    "mpeg4 with B-frames": ("film.avi", "mpeg4", 2, 12),
    "mpeg4 with B-frames in mkv": ("film.mkv", "mpeg4", 2, 12),
    # Its times are those of storing.
    "h264 with B-frames in avi": ("film.avi", "libx264", 2, 12),
}


@pytest.mark.parametrize("kind", FILMS)
def test_every_way_of_reading_gives_the_frame_of_that_number(tmp_path: Path, kind: str) -> None:
    name, codec, b_frames, gop = FILMS[kind]
    path = write_film(tmp_path / name, COUNT, codec, b_frames, gop)
    assert [read(path, k) for k in range(COUNT)] == list(range(COUNT))
    order = [*np.random.default_rng(0).permutation(COUNT)[:25].tolist(), 0, COUNT - 1, COUNT - 1, 1, 61, 62, 0]
    assert [read(path, k) for k in order] == order


def test_the_first_picture_that_is_read_may_be_any(tmp_path: Path) -> None:
    assert read(write_film(tmp_path / "film.mp4", COUNT), 77) == 77


@pytest.mark.parametrize("kind", FILMS)
def test_leaps_from_anywhere_are_right(tmp_path: Path, kind: str) -> None:
    name, codec, b_frames, gop = FILMS[kind]
    for first in (3, 40, COUNT - 1):
        path = write_film(tmp_path / f"{first}{name}", COUNT, codec, b_frames, gop)
        order = [first, (first + 65) % COUNT, 2, 93, 30]
        assert [read(path, k) for k in order] == order


def test_reading_anywhere_decodes_little(tmp_path: Path) -> None:
    film = _Film(write_film(tmp_path / "film.mp4", COUNT, "mpeg4"))
    for k in range(20):
        film.read(k)
    film._seek(90)
    assert 84 <= film._next <= 90


def test_frames_are_counted_in_films_that_skip_times(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with av.open(str(write_film(tmp_path / "even.mp4", COUNT))) as even, av.open(str(path), "w") as film:
        source = even.streams.video[0]
        stream = film.add_stream_from_template(source)
        for packet in even.demux(source):
            if packet.dts is not None and packet.pts is not None:
                late = 5000 if packet.pts >= 48 * 512 else 0  # from a key frame on
                packet.pts, packet.dts = packet.pts + late, packet.dts + late
                packet.stream = stream
                film.mux(packet)
    assert [read(path, k) for k in (90, 10, 47, 70, 48)] == [90, 10, 47, 70, 48]


@pytest.mark.parametrize("kind", FILMS)
def test_beyond_the_end_is_said_and_does_no_harm(tmp_path: Path, kind: str) -> None:
    name, codec, b_frames, gop = FILMS[kind]
    path = write_film(tmp_path / name, COUNT, codec, b_frames, gop)
    for index in (COUNT, 10 * COUNT):
        with pytest.raises(DataError, match=rf"film\.\w+: expected a frame {index}, got a film of {COUNT}"):
            read(path, index)
    assert [read(path, k) for k in (COUNT - 1, 3)] == [COUNT - 1, 3]


def test_more_films_than_are_kept_open(tmp_path: Path) -> None:
    films = [write_film(tmp_path / f"{name}.mp4", 12) for name in range(6)]
    for k in range(12):
        assert [read(film, k) for film in films] == [k] * 6


def test_threads_may_share_a_film(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", COUNT)
    order = np.random.default_rng(1).integers(0, COUNT, 60).tolist()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda k: read(path, k), order)) == order


def test_a_picture_out_of_a_film(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 4)
    assert number(LabelledPicture("a", VideoFrame(path, 2), ()).pixels()) == 2


@pytest.mark.parametrize("data", [None, b"", b"no film at all" * 50])
def test_no_film_is_one_clean_error(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "film.mp4"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DataError, match=r"film\.mp4: cannot be read as a film"):
        read(path, 0)


def test_a_film_of_sound_is_none(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as film:
        stream = film.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        film.mux(stream.encode(sound))
        film.mux(stream.encode())
    with pytest.raises(DataError, match=r"film\.mkv: cannot be read as a film"):
        read(path, 0)


@pytest.mark.parametrize("name", ["film.mp4", "film.avi"])
def test_damaged_films_give_pictures_or_one_clean_error(tmp_path: Path, name: str) -> None:
    for path in damaged(write_film(tmp_path / name, 40, "mpeg4"), 40):
        _film.cache_clear()
        for index in (0, 30, 5, 39):
            with suppress(DataError):
                assert VideoFrame(path, index).read().dtype == np.uint8
