"""What the verbs `predict` and `refine` write for each picture, and what they say of it."""

import os
import re
import sys
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbf import __version__
from nbf.cli._known import KnownOptions
from nbf.errors import NbfError
from nbf.files import Claim, fingerprint, records, seen_from

if TYPE_CHECKING:
    from nbf.people import People

_SUFFIXES = (".glb", ".obj", ".npz")
# zlib's default level takes twice the time for a tenth of the size; its default strategy a fifth more time and size.
_PNG_COMPRESSION = 3
# Options that do not decide what is in a picture's results, and the pictures themselves.
_NO_MATTER = ("photos", "results", "output", "device", "skip_done")


def claims(
    verb: str, given: KnownOptions, sources: Sequence[Path], folder: Path, *, with_json: bool, with_parts: bool
) -> list[Claim]:
    """The files in a folder that a verb, run with the options `given`, may write for each picture."""
    values = {field.name: getattr(given, field.name) for field in fields(given) if field.name not in _NO_MATTER}
    read = [value for value in values.values() if isinstance(value, Path)]
    reads = {os.path.realpath(path) for path in (*sources, *read)}
    options: dict[str, Any] = {"nbf": __version__, "verb": verb}
    for name, value in values.items():
        # As JSON has it, files by what is in them: that is what records compare.
        value = fingerprint(value) if isinstance(value, Path) else value
        options[name] = list(value) if isinstance(value, tuple) else value
    if given.same_person:
        options["together"] = [fingerprint(source) for source in sources]
    endings = [rf"_\d+\{suffix}" for suffix in _SUFFIXES] + [r"\.png"]
    endings += [r"\.json"] * with_json + [r"_parts\.png"] * with_parts
    return [
        Claim(folder, name, source, options, writes=re.compile(f"{re.escape(name)}({'|'.join(endings)})"), reads=reads)
        for name, source in zip(result_names(sources, folder), sources, strict=True)
    ]


def report(
    results: "Iterable[tuple[Claim, People | NbfError]]",
    output: Path,
    start: float,
    *,
    with_json: bool,
    with_parts: bool,
) -> int:
    """Write the results of each picture under the names claimed for it and say so, with the time since `start`
    (`time.perf_counter`); 0 if all could be, 1 if one failed."""
    from nbf.people import People

    count, done, failed = 0, 0, []
    for claim, people in results:
        photo = claim.source
        try:
            if not isinstance(people, People):
                raise people
            with claim.writing() as drafts:
                write_results(people, drafts, claim.name, with_json=with_json, with_parts=with_parts)
        except NbfError as error:
            print(f"failed: {error}", file=sys.stderr)
            failed.append(photo)
        except OSError as error:
            print(f"failed: {photo}: its results cannot be written ({error}); free space or choose -o", file=sys.stderr)
            failed.append(photo)
        else:
            count, done = count + len(people), done + 1
            print(f"{photo}: {_counted(people)} -> {output / claim.name}.png")
        finally:
            claim.release()
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
        people.summary().save(draft, compress_level=_PNG_COMPRESSION, compress_type=zlib.Z_RLE)


def result_names(photos: Iterable[Path], folder: Path) -> list[str]:
    """What the results of each photo are called: as in an earlier run; else its stem, or stem-2, stem-3 ... where that
    is taken.

    Taken is a name that another photo got, in this run or an earlier one (upper and lower case are one to some file
    systems), and one whose PNGs would overwrite a photo.
    """
    photos = list(photos)
    inputs = {os.path.realpath(photo) for photo in photos}
    earlier = records(folder)
    names_of = {record.source: name for name, record in earlier.items()}
    taken = {png.casefold() for name in earlier for png in _pngs(name)}
    names = []
    for photo in photos:
        name, number = names_of.pop(seen_from(folder, photo), None), 1
        if name is None:
            name = photo.stem
            while any(png.casefold() in taken or os.path.realpath(folder / png) in inputs for png in _pngs(name)):
                number += 1
                name = f"{photo.stem}-{number}"
        taken |= {png.casefold() for png in _pngs(name)}
        names.append(name)
    return names


def _pngs(name: str) -> tuple[str, str]:
    return f"{name}.png", f"{name}_parts.png"


def _counted(people: "People") -> str:
    return {0: "nobody found", 1: "1 person"}.get(len(people), f"{len(people)} people")
