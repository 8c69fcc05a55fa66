"""Fitting the real captures: needs the shared folder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from fit_poses import Arguments, fit_poses, main
from mocap import read_capture

from nbf.body.anatomy import angles_from_quaternion
from nbf.body.files import load_body
from nbf.data.shared import shared_dir
from nbf.errors import DataError
from nbf.geometry.quaternions import quaternion

_shared = shared_dir()
CAPTURE = None if _shared is None else _shared / "poses" / "mocap_joints.npz"
needs_captures = pytest.mark.skipif(CAPTURE is None or not CAPTURE.is_file(), reason="no ../shared/poses")


@needs_captures
def test_a_draw_of_every_source_fits_and_no_knee_bends_backwards() -> None:
    assert CAPTURE is not None
    capture = read_capture(CAPTURE)
    some = capture[torch.arange(0, len(capture), 60)]
    fitted = fit_poses(some, load_body("anny24", "small").joint_template.float())
    assert fitted.error_mm.median() < 15
    assert fitted.error_mm.quantile(0.95) < 40
    angles = torch.rad2deg(angles_from_quaternion(quaternion(fitted.axis_angle)))
    assert angles[:, 4:6, 0].min() > -10
    assert angles[:, 18, 1].max() < 10
    assert angles[:, 19, 1].min() > -10
    # The chest faces where the capture's does: forwards in upright people, whose heading was removed.
    upright = (some.labels["family"] & 1) == 1
    assert np.median(angles[upright, 0, 1].abs()) < 15


def test_a_file_that_is_no_capture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "joints.npz"
    np.savez(path, positions=np.zeros(3))
    with pytest.raises(DataError, match=r"joints\.npz"):
        read_capture(path)


def test_the_command_asks_for_captures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBF_SHARED", "/nowhere/at/all")
    with pytest.raises(DataError, match="--capture"):
        main(Arguments())
