"""What the verbs `predict` and `refine` write for each picture, and what they say of it."""

import os
import re
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbf import __version__
from nbf.cli._known import KnownOptions
from nbf.cli._output import complain, say
from nbf.cli._usage import UsageError
from nbf.errors import NbfError
from nbf.files import Claim, fingerprint, real_path, records, seen_from

if TYPE_CHECKING:
    from nbf.people import People

STDIN = Path("\0stdin")
"""The picture on standard input, under a name that no file has."""

_MESHES = ("glb", "obj", "npz", "ply")
_SCENES = ("gif", "mp4", "html")
_SUMMARY = "png"
_NAMES = (*_MESHES, *_SCENES, _SUMMARY)
FORMATS = "glb,obj,npz,png"
"""What is written if nobody says otherwise."""
# zlib's default level takes twice the time for a tenth of the size; its default strategy a fifth more time and size.
_PNG_COMPRESSION = 3
# Options that do not decide what is in a picture's results, the pictures themselves, and what `Kinds` knows.
_NO_MATTER = (
    "photos",
    "results",
    "output",
    "device",
    "skip_done",
    "recursive",
    "format",
    "json",
    "write_parts",
    "sheet",
)


@dataclass(frozen=True)
class Kinds:
    """Which files are written for a picture.

    Attributes:
        people: suffixes of each person's files.
        scenes: suffixes of files that everybody is in.
        summary: whether there is a picture of the result.
        json: whether there is a JSON file.
        parts: whether there is a part map.
    """

    people: tuple[str, ...]
    scenes: tuple[str, ...]
    summary: bool
    json: bool
    parts: bool

    @classmethod
    def of(cls, formats: str, *, json: bool, parts: bool) -> "Kinds":
        """Those of `--format`, `--json` and `--write-parts`. Raises UsageError where a format is unknown or lacks a
        package."""
        names = [name.strip().lower().removeprefix(".") for name in formats.split(",")]
        for name in names:
            if name not in _NAMES:
                raise UsageError(
                    f"--format: expected some of {', '.join(_NAMES)}, with commas between them, got "
                    f"{name!r}" + ("; --json writes JSON" if name == "json" else "")
                )
        if "mp4" in names and find_spec("av") is None:
            raise UsageError("--format: mp4 needs PyAV; pip install 'neural-body-fitting[video]', or write gif")
        people, scenes = (tuple(name for name in some if name in names) for some in (_MESHES, _SCENES))
        return cls(people, scenes, _SUMMARY in names, json, parts)

    def options(self) -> dict[str, Any]:
        """What of it decides results, as records have it."""
        return {
            "format": [*self.people, *self.scenes, *[_SUMMARY] * self.summary],
            "json": self.json,
            "write_parts": self.parts,
        }

    def names(self, name: str) -> re.Pattern[str]:
        """Matches the names of files that are written for a picture."""
        endings = [rf"_\d+\.{suffix}" for suffix in self.people]
        endings += [rf"\.{suffix}" for suffix in self.scenes]
        endings += [r"\.png"] * self.summary + [r"\.json"] * self.json + [r"_parts\.png"] * self.parts
        return re.compile(f"{re.escape(name)}({'|'.join(endings)})")


def claims(verb: str, given: KnownOptions, sources: Sequence[Path], folder: Path, kinds: Kinds) -> list[Claim]:
    """The files in a folder that a verb, run with the options `given`, may write for each picture."""
    values = {field.name: getattr(given, field.name) for field in fields(given) if field.name not in _NO_MATTER}
    read = [value for value in values.values() if isinstance(value, Path)]
    reads = {real_path(path) for path in (*sources, *read)}
    options: dict[str, Any] = {"nbf": __version__, "verb": verb} | kinds.options()
    for name, value in values.items():
        # As JSON has it, files by what is in them: that is what records compare.
        value = fingerprint(value) if isinstance(value, Path) else value
        options[name] = list(value) if isinstance(value, tuple) else value
    if given.same_person:
        options["together"] = [fingerprint(source) for source in sources]
    return [
        Claim(folder, name, source, options, writes=kinds.names(name), reads=reads)
        for name, source in zip(result_names(sources, folder), sources, strict=True)
    ]


