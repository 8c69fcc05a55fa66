"""Results saved earlier as files of other programs: Blender, game engines, motion tools, spreadsheets, SMPL."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from nbf.cli._results import Written, claims, format_names, report
from nbf.cli._usage import UsageError, check_folder, parsed, understanding
from nbf.errors import NbfError
from nbf.export.formats import FORMATS, Detail, Format, RigName, Scene, Style, write_files
from nbf.files import Claim

if TYPE_CHECKING:
    from nbf.body.model import BodyModel
    from nbf.motion import Motion
    from nbf.people import Person

_NAMES = tuple(name for name in FORMATS if name != "npz")
"""Of formats that results are not in already."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """From results of `nbf predict` to files of other programs.

    walk_0.npz becomes walk_0.glb, walk_0.bvh and so on, all of its people in one file; bvh, amass and smpl have a file
    for each of several people. docs/files.md says what is in them. The exit status is 0 if every result was done, 1 if
    one failed, 2 if the command line is not understood.
    """

    results: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NPZ...", help_behavior_hint="")]
    """Files that `nbf predict` wrote (npz, glb), or motions in the layout of AMASS that nbf wrote."""
    to: Annotated[str, tyro.conf.arg(metavar="NAME,...")]
    """What to write: glb, obj, ply, bvh, usd, fbx (needs Blender), amass, smpl (needs --smpl-model), coco, csv, gif,
    mp4, html."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="DIR")] = Path("nbf-export")
    """Folder for the files, made if missing."""
    rig: RigName = "smpl"
    """What joints are called in glb, bvh, usd and fbx."""
    ground: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Stand people on the ground, the first of them facing +z, in place of where the camera saw them."""
    skin: Literal["clay", "parts"] = "clay"
    """Of bodies in glb: clay, or parts: the 24 parts in colours."""
    detail: Detail = "full"
    """Of bodies in glb: full, 12,488 vertices, or small, 1,164."""
    smpl_model: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Your own file of SMPL, .pkl or .npz as its makers hand it out."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run; 0 if every result was done, 1 if one failed."""
    given = parsed(Arguments, "export", arguments)
    if not given.results:
        raise UsageError("expected at least one .npz or .glb file that `nbf predict` wrote (see nbf export --help)")
    check_folder(given.output)
    names = format_names("--to", given.to, _NAMES)
    if ("smpl" in names) != (given.smpl_model is not None):
        raise UsageError("--smpl-model: expected beside --to smpl, and only there; nbf does not come with SMPL's file")
    start = time.perf_counter()
    style = Style(given.rig, given.ground, given.skin, given.detail)
    exports = Exports(tuple(name for name in FORMATS if name in names), style, given.smpl_model)
    if given.smpl_model is not None:
        with understanding():
            exports.smpl  # noqa: B018  read once, before anything is done
    todo = claims("export", given, given.results, given.output, exports)
    return report(_read_all(todo), given.output, start, exports, "results")


@dataclass(frozen=True)
class Exports(Written):
    """Which files are written for each result."""

    formats: tuple[str, ...]
    style: Style
    smpl_model: Path | None

    def options(self) -> dict[str, Any]:
        """What of it decides results, as records have it."""
        return {"to": list(self.formats)}

    def names(self, name: str) -> re.Pattern[str]:
        """Matches the names of files that are written for a result."""
        endings = [(r"(_\d+)?" if each.alone else "") + re.escape(each.ending) for each in self._formats]
        return re.compile(f"{re.escape(name)}({'|'.join(endings)})")

    def write(self, people: "Sequence[Person] | Sequence[Motion]", folder: Path, name: str) -> None:
        """All files of a result."""
        write_files(Scene.of(people, **vars(self.style), smpl=self.smpl), folder, name, self._formats)

    @property
    def _formats(self) -> list[Format]:
        return [FORMATS[name] for name in self.formats]

    @cached_property
    def smpl(self) -> "BodyModel | None":
        """SMPL's model. Raises ModelFileError where the file is none."""
        from nbf.body.files import load_body

        return None if self.smpl_model is None else load_body(self.smpl_model)


def _read_all(todo: Sequence[Claim]) -> "Iterator[tuple[Claim, Sequence[Person] | Sequence[Motion] | NbfError]]":
    for claim in todo:
        try:
            people = _read(claim.source)
            claim.take()
            yield claim, people
        except NbfError as error:
            yield claim, error


def _read(path: Path) -> "Sequence[Person] | Sequence[Motion]":
    """People in a photo, or somebody's motion. Raises InputError where the file holds neither."""
    from nbf.export.amass import is_amass, read_amass
    from nbf.export.glb import read_glb
    from nbf.export.npz import load_people
    from nbf.pictures import check_file

    check_file(path)
    if path.suffix.lower() == ".glb":
        return read_glb(path)
    return [read_amass(path)] if is_amass(path) else list(load_people(path))
