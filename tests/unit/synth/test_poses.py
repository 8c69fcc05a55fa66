"""The pose library: repeatable, within the joint limits, honest about what stands in for what."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from nbf.body import anatomy
from nbf.body.joints import mirror_rotations
from nbf.errors import DataError
from nbf.geometry import quaternions
from nbf.synth.contact import sunk
from nbf.synth.made_poses import made_poses
from nbf.synth.poses import SHARES, PoseLibrary, family_weights, mirrored

COUNT = 60


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pose file with made poses in place of captured ones."""
    path = tmp_path_factory.mktemp("poses") / "poses.npz"
    axis_angle = quaternions.rotation_vector(made_poses(COUNT, torch.Generator().manual_seed(0)))
    families = [name for name in SHARES if name != "plain"]
    np.savez(
        path,
        rotations=axis_angle.numpy().astype(np.float16),
        error_mm=np.zeros(COUNT, np.float16),
        kept=np.arange(COUNT) != 0,
        split=np.where(np.arange(COUNT) % 5 == 0, "test", "train"),
        family=(1 << (np.arange(COUNT) % 17)).astype(np.uint32),
        family_names=np.array([*families, "upright"]),
        source=(np.arange(COUNT) % 2).astype(np.uint8),
        source_names=np.array(["cmu_asfamc", "other"]),
    )
    return path


@pytest.fixture(scope="module")
def library(file: Path) -> PoseLibrary:
    return PoseLibrary.load(file)


def angles_of(rotations: torch.Tensor) -> torch.Tensor:
    return anatomy.angles_from_rotations(rotations)[:, 1:]


def test_same_seed_same_poses_and_they_are_rotations(library: PoseLibrary) -> None:
    a = library.sample(64, torch.Generator().manual_seed(3))
    b = library.sample(64, torch.Generator().manual_seed(3))
    assert torch.equal(a, b)
    assert not torch.equal(a, library.sample(64, torch.Generator().manual_seed(4)))
    eye = torch.eye(3).expand(64, 24, 3, 3)
    torch.testing.assert_close(a @ a.transpose(-1, -2), eye, atol=1e-5, rtol=0)
    assert (torch.linalg.det(a) > 0.99).all()


def test_samples_stay_within_the_joint_limits(library: PoseLibrary) -> None:
    angles = angles_of(library.sample(400, torch.Generator().manual_seed(0)))
    bounds = anatomy.limits()[1:]
    # Captured poses keep what they have beyond a limit; half precision of the file adds a little.
    slack = 0.01
    assert ((angles > bounds[..., 0] - slack) & (angles < bounds[..., 1] + slack)).all()


def test_test_poses_are_test_captures_or_their_mirror_images(library: PoseLibrary) -> None:
    drawn = library.sample(50, torch.Generator().manual_seed(1), split="test")
    held = quaternions.matrix(library.captured[library.test > 0])
    both = torch.cat([held, mirror_rotations(held)])
    gap = (drawn[:, None] - both[None]).abs().flatten(2).amax(2).amin(1)
    assert gap.max() < 1e-4
    assert int((library.test > 0).sum()) == COUNT // 5 - 1  # pose 0 is a test pose that was not kept


def test_mirrored_agrees_with_the_body() -> None:
    q = made_poses(20, torch.Generator().manual_seed(2))
    torch.testing.assert_close(
        quaternions.matrix(mirrored(q)), mirror_rotations(quaternions.matrix(q)), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(mirrored(mirrored(q)), q)


def test_weights_follow_the_shares(file: Path) -> None:
    with np.load(file) as data:
        weights = family_weights(dict(data))
        inverted = (data["family"] >> list(data["family_names"]).index("inverted")) & 1 == 1
    assert weights.sum() == pytest.approx(1.0, abs=0.01)
    assert weights[inverted].sum() == pytest.approx(SHARES["inverted"])
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_without_a_file_the_bundled_prior_stands_in_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        library = PoseLibrary.load(tmp_path / "none.npz")
    assert "tools/fit_poses.py" in caplog.text
    for split in ("train", "test"):
        rotations = library.sample(200, torch.Generator().manual_seed(0), split=split)
        angles, bounds = angles_of(rotations), anatomy.limits()[1:]
        assert ((angles > bounds[..., 0] - 1e-3) & (angles < bounds[..., 1] + 1e-3)).all()
        upright = rotations[:, 0, 1, 1] > 0.7
        assert 0.5 < upright.float().mean() < 0.99


def test_the_prior_learns_from_captures_and_from_mixed_poses(library: PoseLibrary) -> None:
    poses, weights = library.lessons(30, torch.Generator().manual_seed(0))
    captured = int((library.train > 0).sum())
    assert len(poses) == len(weights) == captured + 30
    assert weights.sum() == pytest.approx(1.0)
    assert torch.equal(poses[:captured], library.captured[library.train > 0])


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "poses.npz"
    path.write_bytes(b"not an archive")
    with pytest.raises(DataError, match=r"poses\.npz"):
        PoseLibrary.load(path)


def test_made_poses_hardly_sink_into_themselves_and_stand_lie_and_sit(library: PoseLibrary) -> None:
    q = made_poses(1000, torch.Generator().manual_seed(0))
    assert (sunk(q, library.rest) > 0.06).float().mean() < 0.05
    up = quaternions.matrix(q[:, 0])[:, 1, 1]
    assert 0.05 < (up < 0.5).float().mean() < 0.25
    knee = anatomy.angles_from_quaternion(q)[:, 4, 0]
    assert 0.3 < (knee > 1.0).float().mean() < 0.7


def test_contact_sees_a_hand_in_the_chest(library: PoseLibrary) -> None:
    angles = torch.zeros(2, 24, 3)
    angles[1, 16] = torch.tensor([0.0, -2.2, -1.0])
    angles[1, 18, 1] = -2.2
    depth = sunk(anatomy.quaternion_from_angles(angles), library.rest)
    assert depth[0] == 0
    assert depth[1] > 0.02