def report(results: "Iterable[tuple[Claim, People | NbfError]]", output: Path, start: float, kinds: Kinds) -> int:
    """Write the results of each picture under the names claimed for it and say so, with the time since `start`
    (`time.perf_counter`); 0 if all could be, 1 if one failed."""
    count, done, written, guessed, failed = 0, 0, 0, 0, []
    for claim, people in results:
        photo = shown(claim.source)
        try:
            if isinstance(people, NbfError):
                raise people
            with claim.writing() as drafts:
                write_results(people, drafts, claim.name, kinds)
                sizes = {path.name: path.stat().st_size for path in sorted(drafts.iterdir())}
        except NbfError as error:
            complain(f"failed: {error}")
            failed.append(photo)
        except OSError as error:
            complain(f"failed: {photo}: its results cannot be written ({error}); free space or choose -o")
            failed.append(photo)
        else:
            count, done, written = count + len(people), done + 1, written + sum(sizes.values())
            guessed += bool(people) and people.camera.lens == "guess"
            say(f"{photo}: {_counted(people)} -> {_listed(output, claim.name, sizes)}")
        finally:
            claim.release()
    total, seconds = done + len(failed), time.perf_counter() - start
    where = f", {_size(written)} in {output}{os.sep}" if written else ""
    say(f"{done} of {total} photos done, people: {count}{where} ({seconds:.1f} s)")
    if guessed:
        say(f"lens guessed in {guessed} of {done}: so are distances; --focal (28mm, say) makes them true")
    if failed and total > 1:
        complain(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def write_results(people: "People", folder: Path, name: str, kinds: Kinds) -> None:
    """Everything about one photo, as files in `folder` that start with `name`; each appears whole or not at all.

    Raises:
        OSError: a file cannot be written.
    """
    from nbf.files import replacing

    for index, person in enumerate(people):
        for suffix in kinds.people:
            person.export(folder / f"{name}_{index}.{suffix}")
    for suffix in kinds.scenes if people else ():
        people.export(folder / f"{name}.{suffix}")
    if kinds.json:
        with replacing(folder / f"{name}.json") as draft:
            draft.write_text(people.to_json())
    if kinds.parts:
        from nbf.proxy.part_files import write_part_map

        write_part_map(people.part_labels(), folder / f"{name}_parts.png")
    if kinds.summary:
        with replacing(folder / f"{name}.png") as draft:
            people.summary().save(draft, compress_level=_PNG_COMPRESSION, compress_type=zlib.Z_RLE)


def result_names(photos: Iterable[Path], folder: Path) -> list[str]:
    """What the results of each photo are called: as in an earlier run; else its stem, or stem-2, stem-3 ... where that
    is taken.

    Taken is a name that another photo got, in this run or an earlier one (upper and lower case are one to some file
    systems), and one whose PNGs would overwrite a photo.
    """
    photos = list(photos)
    inputs = {real_path(photo) for photo in photos}
    earlier = records(folder)
    names_of = {record.source: name for name, record in earlier.items()}
    taken = {png.casefold() for name in earlier for png in _pngs(name)}
    names = []
    for photo in photos:
        name, number = names_of.pop(seen_from(folder, photo), None), 1
        if name is None:
            name = stem = Path(shown(photo)).stem
            while any(png.casefold() in taken or real_path(folder / png) in inputs for png in _pngs(name)):
                number += 1
                name = f"{stem}-{number}"
        taken |= {png.casefold() for png in _pngs(name)}
        names.append(name)
    return names


def shown(source: Path) -> str:
    """What a user knows a picture by."""
    from nbf.pictures import name_of

    return "stdin" if source == STDIN else name_of(source)


def _pngs(name: str) -> tuple[str, str]:
    return f"{name}.png", f"{name}_parts.png"


def _counted(people: "People") -> str:
    return {0: "nobody found", 1: "1 person"}.get(len(people), f"{len(people)} people")


def _listed(output: Path, name: str, sizes: dict[str, int]) -> str:
    """Files written for a picture: the one to look at by its path, the others by their kinds; and their size."""
    if not sizes:
        return "no files"
    first = f"{name}.png" if f"{name}.png" in sizes else min(sizes)
    counts = Counter(
        "part map" if file == f"{name}_parts.png" else Path(file).suffix.removeprefix(".")
        for file in sizes
        if file != first
    )
    others = [kind if kind in ("json", "part map") else f"{count} {kind}" for kind, count in counts.items()]
    return f"{', '.join([str(output / first), *others])} ({_size(sum(sizes.values()))})"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
