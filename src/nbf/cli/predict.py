"""Photos to body meshes: GLB, OBJ and NPZ files of every person, and one picture of the result."""

import io
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from nbf.cli._known import KnownOptions
from nbf.cli._output import complain, hushed, say
from nbf.cli._results import FORMATS, STDIN, Kinds, Outcome, claims, shown, tell, written_behind
from nbf.cli._sheet import write_sheet
from nbf.cli._usage import UsageError, check_folder, parsed, understanding
from nbf.cli._workers import shared
from nbf.errors import InputError, NbfError
from nbf.export.formats import Detail, RigName, Skin, Style
from nbf.files import Claim, written_names
from nbf.limits import (
    MOST_BYTES,
    RuntimeName,
    check_method,
    check_weights,
    checked_max_people,
    checked_min_score,
    parse_box,
)

if TYPE_CHECKING:
    from nbf.people import People
    from nbf.pictures import Picture
    from nbf.predictor import Predictor


DEAF = ("nbf-plain", "hmr", "omran", "pavlakos", "selfsup")
"""Methods that have no use for what is known of people."""


@dataclass(frozen=True, kw_only=True)
class Arguments(KnownOptions):
    """From photos to 3D body meshes.

    For a photo walk.jpg this writes walk.png (photo, part map, mesh over the photo, mesh from the side) and, for every
    person i in it, walk_i.glb (rigged), walk_i.obj and walk_i.npz (SMPL parameters, joints, camera); or what --format
    names. The exit status is 0 if every photo was done, 1 if one failed, 2 if the command line is not understood.
    """

    photos: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO...", help_behavior_hint="")]
    """Picture files, folders, quoted patterns such as 'album/**/*.jpg', or - for a picture on standard input."""
    recursive: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(aliases=["-r"], help_behavior_hint="")] = (
        False
    )
    """Search folders in depth, but for hidden folders and links to folders."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="DIR")] = Path("nbf-results")
    """Folder for the results, made if missing."""
    box: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="X0,Y0,X1,Y1", help_behavior_hint="")
    ] = ()
    """Where somebody is, pixels; again for each further person (for one photo). Otherwise people are located."""
    min_score: Annotated[float | None, tyro.conf.arg(metavar="P", help_behavior_hint="(default: 0.3)")] = None
    """Keep only who is a person with at least this probability, 0 to 1."""
    max_people: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: everybody)")] = None
    """Keep only the N surest people of each photo."""
    format: Annotated[str, tyro.conf.arg(metavar="NAME,...")] = FORMATS
    """What to write: glb, obj, npz, ply, bvh, usd, fbx (needs Blender), amass, coco and csv are each person's files,
    png is the picture of the result; gif and mp4 turn everybody once around, html is a page to turn them by hand."""
    rig: RigName = "smpl"
    """What joints are called in files that have a skeleton, such as glb."""
    ground: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Stand each person on the ground, in the middle, facing +z, not where the camera saw them; not npz, coco."""
    skin: Skin = "clay"
    """Of bodies in glb: clay; parts, the 24 parts in colours; photo, as the photo shows them (half a second more)."""
    detail: Detail = "full"
    """Of bodies in glb: full, 12,488 vertices, or small, 1,164."""
    write_parts: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Also write walk_parts.png: the predicted part map, to be repainted."""
    method: str = "nbf"
    """How bodies are found: nbf; nbf-plain, which does not make them agree with the joints seen in 2D; or one of those
    that it is compared with, by their names in docs/refinement.md."""
    weights: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: bundled)")] = None
    """Folder with weights that you trained, used in place of the bundled ones."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Also write walk.json: boxes, body parameters and joints of everybody."""
    sheet: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Also write contact-sheet_1.jpg ...: the pictures of all results on a few pages."""
    skip_done: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Leave out photos that an earlier run with the same options finished, as after one that was stopped."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "cpu"
    """Where the networks run: cpu, cuda, cuda:1 ..."""
    workers: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Processes that share the photos, each on its part of the processor's cores; each needs about a gigabyte."""
    runtime: RuntimeName = "torch"
    """What runs them: torch, or onnx (pip install 'neural-body-fitting[onnx]'), which takes --weights of nbf
    export-model, too."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run; 0 if every photo was done, 1 if one failed."""
    given = parsed(Arguments, "predict", arguments)
    if not given.photos:
        raise UsageError("expected at least one photo, folder or pattern (see nbf predict --help)")
    if "" in given.photos:
        # It would be the folder that one is in.
        raise UsageError("expected names of photos, got an empty one; is a variable unset?")
    given.check_values()
    with understanding():
        checked_max_people(given.max_people)
        if given.min_score is not None:
            checked_min_score(given.min_score)
        check_method(given.method)
        if given.weights is not None:
            check_weights(given.weights, given.runtime)
    if given.method in DEAF and (given.told or given.facts or given.same_person or given.keypoints):
        raise UsageError(
            f"--method {given.method}: expected neither facts about people nor --same-person or --keypoints beside it, "
            "which only methods that optimise can use; use nbf"
        )
    if given.skin == "photo" and given.detail != "full":
        raise UsageError("--skin photo: expected --detail full beside it: the small body has no place for a picture")
    if given.workers < 1:
        raise UsageError(f"--workers: expected 1 or more, got {given.workers}")
    if given.workers > 1 and (given.same_person or "-" in given.photos):
        raise UsageError("--workers: expected neither --same-person nor a picture on standard input (-) beside it")
    check_folder(given.output)
    style = Style(given.rig, given.ground, given.skin, given.detail)
    kinds = Kinds.of(given.format, json=given.json, parts=given.write_parts, style=style)
    if given.sheet and not kinds.summary:
        raise UsageError(f"--sheet: shows the pictures of results; expected png in --format, got {given.format}")
    with understanding():
        boxes = [parse_box(text, "--box") for text in given.box] or None
    return _run(given, boxes, kinds)


