"""Photos to body meshes: GLB, OBJ and NPZ files of every person, and one picture of the result."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from nbf.cli._known import KnownOptions
from nbf.cli._results import claims, report
from nbf.errors import InputError
from nbf.files import Claim, written_names

if TYPE_CHECKING:
    from nbf.people import People


DEAF = ("nbf-plain", "hmr", "omran", "pavlakos", "selfsup")
"""Methods that have no use for what is known of people."""


@dataclass(frozen=True, kw_only=True)
class Arguments(KnownOptions):
    """From photos to 3D body meshes.

    For a photo walk.jpg this writes walk.png (photo, part map, mesh over the photo, mesh from the side) and, for every
    person i in it, walk_i.glb (rigged), walk_i.obj and walk_i.npz (SMPL parameters, joints, camera).
    """

    photos: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO...", help_behavior_hint="")]
    """Picture files, folders, or quoted patterns such as 'album/**/*.jpg'."""
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
    write_parts: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Also write walk_parts.png: the predicted part map, to be repainted."""
    method: str = "nbf"
    """How bodies are found: nbf; nbf-plain, which does not make them agree with the joints seen in 2D; or one of those
    that it is compared with, by their names in docs/refinement.md."""
    weights: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: bundled)")] = None
    """Folder with weights that you trained, used in place of the bundled ones."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Also write walk.json: boxes, body parameters and joints of everybody."""
    skip_done: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Leave out photos that an earlier run with the same options finished, as after one that was stopped."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "cpu"
    """Where the networks run: cpu, cuda, cuda:1 ..."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run; 0 if every photo was done, 1 if one failed."""
    given = tyro.cli(Arguments, prog="nbf predict", args=arguments)
    if not given.photos:
        print("nbf predict: expected at least one photo, folder or pattern (see nbf predict --help)", file=sys.stderr)
        return 2
    if given.max_people is not None and given.max_people < 1:
        raise InputError(f"--max-people: expected a number of 1 or more, got {given.max_people}")
    if given.min_score is not None and not 0 < given.min_score <= 1:
        raise InputError(f"--min-score: expected a probability above 0, up to 1, got {given.min_score:g}")
    if given.method in DEAF and (given.height or given.age_group or given.same_person or given.keypoints):
        raise InputError(
            f"--method {given.method}: expected no --height, --age-group, --same-person or --keypoints beside it, "
            "which only methods that optimise can use; use nbf"
        )
    if given.output.exists() and not given.output.is_dir():
        raise InputError(f"{given.output}: expected a folder for the results, this is a file; name another with -o")
    return _run(given, parse_boxes(given.box))


def parse_boxes(texts: Sequence[str]) -> list[list[float]] | None:
    """Boxes as `Predictor.predict` takes them, from what stands behind each --box; None where nothing does.

    Raises:
        InputError: one is not four numbers.
    """
    boxes = []
    for text in texts:
        try:
            x0, y0, x1, y1 = map(float, text.split(","))
        except ValueError:
            raise InputError(f"--box: expected X0,Y0,X1,Y1 in pixels, such as 120,40,300.5,510, got {text!r}") from None
        boxes.append([x0, y0, x1, y1])
    return boxes or None


def _run(given: Arguments, boxes: list[list[float]] | None) -> int:
    # Here and not above: help and mistakes should not wait for torch.
    from rich.console import Console
    from rich.progress import track

    from nbf.pictures import find_photos, read_picture
    from nbf.predictor import load
    from nbf.suppression import LIKELY

    start = time.perf_counter()
    photos = _without_results(find_photos(given.photos))
    given.check(len(photos))
    if boxes is not None and len(photos) != 1:
        raise InputError(f"--box: expected one photo beside it, got {len(photos)}; run them one by one")
    files = {"with_json": given.json, "with_parts": given.write_parts}
    todo = claims("predict", given, photos, given.output, **files)
    if given.skip_done:
        todo = _not_done(todo, together=given.same_person)
        if not todo:
            print(f"all {len(photos)} photos were done earlier, results in {given.output}/")
            return 0
    predictor = load(given.weights, given.method, given.device)

    def ask(claim: Claim) -> "People":
        picture = read_picture(claim.source)
        claim.take()
        return predictor.predict(
            picture,
            boxes=boxes,
            min_score=LIKELY if given.min_score is None else given.min_score,
            max_people=1 if given.same_person else given.max_people,
            known=given.known(),
            **given.evidence(picture),
        )

    results = given.answers(predictor, todo, ask)
    console = Console(stderr=True)
    silent = len(todo) < 2 or not console.is_terminal
    tracked = track(results, "photos", total=len(todo), console=console, transient=True, disable=silent)
    done = zip(todo, tracked, strict=True)
    return report(done, given.output, start, **files)


def _without_results(photos: list[Path]) -> list[Path]:
    """Without those that runs wrote, which shells put among the others for `album/*`; said."""
    written = {folder: written_names(folder) for folder in {photo.parent for photo in photos}}
    left = [photo for photo in photos if photo.name not in written[photo.parent]]
    for photo in photos:
        if photo.name in written[photo.parent]:
            print(f"left out: {photo}: nbf wrote it; to use it as a photo, copy it under another name", file=sys.stderr)
    if not left:
        raise InputError("expected at least one photo, got only files that nbf wrote")
    return left


def _not_done(todo: list[Claim], *, together: bool) -> list[Claim]:
    """What no earlier run finished; said. Photos that share a shape are done `together` or not at all."""
    done = [claim for claim in todo if claim.done()]
    if together and len(done) < len(todo):
        return todo
    for claim in done:
        print(f"{claim.source}: done earlier -> {claim.folder / claim.name}.png")
    return [claim for claim in todo if claim not in done]
