"""LSP and its extended set, from files that scipy writes in their layout."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from nbf.data.catalogue import named, recognised
from nbf.data.sets.lsp import LSP, LSPET
from nbf.errors import DataError


def write_pictures(folder: Path, names: list[str]) -> None:
    (folder / "images").mkdir(parents=True)
    for shade, name in enumerate(names):
        Image.new("RGB", (40, 30), (shade, 0, 0)).save(folder / "images" / name)


@pytest.fixture
def lsp(tmp_path: Path) -> Path:
    write_pictures(tmp_path, [f"im{number:04}.jpg" for number in (1, 1001, 1002)])
    joints = np.arange(3 * 14 * 1002, dtype=float).reshape(3, 14, 1002)
    joints[2] = 0
    savemat(tmp_path / "joints.mat", {"joints": joints})
    return tmp_path


@pytest.fixture
def lspet(tmp_path: Path) -> Path:
    write_pictures(tmp_path, ["im00002.png", "im00007.png"])
    joints = np.ones((14, 3, 2)) * np.array([10.0, 20.0])
    joints[4, 2, 1] = 0
    savemat(tmp_path / "joints.mat", {"joints": joints})
    return tmp_path


def test_lsp_counts_pixels_from_one(lsp: Path) -> None:
    train, test = LSP.open(lsp, "train"), LSP.open(lsp, "test")
    assert (len(train), len(test)) == (1000, 2)
    assert [picture.name for picture in test] == ["im1001", "im1002"]
    joints = test[1].people[0].joints_2d
    assert joints is not None
    # Column 1001 of joint 3: x, then y in the next plane.
    np.testing.assert_array_equal(joints.points[3], [3 * 1002 + 1001 - 0.5, (14 + 3) * 1002 + 1001 - 0.5])
    assert joints.weight.all()
    assert test[0].pixels().shape == (30, 40, 3)


def test_lspet_takes_pictures_in_the_order_of_their_names(lspet: Path) -> None:
    first, second = LSPET.open(lspet, "train")
    assert [first.name, second.name] == ["im00002", "im00007"]
    joints = second.people[0].joints_2d
    assert joints is not None
    assert joints.weight.tolist() == [1.0] * 4 + [0.0] + [1.0] * 9
    np.testing.assert_array_equal(joints.points[0], [19.5, 19.5])


def test_lspet_with_a_picture_too_few_says_so(lspet: Path) -> None:
    (lspet / "images" / "im00007.png").unlink()
    with pytest.raises(DataError, match="2 pictures"):
        LSPET.open(lspet, "train")


def test_folders_are_recognised(lsp: Path) -> None:
    assert recognised(lsp) == [LSP]
    assert named(f"lsp:{lsp}") == (LSP, lsp)


@pytest.mark.parametrize("text", ["lsp", "nothing:here", ":x", "lsp:"])
def test_no_data_set(text: str) -> None:
    with pytest.raises(DataError, match="NAME:FOLDER"):
        named(text)


def test_what_a_folder_lacks_is_said(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["im0001.jpg"])
    with pytest.raises(DataError, match=r"joints\.mat"):
        LSP.open(tmp_path, "train")


@pytest.mark.parametrize("data", [b"", b"MATLAB 5.0 MAT-file" + bytes(200), b"\x89HDF\r\n\x1a\n" + bytes(99)])
def test_a_damaged_file_is_one_clean_error(lsp: Path, data: bytes) -> None:
    (lsp / "joints.mat").write_bytes(data)
    with pytest.raises(DataError, match=r"joints\.mat"):
        LSP.open(lsp, "train")
