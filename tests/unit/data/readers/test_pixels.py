"""Pictures out of files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nbf.data.readers.pixels import TurnedFile, read_rgb
from nbf.errors import DataError


def test_a_picture_on_its_side_is_turned_clockwise(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    turned = TurnedFile(tmp_path / "a.png").read()
    assert turned.shape == (6, 4, 3)
    # What was at the lower left comes to the upper left.
    np.testing.assert_array_equal(turned[0, 0], pixels[3, 0])
    np.testing.assert_array_equal(turned[5, 0], pixels[3, 5])
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), pixels)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    for read in (lambda: read_rgb(tmp_path / "a.png"), TurnedFile(tmp_path / "a.png").read):
        with pytest.raises(DataError, match=r"a\.png"):
            read()
