"""AMASS's poses as the library of synthetic people."""

from pathlib import Path

import numpy as np
import torch
from amass_poses import Arguments, facing_ahead, main

from nbf.geometry.quaternions import matrix
from nbf.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from nbf.synth.poses import PoseLibrary


def test_the_library_draws_what_was_captured(tmp_path: Path) -> None:
    """People who stand in a world with z up and face anywhere, one arm bent."""
    draw = np.random.default_rng(0)
    for name in ("CMU/01/a", "KIT/3/b", "SSM_synced/1/c"):
        poses = np.zeros((48, 156))
        upright = matrix_from_axis_angle(torch.tensor([np.pi / 2, 0, 0]))
        heading = matrix_from_axis_angle(torch.tensor([[0, 0, angle] for angle in draw.uniform(-3, 3, 48)]))
        poses[:, :3] = axis_angle_from_matrix(heading.double() @ upright.double()).numpy()
        poses[:, 3 * 18 + 1] = -0.8
        path = tmp_path / f"{name}_poses.npz"
        path.parent.mkdir(parents=True)
        np.savez(path, poses=poses, betas=np.zeros(16), gender="male", mocap_framerate=60.0)
    main(Arguments(tmp_path, tmp_path / "poses.npz", 10.0))
    library = PoseLibrary.load(tmp_path / "poses.npz")
    # Every sixth of 48 poses.
    assert library.captured.shape == (24, 24, 4)
    assert (int((library.train > 0).sum()), int((library.test > 0).sum())) == (16, 8)
    drawn = library.sample(4, torch.Generator().manual_seed(0), "test")
    torch.testing.assert_close(drawn[:, 0], torch.eye(3).expand(4, 3, 3), atol=2e-3, rtol=0)
    bent = [float(torch.acos(((each.diagonal().sum() - 1) / 2).clamp(-1, 1))) for each in drawn[:, 18:20].flatten(0, 1)]
    assert sorted(round(angle, 2) for angle in bent) == [0.0] * 4 + [0.8] * 4


def test_facing_ahead_turns_about_the_vertical_alone() -> None:
    poses = torch.randn(20, 24, 3, generator=torch.Generator().manual_seed(0))
    before, after = matrix_from_axis_angle(poses), matrix(facing_ahead(poses))
    torch.testing.assert_close(after[:, 1:], before[:, 1:], atol=1e-5, rtol=0)
    torch.testing.assert_close(after[:, 0, 1], before[:, 0, 1], atol=1e-5, rtol=0)  # the vertical as the body sees it
    front = after[:, 0, :, 2]
    assert (front[:, 0].abs() < 1e-5).all()
    assert (front[:, 2] > 0).all()