def _run(given: Arguments, boxes: list[tuple[float, ...]] | None, kinds: Kinds) -> int:
    photos = _without_results(_photos(given))
    given.check_files(len(photos))
    if boxes is not None and len(photos) != 1:
        raise UsageError(f"--box: expected one photo beside it, got {len(photos)}; run them one by one")
    everything = claims("predict", given, photos, given.output, kinds)
    todo = _not_done(everything, together=given.same_person) if given.skip_done else everything
    status = 0
    if todo:
        status = _predict(given, boxes, kinds, todo)
    else:
        say(f"all {len(photos)} photos were done earlier, results in {given.output}/")
    if given.sheet:
        status = max(status, write_sheet(everything, given.output))
    return status


def _predict(given: Arguments, boxes: list[tuple[float, ...]] | None, kinds: Kinds, todo: list[Claim]) -> int:
    start = time.perf_counter()
    make = partial(working, given, boxes, kinds)
    found = make()(todo) if given.workers == 1 else shared(todo, make, given.workers)
    with hushed(), closing(found):
        return tell(zip(todo, _tracked(found, len(todo)), strict=True), given.output, start)


def _tracked(found: "Iterable[Outcome]", total: int) -> "Iterable[Outcome]":
    """With a bar on terminals that says how far it is."""
    if total < 2 or not sys.stderr.isatty():
        return found
    # Here and not above: one photo should not wait for it.
    from rich.console import Console
    from rich.progress import track

    return track(found, "photos", total=total, console=Console(stderr=True), transient=True)


