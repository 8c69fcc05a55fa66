"""Fits of real photos: file, index, drawn parts."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nbf.body.files import load_body
from nbf.data.fits import RealFits, fit_parts
from nbf.data.pack import Photos, pack_photos
from nbf.errors import DataError


@pytest.fixture
def photos(shared: Path) -> Photos:
    return pack_photos(shared, "train").decode()


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


def test_drawn_parts_know_front_from_back(photos: Photos) -> None:
    fits, body = standing(photos)[:1], load_body("anny24", "small")
    drawn = fit_parts(fits, body, 288)[0]
    assert (drawn == 13).sum() > 100
    assert (drawn == 14).sum() < 0.05 * (drawn == 13).sum()  # the back shows at the sides at most
    columns = {part: (drawn == part).nonzero()[:, 1].float().mean() for part in (15, 17)}
    assert columns[15] > columns[17]  # the left leg of who faces the camera is on the right
