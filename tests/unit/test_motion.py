"""People over time, and the frames that files put them in."""

import pytest
import torch
from motions import motion, off_origin

from nbf.geometry import matrix_from_axis_angle
from nbf.motion import as_seen, grounded


def moved(points: torch.Tensor, move: torch.Tensor) -> torch.Tensor:
    return points @ move[:3, :3].T + move[:3, 3]


def test_a_motion_is_its_frames():
    someone = motion()
    assert len(someone) == 3
    torch.testing.assert_close(someone.posed(slice(1, 2)).vertices[0], someone.posed().vertices[1])


def test_a_moved_body_is_its_points_moved():
    someone = off_origin(motion())
    move = grounded([someone])
    after, before = someone.moved(move).posed(), someone.posed()
    torch.testing.assert_close(after.vertices, moved(before.vertices, move), atol=1e-5, rtol=0)
    torch.testing.assert_close(after.joints, moved(before.joints, move), atol=1e-5, rtol=0)


def test_as_seen_is_y_up():
    assert moved(torch.tensor([1.0, 2.0, 3.0]), as_seen()).tolist() == [1, -2, -3]


@pytest.mark.parametrize("lean", [0.0, 0.7])
def test_on_the_ground_feet_are_at_zero_and_the_first_person_faces_us(lean: float):
    # The camera leans, and who stands in front of it does so the other way.
    tilt = matrix_from_axis_angle(torch.tensor([lean, 0.0, 0.0]))
    one, other = motion(), motion("person_1", seed=1)
    for each in (one, other):
        each.rotations[:, 0] = tilt @ each.rotations[:, 0]
    move = grounded([one, other], tilt @ torch.tensor([0.0, -1.0, 0.0]))
    turn = move[:3, :3]
    torch.testing.assert_close(turn @ turn.T, torch.eye(3), atol=1e-5, rtol=0)
    assert torch.linalg.det(turn) > 0
    points = moved(torch.cat([each.posed().vertices[0] for each in (one, other)]), move)
    assert float(points[:, 1].min()) == pytest.approx(0, abs=1e-5)
    facing = turn @ one.rotations[0, 0, :, 2]
    assert float(facing[0]) == pytest.approx(0, abs=1e-5)
    assert facing[2] > 0.5
    pelvis = torch.stack([moved(each.posed().joints[0, 0], move) for each in (one, other)]).mean(0)
    torch.testing.assert_close(pelvis[::2], torch.zeros(2), atol=1e-5, rtol=0)


def test_who_lies_face_up_still_has_a_ground():
    someone = motion()
    someone.rotations[0, 0] = matrix_from_axis_angle(torch.tensor([torch.pi / 2, 0.0, 0.0]))
    assert someone.rotations[0, 0, 1, 2] == pytest.approx(-1, abs=1e-6)  # looks up, as y is down
    turn = grounded([someone])[:3, :3]
    torch.testing.assert_close(turn @ turn.T, torch.eye(3), atol=1e-5, rtol=0)
