"""UPi-S1h's outlines and parts over Leeds Sports Pose."""

from pathlib import Path

import numpy as np
import pytest
from damage import survives
from PIL import Image
from scipy.io import savemat

from nbf.data.catalogue import recognised
from nbf.data.labelled import IGNORE
from nbf.data.sets.up_lsp import LSP6, UP_LSP
from nbf.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lsp" / "images").mkdir(parents=True)
    (tmp_path / "data" / "lsp").mkdir(parents=True)
    savemat(tmp_path / "lsp" / "joints.mat", {"joints": np.ones((3, 14, 1002)) * 5})
    parts = np.zeros((8, 10), np.uint8)
    parts[2:8, :6] = np.arange(1, 7)[:, None]
    parts[0] = 255
    for name in ("im1001", "im1002"):
        Image.new("RGB", (10, 8)).save(tmp_path / "lsp" / "images" / f"{name}.jpg")
        Image.fromarray((parts > 0).astype(np.uint8) * 255).save(tmp_path / "data/lsp" / f"{name}_segmentation.png")
    Image.fromarray(parts).save(tmp_path / "data" / "lsp" / "im1001_part_segmentation.png")
    return tmp_path


def test_maps_lie_over_the_pictures_of_lsp(folder: Path) -> None:
    first, second = UP_LSP.open(folder, "test")
    assert first.people[0].joints_2d is not None
    assert first.pixels().shape[:2] == first.labels("mask").shape == first.labels("lsp6").shape
    parts = first.labels("lsp6")
    assert parts[:, 0].tolist() == [IGNORE, 0, 1, 2, 3, 4, 5, 6]
    assert parts.max() == IGNORE
    assert len(LSP6) == 7
    assert set(np.unique(first.labels("mask"))) == {0, 1}
    assert [each.scheme for each in second.maps] == ["mask"]
    assert UP_LSP.open(folder, "train")[0].maps == ()


def test_three_equal_channels_are_one(folder: Path) -> None:
    file = folder / "data" / "lsp" / "im1001_part_segmentation.png"
    before = UP_LSP.open(folder, "test")[0].labels("lsp6")
    Image.open(file).convert("RGB").save(file)
    np.testing.assert_array_equal(UP_LSP.open(folder, "test")[0].labels("lsp6"), before)


def test_a_label_that_there_is_not_is_refused(folder: Path) -> None:
    Image.new("L", (10, 8), 7).save(folder / "data" / "lsp" / "im1001_part_segmentation.png")
    with pytest.raises(DataError, match="got 7"):
        UP_LSP.open(folder, "test")[0].labels("lsp6")


def test_the_folder_is_recognised(folder: Path) -> None:
    assert recognised(folder) == [UP_LSP]


def test_without_lsp_it_says_what_belongs_where(folder: Path) -> None:
    (folder / "lsp" / "joints.mat").unlink()
    with pytest.raises(DataError, match="Leeds Sports Pose"):
        UP_LSP.open(folder, "test")


def test_nothing_but_data_errors_come_of_damage(folder: Path) -> None:
    assert survives(UP_LSP, folder, "test", sorted((folder / "data" / "lsp").iterdir()), 20) > 15
