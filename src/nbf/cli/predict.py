"""Photos to body meshes: GLB, OBJ and NPZ files of every person, and one picture of the result."""

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from nbf.errors import InputError, NbfError

if TYPE_CHECKING:
    from nbf.people import People

_SUFFIXES = (".glb", ".obj", ".npz")
# zlib's default takes twice the time for a tenth of the size.
_PNG_COMPRESSION = 3


@dataclass(frozen=True)
class Arguments:
    """From photos to 3D body meshes.

    For a photo walk.jpg this writes walk.png (photo, part map, mesh over the photo, mesh from the side) and, for every
    person i in it, walk_i.glb (rigged), walk_i.obj and walk_i.npz (SMPL parameters, joints, camera).
    """

    photos: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO...", help_behavior_hint="")]
    """Picture files, folders, or quoted patterns such as 'album/**/*.jpg'."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="DIR")] = Path("nbf-results")
    """Folder for the results, made if missing."""
    max_people: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: everybody)")] = None
    """Keep only the N surest people of each photo."""
    focal: Annotated[float | None, tyro.conf.arg(metavar="PX", help_behavior_hint="(default: EXIF, else diagonal)")] = (
        None
    )
    """Focal length in pixels of the photo."""
    json: Annotated[bool, tyro.conf.arg(help_behavior_hint="")] = False
    """Also write walk.json: boxes, body parameters and joints of everybody."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "cpu"
    """Where the networks run: cpu, cuda, cuda:1 ..."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run; 0 if every photo was done, 1 if one failed."""
    given = tyro.cli(Arguments, prog="nbf predict", args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    if not given.photos:
        print("nbf predict: expected at least one photo, folder or pattern (see nbf predict --help)", file=sys.stderr)
        return 2
    if given.max_people is not None and given.max_people < 1:
        raise InputError(f"--max-people: expected a number of 1 or more, got {given.max_people}")
    if given.focal is not None and not given.focal > 0:
        raise InputError(f"--focal: expected a positive number of pixels, got {given.focal}")
    if given.output.exists() and not given.output.is_dir():
        raise InputError(f"{given.output}: expected a folder for the results, this is a file; name another with -o")
    return _run(given)


def _run(given: Arguments) -> int:
    # Here and not above: help and mistakes should not wait for torch.
    from rich.console import Console
    from rich.progress import track

    from nbf.people import People
    from nbf.predictor import load
    from nbf.sources import find_photos

    start = time.perf_counter()
    photos = find_photos(given.photos)
    names = result_names(photos, given.output)
    results = load(given.device).predict_many(photos, max_people=given.max_people, focal=given.focal)
    console = Console(stderr=True)
    silent = len(photos) < 2 or not console.is_terminal
    count, failed = 0, []
    tracked = track(results, "photos", total=len(photos), console=console, transient=True, disable=silent)
    for name, (photo, people) in zip(names, tracked, strict=True):
        try:
            if not isinstance(people, People):
                raise people
            write_results(people, given.output, name, with_json=given.json)
        except NbfError as error:
            print(f"failed: {error}", file=sys.stderr)
            failed.append(photo)
        except OSError as error:
            print(f"failed: {photo}: its results cannot be written ({error}); free space or choose -o", file=sys.stderr)
            failed.append(photo)
        else:
            count += len(people)
            print(f"{photo}: {_counted(people)} -> {given.output / name}.png")
    seconds = time.perf_counter() - start
    done = len(photos) - len(failed)
    print(f"{done} of {len(photos)} photos done, people: {count}, results in {given.output}/ ({seconds:.1f} s)")
    if failed:
        print(f"failed: {', '.join(map(str, failed))}", file=sys.stderr)
    return 1 if failed else 0


def write_results(people: "People", folder: Path, name: str, *, with_json: bool = False) -> None:
    """Everything about one photo, as files in `folder` that start with `name`; each appears whole or not at all.

    Raises:
        OSError: a file cannot be written.
    """
    from nbf.export.atomic import replacing

    for index, person in enumerate(people):
        for suffix in _SUFFIXES:
            person.export(folder / f"{name}_{index}{suffix}")
    if with_json:
        with replacing(folder / f"{name}.json") as draft:
            draft.write_text(people.to_json())
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
