"""Motions get a way over the floor that leaves the feet where they are."""

import numpy as np
import pytest
import torch
from takes import Take, on_foot

from nbf.body.files import load_body
from nbf.errors import DataError
from nbf.geometry import matrix_from_axis_angle

BODY = load_body("anny24", "small")


def test_who_stands_and_turns_about_their_feet_is_turned_back():
    """The capture lost the heading: it seems that feet turn where the trunk did."""
    heading = 0.4 * torch.sin(torch.linspace(0, 3, 30))
    vectors = torch.zeros(30, 24, 3)
    vectors[:, 0, 1] = heading
    moved = on_foot(BODY, torch.zeros(BODY.shape_count), matrix_from_axis_angle(vectors))
    joints = moved.posed(BODY).joints
    assert (joints - joints[:1]).norm(dim=-1).max() < 0.01
    assert abs(float(moved.posed(BODY).vertices[..., 1].amin())) < 0.005


def test_between_captured_poses_rotations_run_along_splines():
    frames = np.array([0, 1, 4, 6, 9, 12])
    vectors = torch.zeros(6, 24, 3)
    vectors[:, 5, 0] = 0.05 * torch.from_numpy(frames).float()
    rotations = Take("a", frames, vectors).rotations(2, 8, 30.0)
    angle = torch.atan2(rotations[:, 5, 2, 1], rotations[:, 5, 1, 1])
    torch.testing.assert_close(angle[2:-2], 0.05 * torch.arange(4.0, 8.0), atol=2e-3, rtol=0)
    with pytest.raises(DataError, match="another start"):
        Take("a", frames, vectors).rotations(2, 20, 30.0)
