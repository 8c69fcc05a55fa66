"""Many pictures on one: a contact sheet."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

# Pixels; between the panels of a tile a hairline.
_GAP, _HAIRLINE, _CAPTION, _LINE, _FONT, _TITLE_FONT = 10, 2, 22, 30, 14, 18
_PAPER, _INK = (255, 255, 255), (40, 40, 46)


@dataclass(frozen=True)
class Tile:
    """What belongs together: pictures next to each other, under a caption."""

    caption: str
    panels: Sequence[Image.Image]

    @property
    def width(self) -> int:
        """Pixels, of the panels with the hairlines between them."""
        return sum(panel.width for panel in self.panels) + _HAIRLINE * max(len(self.panels) - 1, 0)

    @property
    def height(self) -> int:
        """Pixels, of the panels."""
        return max((panel.height for panel in self.panels), default=0)


def contact_sheet(
    tiles: Sequence[Tile], columns: int, title: str, legend: str = "", headings: Sequence[str] = ()
) -> Image.Image:
    """All tiles, row by row; a column is as wide as its widest tile, a row as high as its highest.

    Args:
        tiles: captions for which there is no room lose their beginnings, as names differ at their ends.
        columns: at most so many tiles a row.
        title: above everything.
        legend: a line below the title, if there is one.
        headings: what stands above each column, if anything does.
    """
    columns = max(1, min(columns, len(tiles)))
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    widths = [max((tile.width for tile in tiles[column::columns]), default=0) for column in range(columns)]
    heights = [_CAPTION + max(tile.height for tile in row) + _GAP for row in rows]
    font, bold = (ImageFont.load_default(size=size) for size in (_FONT, _TITLE_FONT))
    lines = [(title, bold)] + [(legend, font)] * bool(legend)
    room = max([sum(widths) + _GAP * (columns - 1), *(round(font.getlength(text)) for text, font in lines)])
    top = _GAP + _LINE * (len(lines) + bool(headings))
    paper = Image.new("RGB", (room + 2 * _GAP, top + sum(heights)), _PAPER)
    pen = ImageDraw.Draw(paper)
    for index, (text, kind) in enumerate(lines):
        pen.text((_GAP, _GAP + _LINE * (index + 0.5)), text, fill=_INK, font=kind, anchor="lm")
    lefts = [_GAP + sum(widths[:column]) + _GAP * column for column in range(columns)]
    for left, heading in zip(lefts, headings):
        pen.text((left, top - _LINE / 2), heading, fill=_INK, font=bold, anchor="lm")
    for row, height in zip(rows, heights):
        for left, width, tile in zip(lefts, widths, row):
            caption = _fitting(pen, tile.caption, font, width)
            pen.text((left, top + _CAPTION / 2), caption, fill=_INK, font=font, anchor="lm")
            place = left
            for panel in tile.panels:
                paper.paste(panel, (place, top + _CAPTION))
                place += panel.width + _HAIRLINE
        top += height
    return paper


def _fitting(pen: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int) -> str:
    """The end of a text for which there is room."""
    if pen.textlength(text, font=font) <= room:
        return text
    while text and pen.textlength(f"...{text}", font=font) > room:
        text = text[1:]
    return f"...{text}"
