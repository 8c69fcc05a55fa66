"""Turntables: everybody is seen from all sides, from the front first, wherever the camera was."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from nbf.body.model import turn_about_origin
from nbf.errors import InputError
from nbf.export import film
from nbf.export.film import write_turntable
from nbf.geometry import matrix_from_axis_angle
from nbf.motion import Motion
from nbf.people import People
from nbf.render.studio import in_studio
from nbf.render.turntable import TURN, Turntable


def motions(people: People) -> list[Motion]:
    return [Motion.of(person, f"person_{index}") for index, person in enumerate(people)]


def frame(table: Turntable, index: int) -> np.ndarray:
    return np.asarray(table.draw(index), float)


@pytest.fixture(autouse=True)
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_GIF_HEIGHT": 64, "_GIF_RATE": 2.0, "_MP4_HEIGHT": 64, "_MP4_RATE": 2}.items():
        monkeypatch.setattr(film, name, value)


def test_where_the_camera_stood_does_not_matter(make_people: Callable[..., People]) -> None:
    """A camera that looks at the same people from another side, level, makes the same turntable."""
    here = motions(make_people(2))
    turn = matrix_from_axis_angle(torch.tensor([0.0, 2.0, 0.0]))
    elsewhere = []
    for motion in here:
        pelvis = motion.body.rest_joints(motion.betas)[None, 0]
        rotations, translation = turn_about_origin(turn[None], pelvis, motion.rotations, motion.translation)
        elsewhere.append(replace(motion, rotations=rotations, translation=translation))
    one, other = (Turntable(each, 96, 4) for each in (here, elsewhere))
    assert one.size == other.size
    for index in (0, 7):
        difference = np.abs(frame(one, index) - frame(other, index))
        assert difference.mean() < 0.2
        assert np.abs(frame(one, index) - frame(one, index + 3)).mean() > 2


def test_a_turn_shows_the_front_first_and_ends_where_it_began(make_people: Callable[..., People]) -> None:
    someone = motions(make_people(1, bend=0.0))[0]
    someone.rotations[0, 17] = matrix_from_axis_angle(torch.tensor([0.0, 0.0, 1.4]))  # the right arm hangs
    table = Turntable([someone], 128, 4)
    assert len(table) == 4 * TURN
    front, side, back = (frame(table, index)[:96] for index in (0, 5, 10))
    np.testing.assert_array_equal(frame(table, 20)[:96], front)
    clay = [each[..., 0] - each[..., 2] > 10 for each in (front, side, back)]
    wide = [int(np.ptp(np.nonzero(each.any(0))[0])) for each in clay]
    assert min(wide[0], wide[2]) > 1.5 * wide[1]
    # The left arm reaches out: to the right as we see them from the front, so that the trunk is left of the middle.
    trunk = [int(each.sum(0).argmax()) - each.shape[1] / 2 for each in clay]
    assert trunk[0] < -8 < 8 < trunk[2]


def test_the_first_frame_is_what_somebody_sees_who_is_faced(make_people: Callable[..., People]) -> None:
    someone = motions(make_people(1))[0]
    someone.rotations[0, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    table = Turntable([someone], 128, 4)
    points = someone.posed().vertices
    middle = (points.amin((0, 1)) + points.amax((0, 1))) / 2 - torch.tensor([0.0, 0.0, table._distance])
    seen = np.asarray(in_studio(points - middle, someone.body.faces, table._camera, *table.size), float)
    assert np.abs(frame(table, 0) - seen).mean() < 0.1


def test_nobody_leaves_the_picture(make_people: Callable[..., People]) -> None:
    people = make_people(2)
    far = [people[0], replace(people[1], translation=people[1].translation + torch.tensor([0.0, 0.0, 30.0]))]
    table = Turntable(motions(People(tuple(far), people.picture, people.camera)), 96, 2)
    for index in range(len(table)):
        clay = frame(table, index)
        clay = clay[..., 0] - clay[..., 2] > 10
        assert 0.05 < clay.mean() < 0.6
        assert not clay[[0, -1]].any()
        assert not clay[:, [0, -1]].any()


def test_who_moves_is_seen_moving(make_people: Callable[..., People]) -> None:
    """A film of 12 s at 1 frame a second, where somebody raises an arm from second 6 and somebody else comes in."""
    still, other = motions(make_people(2, bend=0.0))
    rotations = still.rotations.repeat(12, 1, 1, 1)
    rotations[6:, 16] = matrix_from_axis_angle(torch.tensor([0.0, 0.0, 1.2]))
    moving = replace(still, rotations=rotations, translation=still.translation.repeat(12, 1), frame_rate=1.0)
    guest = replace(other, frame_rate=1.0, start=6)
    table = Turntable([moving, guest], 96, 2)
    assert len(table) == 24
    # Two turns: a second and one that is 6 s later look from the same side.
    before, after, alone = frame(table, 0), frame(table, 12), frame(table, 14)
    clay = [(each[..., 0] - each[..., 2] > 10).mean() for each in (before, after, alone)]
    assert clay[1] > 1.5 * clay[0]
    assert np.abs(frame(table, 2) - alone).mean() > 0.3


def test_gif_goes_round_for_ever(make_people: Callable[..., People], tmp_path: Path) -> None:
    people = make_people(1)
    with Image.open(people.export(tmp_path / "turn.gif")) as picture:
        assert sum(1 for _ in ImageSequence.Iterator(picture)) == 2 * TURN
        assert picture.info["loop"] == 0
        assert picture.info["duration"] == 500
        table = Turntable(motions(people), 64, 2.0)
        for index in (0, 4):
            picture.seek(index)
            # 255 colours are enough for clay and a grey room.
            assert np.abs(np.asarray(picture.convert("RGB"), float) - frame(table, index)).mean() < 2


def test_mp4_plays_everywhere(make_people: Callable[..., People], tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    people = make_people(1)
    path = people.export(tmp_path / "turn.mp4")
    assert path.read_bytes().index(b"moov") < path.read_bytes().index(b"mdat")  # plays before all of it is there
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 2
        frames = [np.asarray(each.to_image(), float) for each in container.decode(stream)]
    table = Turntable(motions(people), 64, 2)
    assert len(frames) == len(table)
    for index in (0, 4):
        assert np.abs(frames[index] - frame(table, index)).mean() < 4


def test_mp4_without_pyav_says_what_to_do(
    make_people: Callable[..., People], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"neural-body-fitting\[video\]"):
        write_turntable(tmp_path / "turn.mp4", motions(make_people(1)))
    assert list(tmp_path.iterdir()) == []
