"""Photos to body meshes: GLB, OBJ and NPZ files of every person, and one picture of the result."""

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from nbf.cli._known import KnownOptions
from nbf.errors import InputError, NbfError

if TYPE_CHECKING:
    from nbf.cli.refine import Arguments as RefineArguments
    from nbf.people import People

_SUFFIXES = (".glb", ".obj", ".npz")
# zlib's default takes twice the time for a tenth of the size.
_PNG_COMPRESSION = 3


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
    """How bodies are found: nbf, or nbf-plain, which does not make them agree with the joints seen in 2D."""
    weights: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: bundled)")] = None
    """Folder with weights that you trained, used in place of the bundled ones."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Also write walk.json: boxes, body parameters and joints of everybody."""
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
    if given.method == "nbf-plain" and (given.height or given.age_group or given.same_person or given.keypoints):
        raise InputError(
            "--method nbf-plain: expected no --height, --age-group, --same-person or --keypoints beside it, which only "
            "refinement can use; use nbf"
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
    photos = find_photos(given.photos)
    given.check(len(photos))
    if boxes is not None and len(photos) != 1:
        raise InputError(f"--box: expected one photo beside it, got {len(photos)}; run them one by one")
    names = result_names(photos, given.output)
    predictor = load(given.weights, given.method, given.device)

    def ask(photo: Path) -> "People":
        picture = read_picture(photo)
        return predictor.predict(
            picture,
            boxes=boxes,
            min_score=LIKELY if given.min_score is None else given.min_score,
            max_people=1 if given.same_person else given.max_people,
            known=given.known(),
            **given.evidence(picture),
        )

    results = given.answers(predictor, photos, ask)
    console = Console(stderr=True)
    silent = len(photos) < 2 or not console.is_terminal
    tracked = track(results, "photos", total=len(photos), console=console, transient=True, disable=silent)
    return report(zip(names, photos, tracked, strict=True), given, start)


def report(
    results: "Iterable[tuple[str, Path, People | NbfError]]", given: "Arguments | RefineArguments", start: float
) -> int:
    """Write the results of each picture and say so; 0 if all could be, 1 if one failed."""
    from nbf.people import People

    count, done, failed = 0, 0, []
    for name, photo, people in results:
        try:
            if not isinstance(people, People):
                raise people
            write_results(people, given.output, name, with_json=given.json, with_parts=given.write_parts)
        except NbfError as error:
            print(f"failed: {error}", file=sys.stderr)
            failed.append(photo)
        except OSError as error:
            print(f"failed: {photo}: its results cannot be written ({error}); free space or choose -o", file=sys.stderr)
            failed.append(photo)
        else:
            count, done = count + len(people), done + 1
            print(f"{photo}: {_counted(people)} -> {given.output / name}.png")
    total, seconds = done + len(failed), time.perf_counter() - start
    print(f"{done} of {total} photos done, people: {count}, results in {given.output}/ ({seconds:.1f} s)")
    if failed:
        print(f"failed: {', '.join(map(str, failed))}", file=sys.stderr)
    return 1 if failed else 0


def write_results(
    people: "People", folder: Path, name: str, *, with_json: bool = False, with_parts: bool = False
) -> None:
    """Everything about one photo, as files in `folder` that start with `name`; each appears whole or not at all.

    Raises:
        OSError: a file cannot be written.
    """
    from nbf.files import replacing

    for index, person in enumerate(people):
        for suffix in _SUFFIXES:
            person.export(folder / f"{name}_{index}{suffix}")
    if with_json:
        with replacing(folder / f"{name}.json") as draft:
            draft.write_text(people.to_json())
    if with_parts:
        from nbf.proxy.part_files import write_part_map

        write_part_map(people.part_labels(), folder / f"{name}_parts.png")
    with replacing(folder / f"{name}.png") as draft:
        people.summary().save(draft, compress_level=_PNG_COMPRESSION)


def result_names(photos: Iterable[Path], folder: Path) -> list[str]:
    """What the results of each photo are called: its stem; stem-2, stem-3 ... where that is taken.

    Taken is a name that an earlier photo got (upper and lower case are one to some file systems), and one whose PNG
    would overwrite a photo.
    """
    photos = list(photos)
    inputs = {photo.resolve() for photo in photos}
    taken: set[str] = set()
    names = []
    for photo in photos:
        name, number = photo.stem, 1
        while name.casefold() in taken or (folder / f"{name}.png").resolve() in inputs:
            number += 1
            name = f"{photo.stem}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _counted(people: "People") -> str:
    return {0: "nobody found", 1: "1 person"}.get(len(people), f"{len(people)} people")
