"""A whole film, with made-up fits in place of the networks': stopped and gone on with, short and long."""

import tracemalloc
from typing import Any

import pytest
import torch
from films import number, write_film
from moving import BODY, RATE, seen, swinging, together

from nbf.errors import DataError, InputError
from nbf.film import run
from nbf.film.live import Live
from nbf.film.log import SightingLog
from nbf.film.sighting import Sightings
from nbf.predictor import Predictor

FRAMES, CHUNK = 10, 4
# Without networks, of which nobody asks here.
PREDICTOR = object.__new__(Predictor)
PREDICTOR.body, PREDICTOR.body_name = BODY, "anny24"


class Stopped(BaseException):
    """As by a signal."""


@pytest.fixture(scope="module")
def people() -> list[Sightings]:
    one, other = swinging(FRAMES, aside=-1), swinging(FRAMES, seed=7, aside=1, depth=6, step=-0.01)
    return [seen(one, color=1), seen(other, seed=1, color=2)]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("film") / "a.mp4", FRAMES)


@pytest.fixture(autouse=True)
def _small_files(monkeypatch) -> None:
    monkeypatch.setattr("nbf.film.log.CHUNK", CHUNK)


@pytest.fixture(scope="module")
def look(people) -> Any:
    """Sees the people who are in the frame that a picture says it is; keeps the numbers of what it was shown."""

    def look(predictor: Any, picture: Any, **options: Any) -> tuple[Any, Sightings]:
        look.numbers.append(number(picture.pixels))
        return None, together(people, look.numbers[-1])

    look.numbers = []
    return look


@pytest.fixture(scope="module")
def whole(film, look) -> run.FilmPeople:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "look", look)
        return run.predict_film(PREDICTOR, film)


def test_everybody_gets_a_motion(whole):
    assert [len(track.motion) for track in whole.tracks] == [FRAMES, FRAMES]
    for track in whole.tracks:
        before, after = (each["jitter_m_s2"] for each in (track.frame_by_frame, track.smoothed))
        assert before is not None
        assert after is not None
        assert after < before / 3
    assert whole.tracks[0].motion.frame_rate == RATE
    assert whole.record()["people"][0]["found"] == FRAMES


def test_who_was_stopped_goes_on_and_ends_as_who_was_not(film, whole, look, tmp_path, monkeypatch):
    def stopping(predictor: Any, picture: Any, **options: Any) -> Any:
        if number(picture.pixels) == 2 * CHUNK + 1:
            raise Stopped
        return look(predictor, picture, **options)

    monkeypatch.setattr(run, "look", stopping)
    with pytest.raises(Stopped):
        run.predict_film(PREDICTOR, film, work=tmp_path)
    monkeypatch.setattr(run, "look", look)
    look.numbers.clear()
    again = run.predict_film(PREDICTOR, film, work=tmp_path)
    assert look.numbers == list(range(2 * CHUNK, FRAMES))
    for one, other in zip(again.tracks, whole.tracks, strict=True):
        assert torch.equal(one.motion.rotations, other.motion.rotations)


def test_what_was_seen_comes_back_from_disk(people, tmp_path):
    log = SightingLog(tmp_path, BODY.shape_count)
    frames = [together(people, t) for t in range(5)] + [Sightings.none(BODY.shape_count)]
    for each in frames:
        log.add(each)
    log.flush()
    back = list(SightingLog(tmp_path, BODY.shape_count).read())
    assert [len(each) for each in back] == [2] * 5 + [0]
    assert [len(each) for each in log.read(4)] == [2, 0]
    one, other = frames[3], back[3]
    torch.testing.assert_close(other.bodies.rotations, one.bodies.rotations, atol=1e-5, rtol=0)
    torch.testing.assert_close(other.root, one.root, atol=0, rtol=1e-3)
    torch.testing.assert_close(other.keypoints, one.keypoints)


def test_damaged_files_are_refused(people, tmp_path):
    log = SightingLog(tmp_path, BODY.shape_count)
    log.add(together(people, 0))
    log.flush()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="run again"):
        list(SightingLog(tmp_path, BODY.shape_count).read())


def test_memory_does_not_grow_with_the_film(people, tmp_path):
    def most(frames: int) -> int:
        log = SightingLog(tmp_path / str(frames), BODY.shape_count)
        tracemalloc.start()
        for _ in range(frames):
            log.add(Sightings.of_arrays(together(people, 0).arrays()))
        log.flush()
        for _ in log.read():
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert most(4 * CHUNK) < 1.2 * most(2 * CHUNK)


def test_arguments_are_checked(film):
    with pytest.raises(InputError, match="lag"):
        run.predict_film(PREDICTOR, film, lag=-1)


@pytest.mark.parametrize("lag", [0, 1])
def test_live_answers_come_when_they_should(people, lag):
    live = Live(PREDICTOR, RATE, lag=lag)
    answers = [live.take(people[0][t : t + 1]) for t in range(5)]
    assert [len(each) for each in answers[:2]] == [0, 0]
    for t in range(2, 5):
        assert [(each.number, each.frame) for each in answers[t]] == [(0, t - lag)]
