"""The data sets that are read, one line each."""

from pathlib import Path

from nbf.data.kind import DataSet
from nbf.data.sets import lsp, street, varied
from nbf.errors import DataError

SETS: dict[str, DataSet] = {
    each.name: each
    for each in (
        lsp.LSP,
        lsp.LSPET,
        street.STREET,
        varied.VARIED,
    )
}


def named(text: str) -> tuple[DataSet, Path]:
    """The data set and the folder that `NAME:FOLDER` means.

    Raises:
        DataError: there is no such name, or no folder behind it.
    """
    name, colon, folder = text.partition(":")
    if name not in SETS or not colon or not folder:
        raise DataError(f"{text!r}: expected NAME:FOLDER with a name out of {', '.join(SETS)}")
    return SETS[name], Path(folder)


def recognised(folder: Path) -> list[DataSet]:
    """The data sets whose marks a folder bears."""
    return [each for each in SETS.values() if all(any(folder.glob(mark)) for mark in each.marks)]
