"""`nbf predict --sheet`: pages with the picture of every result, which belong to nbf as other results do."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from quick_predict import ASKED, photo, quick_predict

from nbf.cli import _results, _sheet, main
from nbf.cli._results import Kinds
from nbf.people import People


def draw(people: People, folder: Path, name: str, kinds: Kinds) -> None:
    """As `write_results`: a picture in the photo's colour."""
    Image.new("RGB", (1000, 200), tuple(people.picture.pixels[0, 0].tolist())).save(folder / f"{name}.png")


@pytest.fixture(autouse=True)
def stubs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with quick_predict():
        monkeypatch.setattr(_results, "write_results", draw)
        ASKED.clear()
        yield


def shown(page: str) -> list[int]:
    """Greens of the photos that are on a page, from top to bottom."""
    with Image.open(page) as picture:
        pixels = np.asarray(picture.convert("RGB"), int)
    # JPEG: nearly.
    panel = (abs(pixels[..., 0] - 1) < 12) & (pixels[..., 2] < 12)
    greens = pixels[panel.any(1)][:, 20, 1]
    return sorted({round(green / 50) * 50 for green in greens})


def test_every_photo_is_on_the_sheet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(_sheet, "_PAGE", 2)
    monkeypatch.setattr(_sheet, "_COLUMNS", 1)
    for index in range(4):
        photo(Path(f"album/{index}.jpg"), 1, green=50 * (index + 1))
    Path("album/2.jpg").write_bytes(b"no picture")
    assert main(["predict", "album", "-o", "album", "--sheet", "--format", "png"]) == 1
    assert "4 photos on album/contact-sheet_1.jpg, album/contact-sheet_2.jpg" in capsys.readouterr().out
    assert [shown(f"album/contact-sheet_{page}.jpg") for page in (1, 2)] == [[50, 100], [200]]
    # What was done earlier is on it as well, and pages are no photos.
    photo(Path("album/2.jpg"), 1, green=150)
    ASKED.clear()
    assert main(["predict", "album", "-o", "album", "--sheet", "--format", "png", "--skip-done"]) == 0
    assert ASKED == ["2.jpg"]
    assert [shown(f"album/contact-sheet_{page}.jpg") for page in (1, 2)] == [[50, 100], [150, 200]]
    # Fewer photos, fewer pages; nothing to predict, still a sheet.
    assert main(["predict", "album/0.jpg", "-o", "album", "--sheet", "--format", "png", "--skip-done"]) == 0
    assert ASKED == ["2.jpg"]
    assert shown("album/contact-sheet_1.jpg") == [50]
    assert not Path("album/contact-sheet_2.jpg").exists()


def test_a_sheet_of_somebody_else_stays(capsys: pytest.CaptureFixture[str]) -> None:
    photo(Path("walk.jpg"))
    Path("out").mkdir()
    Path("out/contact-sheet_1.jpg").write_text("mine")
    assert main(["predict", "walk.jpg", "-o", "out", "--sheet", "--format", "png"]) == 1
    assert "would overwrite out/contact-sheet_1.jpg" in capsys.readouterr().err
    assert Path("out/contact-sheet_1.jpg").read_text() == "mine"
    assert Path("out/walk.png").exists()


def test_a_sheet_needs_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    photo(Path("walk.jpg"))
    assert main(["predict", "walk.jpg", "--sheet", "--format", "glb"]) == 2
    assert "--sheet: shows the pictures of results; expected png in --format, got glb" in capsys.readouterr().err