def working(
    given: Arguments, boxes: list[tuple[float, ...]] | None, kinds: Kinds
) -> "Callable[[Sequence[Claim]], Generator[Outcome, None, None]]":
    """What says what becomes of each of some photos: read ahead, predicted beside others, written behind."""

    @cache
    def load() -> "Predictor":
        # Here and not above: help and mistakes should not wait for torch.
        from nbf import predictor

        with understanding(InputError):
            return predictor.load(given.weights, given.method, given.device, given.runtime)

    def outcomes(todo: Sequence[Claim]) -> Generator[Outcome, None, None]:
        try:
            for _, outcome in written_behind(_found(given, boxes, load, todo), kinds):
                yield outcome
        finally:
            for claim in todo:
                claim.release()

    return outcomes


def _found(
    given: Arguments, boxes: list[tuple[float, ...]] | None, load: "Callable[[], Predictor]", todo: Sequence[Claim]
) -> "Iterator[tuple[Claim, People | NbfError]]":
    if given.same_person:
        yield from zip(todo, given.answers(todo, _taken, load, partial(_asked, given, boxes)), strict=True)
        return
    left = iter(todo)
    # Networks are loaded once something was read: mistakes in names answer at once.
    first: list[Picture] = []
    for claim in left:
        try:
            first.append(_taken(claim))
            options = _options(given, boxes, first[0])
        except NbfError as error:
            yield claim, error
            continue
        claims = [claim, *left]
        reads = chain([first.pop], (partial(_taken, each) for each in claims[1:]))
        for each, (_, people) in zip(claims, load().predict_many(reads, **options), strict=True):
            yield each, people


def _asked(
    given: Arguments, boxes: list[tuple[float, ...]] | None, predictor: "Predictor", claim: Claim, picture: "Picture"
) -> "People":
    return predictor.predict(picture, **_options(given, boxes, picture))


def _options(given: Arguments, boxes: list[tuple[float, ...]] | None, picture: "Picture") -> dict[str, Any]:
    """Of `Predictor.predict`; what depends on the picture is for one picture only. Raises InputError."""
    from nbf.suppression import LIKELY

    return {
        "boxes": boxes,
        "min_score": LIKELY if given.min_score is None else given.min_score,
        "max_people": 1 if given.same_person else given.max_people,
        "known": given.known(),
        **given.evidence(picture),
    }


def _taken(claim: Claim) -> "Picture":
    """The photo, once its results are claimed."""
    picture = _read(claim.source)
    claim.take()
    return picture


def _photos(given: Arguments) -> list[Path]:
    from nbf.pictures import find_photos

    named = find_photos([text for text in given.photos if text != "-"], recursive=given.recursive)
    return [STDIN, *named] if "-" in given.photos else named


def _read(source: Path) -> "Picture":
    from nbf.pictures import read_picture, read_stream

    if source != STDIN:
        return read_picture(source)
    if sys.stdin is None or sys.stdin.isatty():
        what = "nothing" if sys.stdin is None else "a terminal"
        raise InputError(f"stdin: expected a picture, got {what}; pipe one in, as in `nbf predict - < walk.jpg`")
    data = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InputError(f"stdin: over the limit of {MOST_BYTES >> 20} MiB; make the picture smaller first")
    return read_stream(io.BytesIO(data), "stdin")


def _without_results(photos: list[Path]) -> list[Path]:
    """Without those that runs wrote, which shells put among the others for `album/*`; said."""
    written = {folder: written_names(folder) for folder in {photo.parent for photo in photos}}
    left = [photo for photo in photos if photo.name not in written[photo.parent]]
    for photo in photos:
        if photo.name in written[photo.parent]:
            complain(f"left out: {photo}: nbf wrote it; to use it as a photo, copy it under another name")
    if not left:
        raise UsageError("expected at least one photo, got only files that nbf wrote")
    return left


def _not_done(todo: list[Claim], *, together: bool) -> list[Claim]:
    """What no earlier run finished; said. Photos that share a shape are done `together` or not at all."""
    done = [claim for claim in todo if claim.done()]
    if together and len(done) < len(todo):
        return todo
    for claim in done:
        say(f"{shown(claim.source)}: done earlier -> {claim.folder / claim.name}.*")
    return [claim for claim in todo if claim not in done]
