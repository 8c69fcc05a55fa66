"""What the verbs `predict` and `refine` write for each picture, and what they say of it."""

import os
import re
import time
import zlib
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbf import __version__
from nbf.cli._output import complain, say
from nbf.cli._usage import UsageError, understanding
from nbf.errors import NbfError
from nbf.export.formats import FORMATS as EXPORTS
from nbf.export.formats import Scene, Style, write_scene
from nbf.files import Claim, fingerprint, real_path, records, seen_from

if TYPE_CHECKING:
    from nbf.people import People

STDIN = Path("\0stdin")
"""The picture on standard input, under a name that no file has."""

BEHIND = 2
"""Results that wait to be written, at most."""
_SUMMARY = "png"
FORMATS = "glb,obj,npz,png"
"""What is written if nobody says otherwise."""
_PLAIN = Style()
# zlib's default level takes twice the time for a tenth of the size; its default strategy a fifth more time and size.
_PNG_COMPRESSION = 3
# Options that do not decide what is in a picture's results, the pictures themselves, and what `Written` knows.
_NO_MATTER = (
    *("photos", "results", "output", "device", "runtime", "workers", "skip_done", "recursive"),
    *("format", "to", "json", "write_parts", "sheet"),
)


class Written(ABC):
    """Which files are written for an item of a batch: `Kinds`, or another verb's."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """What of it decides results, as records have it."""

    @abstractmethod
    def names(self, name: str) -> re.Pattern[str]:
        """Matches the names of files that are written for an item."""

    @abstractmethod
    def write(self, people: Any, folder: Path, name: str) -> None:
        """The files of one item, each with a name that starts with `name`."""


@dataclass(frozen=True)
class Kinds(Written):
    """Which files are written for a picture.

    Attributes:
        people: formats of each person's files.
        scenes: formats of files that everybody is in.
        summary: whether there is a picture of the result.
        json: whether there is a JSON file.
        parts: whether there is a part map.
        style: how people are in their files.
    """

    people: tuple[str, ...]
    scenes: tuple[str, ...]
    summary: bool
    json: bool
    parts: bool
    style: Style = _PLAIN

    @classmethod
    def of(cls, formats: str, *, json: bool, parts: bool, style: Style = _PLAIN) -> "Kinds":
        """Those of `--format`, `--json` and `--write-parts`. Raises UsageError where a format is unknown or lacks a
        package."""
        names = format_names("--format", formats, (*EXPORTS, _SUMMARY))
        if "smpl" in names:
            raise UsageError("--format: expected formats that need no model of yours, got 'smpl'; nbf export writes it")
        chosen = [(name, format.together) for name, format in EXPORTS.items() if name in names]
        people, scenes = (tuple(name for name, together in chosen if together == one) for one in (False, True))
        return cls(people, scenes, _SUMMARY in names, json, parts, style)

    def options(self) -> dict[str, Any]:
        """What of it decides results, as records have it."""
        return {
            "format": [*self.people, *self.scenes, *[_SUMMARY] * self.summary],
            "json": self.json,
            "write_parts": self.parts,
        }

    def names(self, name: str) -> re.Pattern[str]:
        """Matches the names of files that are written for a picture."""
        endings = [rf"_\d+{re.escape(EXPORTS[name].ending)}" for name in self.people]
        endings += [re.escape(EXPORTS[name].ending) for name in self.scenes]
        endings += [r"\.png"] * self.summary + [r"\.json"] * self.json + [r"_parts\.png"] * self.parts
        return re.compile(f"{re.escape(name)}({'|'.join(endings)})")

    def write(self, people: "People", folder: Path, name: str) -> None:
        """Everything about one photo; see `write_results`."""
        write_results(people, folder, name, self)


def format_names(option: str, text: str, known: Sequence[str]) -> list[str]:
    """Names of formats with commas between them. Raises UsageError where one is unknown, or cannot be written here."""
    names = [name.strip().lower().removeprefix(".") for name in text.split(",")]
    for name in names:
        if name not in known:
            raise UsageError(
                f"{option}: expected some of {', '.join(known)}, with commas between them, got {name!r}"
                + ("; --json writes JSON" if name == "json" else "")
            )
        if name in EXPORTS:
            with understanding():
                EXPORTS[name].ready()
    return names


def claims(verb: str, given: Any, sources: Sequence[Path], folder: Path, kinds: Written) -> list[Claim]:
    """The files in a folder that a verb, run with the options `given` (a dataclass), may write for each picture."""
    values = {field.name: getattr(given, field.name) for field in fields(given) if field.name not in _NO_MATTER}
    read = [value for value in values.values() if isinstance(value, Path)]
    reads = {real_path(path) for path in (*sources, *read)}
    options: dict[str, Any] = {"nbf": __version__, "verb": verb} | kinds.options()
    for name, value in values.items():
        # As JSON has it, files by what is in them: that is what records compare.
        value = fingerprint(value) if isinstance(value, Path) else value
        options[name] = list(value) if isinstance(value, tuple) else value
    if values.get("same_person"):
        options["together"] = [fingerprint(source) for source in sources]
    return [
        Claim(folder, name, source, options, writes=kinds.names(name), reads=reads)
        for name, source in zip(result_names(sources, folder), sources, strict=True)
    ]


def report(
    results: "Iterable[tuple[Claim, Sequence[Any] | NbfError]]",
    output: Path,
    start: float,
    kinds: Written,
    what: str = "photos",
) -> int:
    """Write the results of each picture under the names claimed for it and say so, with the time since `start`
    (`time.perf_counter`); 0 if all could be, 1 if one failed."""
    outcomes = ((claim, written(claim, people, kinds)) for claim, people in results)
    return tell(outcomes, output, start, what)


@dataclass(frozen=True)
class Outcome:
    """What became of a picture.

    Attributes:
        error: why there are no results; None where there are.
        people: how many are in them.
        guessed: whether the lens of a picture with people was guessed.
        sizes: bytes of each file, by name.
    """

    error: str | None = None
    people: int = 0
    guessed: bool = False
    sizes: dict[str, int] = field(default_factory=dict)


def written(claim: Claim, people: "Sequence[Any] | NbfError", kinds: Written) -> Outcome:
    """Write the results of a picture under the names claimed for it, and let others have the names."""
    try:
        if isinstance(people, NbfError):
            raise people
        with claim.writing() as drafts:
            kinds.write(people, drafts, claim.name)
            sizes = {path.name: path.stat().st_size for path in sorted(drafts.iterdir())}
    except NbfError as error:
        return Outcome(str(error))
    except OSError as error:
        return Outcome(f"{shown(claim.source)}: its results cannot be written ({error}); free space or choose -o")
    finally:
        claim.release()
    return Outcome(None, len(people), bool(people) and _lens(people) == "guess", sizes)


def written_behind(
    results: "Iterable[tuple[Claim, Sequence[Any] | NbfError]]", kinds: Written
) -> Iterator[tuple[Claim, Outcome]]:
    """`written` for each in their order, in a thread, while the next results are found; at most `BEHIND` wait."""
    with ThreadPoolExecutor(1, "nbf-write") as thread:
        waiting: deque[tuple[Claim, Future[Outcome]]] = deque()
        for claim, people in results:
            waiting.append((claim, thread.submit(_written_there, claim, people, kinds)))
            del people
            while waiting and (len(waiting) > BEHIND or waiting[0][1].done()):
                first, outcome = waiting.popleft()
                yield first, outcome.result()
        for first, outcome in waiting:
            yield first, outcome.result()


def _written_there(claim: Claim, people: "Sequence[Any] | NbfError", kinds: Written) -> Outcome:
    """`written`, in another thread."""
    if not isinstance(people, NbfError):
        # Until a thread has asked, MKL works there with all cores, whatever torch was told, and rounds otherwise.
        import torch

        torch.get_num_threads()
    return written(claim, people, kinds)


def tell(outcomes: Iterable[tuple[Claim, Outcome]], output: Path, start: float, what: str = "photos") -> int:
    """Say what became of each picture, and of all; the exit status, as `report` has it."""
    count, done, bytes, guessed, failed = 0, 0, 0, 0, []
    for claim, outcome in outcomes:
        photo = shown(claim.source)
        if outcome.error is not None:
            complain(f"failed: {outcome.error}")
            failed.append(photo)
            continue
        count, done, bytes = count + outcome.people, done + 1, bytes + sum(outcome.sizes.values())
        guessed += outcome.guessed
        say(f"{photo}: {_counted(outcome.people)} -> {_listed(output, claim.name, outcome.sizes)}")
    total, seconds = done + len(failed), time.perf_counter() - start
    where = f", {_size(bytes)} in {output}{os.sep}" if bytes else ""
    say(f"{done} of {total} {what} done, people: {count}{where} ({seconds:.1f} s)")
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

    style = kinds.style if "glb" in kinds.people else replace(kinds.style, skin="clay")
    scene = Scene.of(people, rig=style.rig, skin=style.skin, detail=style.detail)
    for index, one in enumerate(scene.alone()):
        for format in kinds.people:
            path = folder / f"{name}_{index}{EXPORTS[format].ending}"
            write_scene(one.on_ground() if style.ground else one, path, EXPORTS[format])
    for format in kinds.scenes if people else ():
        write_scene(scene, folder / f"{name}{EXPORTS[format].ending}", EXPORTS[format])
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


def _lens(people: Sequence[Any]) -> str | None:
    """How the focal length of people in a photo came about."""
    return getattr(getattr(people, "camera", None), "lens", None)


def _counted(people: int) -> str:
    return {0: "nobody found", 1: "1 person"}.get(people, f"{people} people")


def _listed(output: Path, name: str, sizes: dict[str, int]) -> str:
    """Files written for a picture: the one to look at by its path, the others by their kinds; and their size."""
    if not sizes:
        return "no files"
    first = f"{name}.png" if f"{name}.png" in sizes else min(sizes)
    counts = Counter("part map" if file == f"{name}_parts.png" else _kind(file) for file in sizes if file != first)
    others = [kind if kind in ("json", "part map") else f"{count} {kind}" for kind, count in counts.items()]
    return f"{', '.join([str(output / first), *others])} ({_size(sum(sizes.values()))})"


def _kind(file: str) -> str:
    """The name of the format that has the longest of the file's endings, else the file's suffix."""
    endings = {format.ending: name for name, format in EXPORTS.items() if file.endswith(format.ending)}
    return endings[max(endings, key=len)] if endings else Path(file).suffix.removeprefix(".")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
