"""Contact sheets of a folder of results: `nbf predict --sheet`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nbf import __version__
from nbf.cli._output import complain, say
from nbf.cli._results import shown
from nbf.errors import InputError
from nbf.files import RECORDS, Claim, real_path

if TYPE_CHECKING:
    from nbf.render.sheet import Tile

NAME = "contact-sheet"
# Photos a page and a row; the most that a tile may measure, pixels; of JPEG.
_PAGE, _COLUMNS, _WIDTH, _HEIGHT, _QUALITY = 60, 3, 736, 240, 90
_EMPTY = (222, 225, 230)


def write_sheet(claims: Sequence[Claim], folder: Path) -> int:
    """Write the pictures of these photos' results, as they are in the folder, to contact-sheet_1.jpg and so on; say so.

    Returns 0, or 1 if the pages cannot be written.
    """
    # Made from what is recorded, and recorded itself, so that pages are never taken for photos.
    writes = re.compile(rf"{NAME}_\d+\.jpg")
    reads = {real_path(claim.source) for claim in claims}
    options = {"nbf": __version__, "verb": "sheet"}
    sheet = Claim(folder, NAME, folder / RECORDS, options, writes=writes, reads=reads)
    try:
        sheet.take()
        with sheet.writing() as drafts:
            pages = [_write(claims[start : start + _PAGE], drafts, start) for start in range(0, len(claims), _PAGE)]
    except (InputError, OSError) as error:
        complain(f"failed: {NAME}: {error}")
        return 1
    finally:
        sheet.release()
    say(f"{len(claims)} photos on {', '.join(str(folder / page) for page in pages)}")
    return 0


def _write(claims: Sequence[Claim], drafts: Path, start: int) -> str:
    """Write the page that begins with a photo of this number; returns its name."""
    from nbf.render.sheet import contact_sheet

    name = f"{NAME}_{start // _PAGE + 1}.jpg"
    title = f"photos {start + 1} to {start + len(claims)}"
    contact_sheet([_tile(claim) for claim in claims], _COLUMNS, title).save(drafts / name, quality=_QUALITY)
    return name


def _tile(claim: Claim) -> "Tile":
    from PIL import Image

    from nbf.pictures import read_picture
    from nbf.render.sheet import Tile

    try:
        panel = Image.fromarray(read_picture(claim.folder / f"{claim.name}.png").pixels)
    except InputError:
        return Tile(f"{shown(claim.source)}: no picture", [Image.new("RGB", (_WIDTH, _HEIGHT), _EMPTY)])
    panel.thumbnail((_WIDTH, _HEIGHT), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return Tile(shown(claim.source), [panel])
