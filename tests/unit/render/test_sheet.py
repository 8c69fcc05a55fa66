"""Contact sheets: every panel is there, whole, in order, and captions stay in their columns."""

import numpy as np
from PIL import Image, ImageFont

from nbf.render.sheet import Tile, contact_sheet


def panel(number: int, width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), (number, 200, 255 - number))


def places(sheet: Image.Image, number: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of a panel, all of which has its colour."""
    rows, columns = np.nonzero((np.asarray(sheet) == (number, 200, 255 - number)).all(-1))
    left, top, width, height = columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1
    assert len(rows) == width * height
    return int(left), int(top), int(width), int(height)


def test_panels_stand_in_rows_and_columns() -> None:
    sizes = [(40, 30), (60, 20), (50, 80), (10, 10), (70, 5)]
    tiles = [Tile(f"tile {i}", [panel(2 * i, *size), panel(2 * i + 1, *size)]) for i, size in enumerate(sizes)]
    sheet = contact_sheet(tiles, 2, "title", "legend", headings=("a", "b"))
    found = [places(sheet, number) for number in range(10)]
    for i, size in enumerate(sizes):
        first, second = found[2 * i : 2 * i + 2]
        assert first[2:] == second[2:] == size
        assert first[1] == second[1]
        assert second[0] > first[0] + first[2]
    for number in (0, 2):  # columns, then rows
        assert len({found[number + step][0] for step in (0, 4)}) == 1
    assert found[0][1] == found[2][1]
    assert found[4][1] == found[6][1] > found[0][1] + 30
    assert found[8][1] > found[4][1] + 80


def test_long_captions_end_in_their_column() -> None:
    def ink(caption: str) -> np.ndarray:
        sheet = contact_sheet([Tile(caption, [panel(1, 90, 9)]), Tile("", [panel(2, 90, 9)])], 2, "")
        return (np.asarray(sheet)[40:62].min(-1) < 128).any(0)

    long = ink("some/folder/with/a/name/that/goes/on/walk_17.jpg")
    assert long[10:100].any()
    assert not long[101:].any()
    end = ink("walk_17.jpg")
    size = round(ImageFont.load_default(size=14).getlength("7.jpg"))
    last = [np.nonzero(each)[0].max() for each in (long, end)]
    np.testing.assert_array_equal(long[last[0] - size : last[0]], end[last[1] - size : last[1]])


def test_a_sheet_of_nothing_has_its_title() -> None:
    assert (np.asarray(contact_sheet([], 3, "nothing")) < 128).any()
