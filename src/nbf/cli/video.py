"""Films to motions: animated GLB, BVH and AMASS files of every person, and a film of the result."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from nbf import __version__
from nbf.cli._output import complain, say
from nbf.cli._results import result_names, shown
from nbf.cli._usage import UsageError, check_folder, parsed, understanding
from nbf.errors import InputError, NbfError
from nbf.files import RECORDS, Claim, fingerprint, real_path
from nbf.limits import checked_fact, checked_max_people, checked_min_score, parse_focal

if TYPE_CHECKING:
    from nbf.film.run import Progress
    from nbf.predictor import Predictor

FORMATS = "glb,bvh,npz,mp4,json"
"""What is written if nobody says otherwise: all there is."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """From films to 3D bodies that move.

    For a film walk.mp4 this writes walk_film.mp4 (the film, and the bodies over it), walk.json (how steady it is) and,
    for every person i in it, walk_i.glb (animated), walk_i.bvh and walk_i.npz (as AMASS); or what --format names. A run
    that was stopped goes on where it was. The exit status is 0 if every film was done, 1 if one failed, 2 if the
    command line is not understood.
    """

    films: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILM...", help_behavior_hint="")]
    """Video files; or folders, each with the frames of one film, in the order of their names."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="DIR")] = Path("nbf-results")
    """Folder for the results, made if missing."""
    format: Annotated[str, tyro.conf.arg(metavar="NAME,...")] = FORMATS
    """What to write: glb, bvh and npz are each person's files, mp4 is the film of the result, json numbers."""
    rate: Annotated[float | None, tyro.conf.arg(metavar="FPS", help_behavior_hint="(default: the file's, or 30)")] = (
        None
    )
    """Frames a second."""
    lag: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: the whole film)")] = None
    """Look at most N frames ahead when smoothing, as live use would have to; 0 looks at none."""
    focal: Annotated[str | None, tyro.conf.arg(metavar="28mm", help_behavior_hint="(default: a guess)")] = None
    """Focal length: 28mm (as on 35 mm film) or 1200px."""
    height: Annotated[float | None, tyro.conf.arg(metavar="METRES", help_behavior_hint="(default: unknown)")] = None
    """How tall everybody is. With the focal length this gives true distances."""
    min_score: Annotated[float | None, tyro.conf.arg(metavar="P", help_behavior_hint="(default: 0.3)")] = None
    """Keep only who is a person with at least this probability, 0 to 1."""
    max_people: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: everybody)")] = None
    """Look for at most N people in each frame, the surest."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "cpu"
    """Where the networks run: cpu, cuda, cuda:1 ..."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run; 0 if every film was done, 1 if one failed."""
    given = parsed(Arguments, "video", arguments)
    if not given.films:
        raise UsageError("expected at least one film, or folder with the frames of one (see nbf video --help)")
    kinds = _kinds(given.format)
    with understanding():
        checked_max_people(given.max_people)
        if given.min_score is not None:
            checked_min_score(given.min_score)
        if given.focal is not None:
            parse_focal(given.focal)
        if given.height is not None:
            checked_fact("height", given.height)
    check_folder(given.output)
    # Here and not above: help and mistakes should not wait for torch.
    from nbf import predictor

    with understanding(InputError):
        loaded = predictor.load(device=given.device)
    failed = []
    for film, name in zip(given.films, result_names(given.films, given.output)):
        try:
            _one(given, loaded, film, name, kinds)
        except NbfError as error:
            complain(f"failed: {error}")
            failed.append(shown(film))
        except OSError as error:
            complain(f"failed: {shown(film)}: its results cannot be written ({error}); free space or choose -o")
            failed.append(shown(film))
    if failed and len(given.films) > 1:
        complain(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _kinds(text: str) -> tuple[str, ...]:
    names = [name.strip().lower().removeprefix(".") for name in text.split(",")]
    for name in names:
        if name not in FORMATS.split(","):
            raise UsageError(f"--format: expected some of {FORMATS}, with commas between them, got {name!r}")
    return tuple(name for name in FORMATS.split(",") if name in names)


def _one(given: Arguments, predictor: "Predictor", film: Path, name: str, kinds: tuple[str, ...]) -> None:
    import shutil

    from nbf.film.outputs import pattern, write_film
    from nbf.film.run import predict_film
    from nbf.known import Known
    from nbf.suppression import LIKELY

    start = time.perf_counter()
    sees: dict[str, Any] = {
        option: getattr(given, option) for option in ("rate", "focal", "height", "min_score", "max_people")
    }
    options = {"nbf": __version__, "verb": "video", "lag": given.lag, "format": list(kinds)} | sees
    claim = Claim(given.output, name, film, options, writes=pattern(name, kinds), reads={real_path(film)})
    claim.take()
    try:
        work = given.output / RECORDS / f"{name}.seen"
        _fresh(work, {"nbf": __version__, "film": fingerprint(film)} | sees)
        with _watched(film) as progress:
            people = predict_film(
                predictor,
                film,
                rate=given.rate,
                min_score=LIKELY if given.min_score is None else given.min_score,
                max_people=given.max_people,
                focal=given.focal,
                known=None if given.height is None else Known(height=given.height),
                lag=given.lag,
                work=work,
                progress=progress,
            )
            with claim.writing() as drafts:
                write_film(people, drafts, name, kinds, progress)
                count = len(list(drafts.iterdir()))
        shutil.rmtree(work, ignore_errors=True)
    finally:
        claim.release()
    seconds = time.perf_counter() - start
    who = {0: "nobody found", 1: "1 person"}.get(len(people.tracks), f"{len(people.tracks)} people")
    say(f"{shown(film)}: {people.frames} frames, {who} -> {given.output / name}*, {count} files ({seconds:.1f} s)")


def _fresh(work: Path, about: dict[str, Any]) -> None:
    """Leave in a folder what an earlier run has seen of the same film with the same options, and nothing else."""
    import json
    import shutil

    from nbf.files import replacing

    file, text = work / "about.json", json.dumps(about, sort_keys=True)
    if not (file.is_file() and file.read_text() == text):
        shutil.rmtree(work, ignore_errors=True)
        with replacing(file) as draft:
            draft.write_text(text)


@contextmanager
def _watched(film: Path) -> "Iterator[Progress]":
    """A bar with the time that is left, on terminals."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def progress(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(f"{shown(film)}: {what}", total=total)
                bar.reset(tasks[what], total=total, completed=done)
            bar.update(tasks[what], completed=done, total=total)

        yield progress
