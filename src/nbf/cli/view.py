"""Results saved earlier, in the browser: bodies to be turned by hand, with their measurements."""

import tempfile
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from nbf.cli._output import complain, say
from nbf.cli._usage import UsageError, parsed


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Look at bodies from all sides.

    Writes a page that needs neither the network nor a server into a folder for temporary files, and opens it in the
    browser. To keep such pages, `nbf predict --format html`.
    """

    results: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NPZ...", help_behavior_hint="")]
    """Files of people in one photo, that `nbf predict` or `nbf refine` wrote."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run; 0 if there is a page."""
    given = parsed(Arguments, "view", arguments)
    if not given.results:
        raise UsageError("expected at least one .npz file that `nbf predict` wrote (see nbf view --help)")
    # Here and not above: help and mistakes should not wait for torch.
    from nbf.export import write
    from nbf.export.npz import load_people
    from nbf.pictures import check_file

    for path in given.results:
        check_file(path)
    persons = [person for path in given.results for person in load_people(path)]
    page = write(persons, Path(tempfile.mkdtemp(prefix="nbf-view-")) / f"{given.results[0].stem}.html")
    say(page)
    if not webbrowser.open(page.as_uri()):
        complain("no browser could be opened; open that file in yours")
    return 0
