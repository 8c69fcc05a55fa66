"""What the verbs `predict` and `refine` write for each picture, and what they say of it."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nbf.errors import NbfError

if TYPE_CHECKING:
    from nbf.people import People

_SUFFIXES = (".glb", ".obj", ".npz")
# zlib's default takes twice the time for a tenth of the size.
_PNG_COMPRESSION = 3


def report(
    results: "Iterable[tuple[str, Path, People | NbfError]]",
    output: Path,
    start: float,
    *,
    with_json: bool,
    with_parts: bool,
) -> int:
    """Write the results of each picture into a folder and say so, with the time since `start` (`time.perf_counter`);
    0 if all could be, 1 if one failed."""
    from nbf.people import People

    count, done, failed = 0, 0, []
    for name, photo, people in results:
        try:
            if not isinstance(people, People):
                raise people
            write_results(people, output, name, with_json=with_json, with_parts=with_parts)
        except NbfError as error:
            print(f"failed: {error}", file=sys.stderr)
            failed.append(photo)
        except OSError as error:
            print(f"failed: {photo}: its results cannot be written ({error}); free space or choose -o", file=sys.stderr)
            failed.append(photo)
        else:
            count, done = count + len(people), done + 1
            print(f"{photo}: {_counted(people)} -> {output / name}.png")
    total, seconds = done + len(failed), time.perf_counter() - start
    print(f"{done} of {total} photos done, people: {count}, results in {output}/ ({seconds:.1f} s)")
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
