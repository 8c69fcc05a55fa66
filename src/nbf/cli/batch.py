"""Photos by the million to Parquet, a row a person, by workers on one machine or many."""

import os
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from nbf.cli._output import complain, hushed, printable, say
from nbf.cli._usage import UsageError, parsed, understanding
from nbf.errors import InputError
from nbf.limits import check_method, checked_max_people, checked_min_score, weight_files

if TYPE_CHECKING:
    from nbf.batch.worker import Done

FORMATS = ("glb", "npz")
"""What may be written of each person beside the rows."""
_EVERY = 60.0
"""Seconds between lines that say how far it is, where there is no terminal."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """From many photos to Parquet files: docs/batch.md says what is in them.

    OUTPUT/people/part-00000.parquet and so on have a row for each person, and one for each photo that has nobody or
    cannot be read, with the error. A run that was stopped, run again, goes on. The exit status is 0 if every photo was
    done, 1 if one failed, 2 if the command line is not understood.
    """

    input: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="INPUT", help_behavior_hint="")]
    """A folder with photos; or a quoted pattern or a file: pictures, WebDataset .tar, .parquet. Or a URL of one of
    these: s3://bucket/album, gs://..."""
    output: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OUTPUT", help_behavior_hint="")]
    """Folder or URL for the results; the same for all machines of a cluster."""
    column: Annotated[str, tyro.conf.arg(metavar="NAME")] = "image"
    """Of .parquet files: the column with bytes of pictures, or their paths; of a struct, as image.bytes."""
    workers: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: one for each CPU)")] = None
    """How many predict at the same time; each takes about 1 GB."""
    cpus_per_worker: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Threads of each of them: more are faster for a photo, fewer for a million."""
    address: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT", help_behavior_hint="(default: here alone)")] = (
        None
    )
    """Of a Ray cluster; auto is the one that this machine is part of."""
    format: Annotated[str, tyro.conf.arg(metavar="NAME,...", help_behavior_hint="(default: rows alone)")] = ""
    """Also write each person's meshes below OUTPUT/meshes: glb, npz."""
    min_score: Annotated[float | None, tyro.conf.arg(metavar="P", help_behavior_hint="(default: 0.3)")] = None
    """Keep only who is a person with at least this probability, 0 to 1."""
    max_people: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: everybody)")] = None
    """Keep only the N surest people of each photo."""
    method: str = "nbf"
    """How bodies are found, as of nbf predict."""
    weights: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: bundled)")] = None
    """Folder with weights that you trained, used in place of the bundled ones."""
    part: Annotated[int, tyro.conf.arg(metavar="N")] = 64
    """Photos in each Parquet file, which is done as a whole: what is lost at most where a worker dies."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run; 0 if every photo was done, 1 if one failed."""
    given = parsed(Arguments, "batch", arguments)
    for name in ("workers", "cpus_per_worker", "part"):
        if (value := getattr(given, name)) is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')}: expected 1 or more, got {value}")
    formats = [name.strip().lower() for name in given.format.split(",") if name.strip()]
    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"--format: expected some of {', '.join(FORMATS)}, with commas between them, got {name!r}")
    with understanding():
        checked_max_people(given.max_people)
        if given.min_score is not None:
            checked_min_score(given.min_score)
        check_method(given.method)
        if given.weights is not None:
            weight_files(given.weights)
    # Here and not above: help and mistakes should not wait for torch.
    try:
        from nbf.batch.job import begin
        from nbf.batch.run import run
    except ModuleNotFoundError as error:
        raise InputError(
            f"nbf batch needs {error.name}, which is not installed: pip install 'neural-body-fitting[cluster]'"
        ) from error
    from nbf.suppression import LIKELY

    job, parts = begin(
        given.output,
        given.input,
        column=given.column,
        method=given.method,
        weights=given.weights,
        min_score=LIKELY if given.min_score is None else given.min_score,
        max_people=given.max_people,
        formats=formats,
        part=given.part,
    )
    left = sum(min(job.part, job.photos - job.part * part) for part in parts)
    if left < job.photos:
        say(f"{job.photos - left} of {job.photos} photos were done earlier")
    if not parts:
        return 0
    done = run(given.output, parts, workers=given.workers, cpus=given.cpus_per_worker, address=given.address)
    try:
        return _report(done, left, given.output)
    except KeyboardInterrupt:
        complain("what is done is done; the same command goes on with the rest")
        raise


def _report(results: "Generator[Done]", total: int, output: str) -> int:
    """Say how far it is, and at the end what was done; 1 if a photo failed."""
    start = time.perf_counter()
    photos = people = errors = 0
    # Ray speaks of every worker that dies, and not only in Python.
    with _telling(total) as tell, hushed(), closing(results):
        for done in results:
            photos, people, errors = photos + done.photos, people + done.people, errors + done.errors
            again = f"part {done.part} was begun anew: a worker died"
            tell(photos, f"people: {people}, errors: {errors}", again if done.tries > 1 else None)
    seconds = time.perf_counter() - start
    rate = f"{seconds:.1f} s, {photos / seconds:.2f} photos a second"
    say(f"{photos} of {total} photos done, people: {people}, errors: {errors}, in {output} ({rate})")
    if errors:
        complain(f"failed: {errors} photos; the column error of their rows says why")
    return 1 if errors else 0


@contextmanager
def _telling(total: int) -> "Iterator[Callable[[int, str, str | None], None]]":
    """Shows on standard error how many photos are done, what else there is to say of them, and news: a bar on
    terminals, otherwise a line a minute."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # A way to the terminal of our own: see `hushed`.
    try:
        way: int | str = os.dup(2)
    except OSError:  # closed
        way = os.devnull
    with open(way, "w", encoding=sys.stderr.encoding, errors="backslashreplace") as file:
        console = Console(file=file)
        columns = (
            *(BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TextColumn("{task.fields[also]}")),
            *(TextColumn("left:"), TimeRemainingColumn()),
        )
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("photos", total=total, rate="", also="loading")
            start = last = time.perf_counter()

            def tell(photos: int, also: str, news: str | None) -> None:
                nonlocal last
                now = time.perf_counter()
                rate = f"{photos / (now - start):.2f} a second"
                bar.update(task, completed=photos, rate=rate, also=also)
                if news is not None:
                    console.print(printable(news), markup=False, highlight=False, soft_wrap=True)
                if not console.is_terminal and now - last > _EVERY:
                    last = now
                    print(f"{photos} of {total} photos, {rate}, {also}", file=file, flush=True)

            yield tell
