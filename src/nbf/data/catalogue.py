"""The data sets that are read, one line each."""

from pathlib import Path

from nbf.data.kind import DataSet
from nbf.data.sets import (
    agora,
    bedlam,
    coco,
    emdb,
    hmr2,
    human36m,
    humaneva,
    lsp,
    mpi_inf_3dhp,
    mpii,
    nbf_bench,
    openpose,
    pw3d,
    spin,
    street,
    surreal,
    up3d,
    up3d_nbf,
    up_lsp,
    varied,
    videopose3d,
)
from nbf.errors import DataError

SETS: dict[str, DataSet] = {
    each.name: each
    for each in (
        agora.SET,
        bedlam.SET,
        coco.COCO,
        coco.COCO2014,
        emdb.SET,
        hmr2.SET,
        human36m.SET,
        humaneva.SET,
        lsp.LSP,
        lsp.LSPET,
        mpi_inf_3dhp.SET,
        mpii.MPII,
        mpii.MPII_JSON,
        nbf_bench.SET,
        openpose.OPENPOSE,
        pw3d.SET,
        spin.SET,
        street.STREET,
        surreal.SET,
        up3d.UP3D,
        up3d_nbf.UP3D_NBF,
        up_lsp.UP_LSP,
        varied.VARIED,
        videopose3d.SET,
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
