"""Work for other processes (`nbf.cli._workers`) that is quick, and of which some dies."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from nbf.cli._results import Outcome
from nbf.files import Claim


def work(folder: Path, some: Sequence[Claim]) -> Iterator[Outcome]:
    """Notes in a folder what is done, and on how many threads; dies with photos that are called so, always or once."""
    for claim in some:
        with (folder / claim.source.name).open("a") as file:
            file.write(os.environ["OMP_NUM_THREADS"] + "\n")
        tried = len((folder / claim.source.name).read_text().splitlines())
        if claim.source.name == "always" or (claim.source.name == "once" and tried == 1):
            os._exit(9)
        yield Outcome(people=int(claim.name))
