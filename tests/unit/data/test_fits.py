"""Fits of real photos: file, index, drawn parts."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nbf.body.files import load_body
from nbf.body.joints import MIRROR_SMPL24
from nbf.data.fits import FittedBodies, RealFits
from nbf.data.pack import Photos, pack_photos
from nbf.data.sets.street import street_photos
from nbf.errors import DataError
from nbf.geometry import Camera
from nbf.geometry.window import Window


@pytest.fixture
def photos(shared: Path) -> Photos:
    return pack_photos(street_photos(shared, "train")).decode()


def standing(photos: Photos) -> RealFits:
    """Everybody stands 3 m before the camera and faces it."""
    n = len(photos.photo)
    size = photos.size[photos.photo]
    axis_angle = torch.zeros(n, 24, 3)
    axis_angle[:, 0, 0] = torch.pi  # body y up, camera y down
    return RealFits(
        photo=photos.photo,
        boxes=photos.boxes,
        betas=torch.zeros(n, 11),
        axis_angle=axis_angle,
        translation=torch.tensor([[0.0, 0.0, 3.0]]).repeat(n, 1),
        focal=size.norm(dim=1),
        center=size / 2,
        kept=torch.arange(n) > 0,
        pck=torch.ones(n),
        keypoint_error=torch.zeros(n),
        iou=torch.ones(n),
        part_share=torch.ones(n),
    )


def test_file_gives_back_what_was_saved(photos: Photos, tmp_path: Path) -> None:
    fits = standing(photos)
    fits.save(tmp_path / "fits.npz")
    loaded = RealFits.load(tmp_path / "fits.npz", photos)
    assert all(torch.equal(value, getattr(loaded, name)) for name, value in vars(fits).items())
    assert len(loaded[loaded.kept]) == len(fits) - 1


def test_fits_of_other_people_are_refused(photos: Photos, tmp_path: Path) -> None:
    replace(standing(photos), boxes=photos.boxes + 5).save(tmp_path / "fits.npz")
    with pytest.raises(DataError, match="other people"):
        RealFits.load(tmp_path / "fits.npz", photos)


def test_missing_and_foreign_files_are_refused(photos: Photos, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nbf fit-photos"):
        RealFits.load(tmp_path / "none.npz")


@pytest.mark.parametrize("mirrored", [False, True])
def test_bodies_are_where_a_turned_window_shows_them(photos: Photos, mirrored: bool) -> None:
    """Projecting the body of a window is the same as cutting the window out of the projection."""
    draw = torch.Generator().manual_seed(0)
    fits = standing(photos)
    n, body = len(fits), load_body("anny24", "small")
    fits = replace(
        fits,
        betas=torch.randn(n, 11, generator=draw),
        axis_angle=fits.axis_angle + 0.3 * torch.randn(n, 24, 3, generator=draw),
        translation=fits.translation + 0.3 * torch.randn(n, 3, generator=draw),
    )
    window = Window(
        center=photos.size[photos.photo] * torch.rand(n, 2, generator=draw),
        side=100 + 50 * torch.rand(n, generator=draw),
        angle=6 * torch.rand(n, generator=draw),
        mirrored=torch.full((n,), mirrored),
    )
    labels = FittedBodies(fits, body).labels(torch.arange(n), window, 256)
    joints = body(labels["betas"], labels["rotations"], labels["translation"]).joints
    pixels = Camera(labels["focal"], labels["center"]).project(joints)
    true = body(fits.betas, fits.rotations, fits.translation).joints
    expected = (window.to_unit(fits.camera.project(true)) + 1) * 128
    order = list(MIRROR_SMPL24) if mirrored else list(range(24))
    torch.testing.assert_close(pixels, expected[:, order], atol=0.05, rtol=0)
    torch.testing.assert_close(joints[..., 2], true[:, order, 2], atol=5e-4, rtol=0)  # the body is symmetric to 0.1 mm
    assert labels["has_body"].tolist() == fits.kept.tolist()
