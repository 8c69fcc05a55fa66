"""Results saved earlier, fitted anew to what is known now: a height, a lens, other joints, a repainted part map."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from nbf.cli._known import KnownOptions
from nbf.cli._results import FORMATS, Kinds, claims, report
from nbf.cli._usage import UsageError, check_folder, parsed, understanding
from nbf.files import Claim

if TYPE_CHECKING:
    from nbf.people import People
    from nbf.predictor import Predictor


@dataclass(frozen=True, kw_only=True)
class Arguments(KnownOptions):
    """From results of `nbf predict` to better ones, without looking at the photos again.

    The body of walk_0.npz is fitted anew to the part map and joints that are in the file, or to those you give, and to
    what you know; the files written are those of `nbf predict`.
    """

    results: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NPZ...", help_behavior_hint="")]
    """Files that `nbf predict` wrote."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="DIR")] = Path("nbf-refined")
    """Folder for the results, made if missing."""
    photo: Annotated[Path | None, tyro.conf.arg(metavar="PHOTO", help_behavior_hint="(default: draw on white)")] = None
    """The photo that the people are in, for the picture of the result (one photo)."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Also write walk_0.json: boxes, body parameters and joints."""
    write_parts: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Also write walk_0_parts.png: the part map, to be repainted."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run; 0 if every result was done, 1 if one failed."""
    given = parsed(Arguments, "refine", arguments)
    if not given.results:
        raise UsageError("expected at least one .npz file that `nbf predict` wrote (see nbf refine --help)")
    check_folder(given.output)
    given.check_values()
    given.check_files(len(given.results))
    # Here and not above: help and mistakes should not wait for torch.
    from nbf.pictures import check_file

    if given.photo is not None:
        with understanding():
            check_file(given.photo)
    start = time.perf_counter()

    def read(claim: Claim) -> "People":
        check_file(claim.source)
        from nbf.export.npz import load_people

        return load_people(claim.source, given.photo)

    def load() -> "Predictor":
        from nbf import predictor

        return predictor.load()

    def ask(predictor: "Predictor", claim: Claim, people: "People") -> "People":
        claim.take()
        return predictor.refit(people, known=given.known(), **given.evidence(people.picture))

    kinds = Kinds.of(FORMATS, json=given.json, parts=given.write_parts)
    todo = claims("refine", given, given.results, given.output, kinds)
    done = zip(todo, given.answers(todo, read, load, ask), strict=True)
    return report(done, given.output, start, kinds)
