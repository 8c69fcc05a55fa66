"""`nbf data pack`: pictures of data sets as one small file of photos to train on."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from nbf.cli._output import say


@dataclass(frozen=True)
class Pack:
    """Shrink pictures of data sets, with boxes, keypoints and label maps, into one file of photos, as segmenter and
    locator train on beside drawn people and `nbf fit-photos` fits bodies to. Pictures that cannot be read are left
    out."""

    data: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME:FOLDER...")]]
    """Data sets; docs/datasets.md says which there are."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="NPZ")] = Path("runs/cache/real_train.npz")
    """Where the pack goes."""
    split: str = "train"
    """Which pictures."""
    pictures: Annotated[int, tyro.conf.arg(metavar="N")] = 10_000
    """At most so many of each set, evenly spread; a training keeps a third of a megabyte of each in memory."""


def make_pack(given: Pack) -> int:
    """Make the file; 0 when it is written."""
    # Here and not above: help and mistakes should not wait for torch.
    from rich.console import Console
    from rich.progress import track

    from nbf.data.catalogue import named
    from nbf.data.labelled import LabelledPicture
    from nbf.data.pack import pack_photos, packable

    console, found, lost = Console(stderr=True), list[LabelledPicture](), 0
    for text in given.data:
        kind, folder = named(text)
        pictures = kind.open(folder, given.split)
        step = max(len(pictures) // given.pictures, 1)
        rows = range(0, len(pictures), step)[: given.pictures]
        for row in track(rows, kind.title, console=console, disable=not sys.stderr.isatty()):
            picture = packable(pictures, row)
            lost += picture is None
            found += [] if picture is None else [picture]
    pack = pack_photos(found)
    pack.save(given.output)
    say(f"{len(pack.names)} pictures, {len(pack.photo)} people, {lost} left out -> {given.output}")
    return 0
