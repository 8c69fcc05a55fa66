"""Bring this project's own training data (fetch), look into a data set (check), make bodies to train on (bodies)."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from nbf.cli._bodies import Bodies, make_bodies
from nbf.cli._output import complain, say
from nbf.cli._pack import Pack, make_pack
from nbf.cli._usage import UsageError, parsed
from nbf.errors import DataError, InputError, NbfError

if TYPE_CHECKING:
    from PIL import Image

    from nbf.body.model import BodyModel
    from nbf.data.kind import DataSet
    from nbf.data.labelled import BodyLabel
    from nbf.data.manifest import File, Material
    from nbf.render.sheet import Tile

SHOWN = 10
"""Pictures on the sheet."""


@dataclass(frozen=True)
class Fetch:
    """Bring what this project is trained with from its public homes, laid out as its tools read it. Called again, it
    goes on where it was. docs/datasets.md says what can be had, and what training does without the rest."""

    names: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME", help_behavior_hint="")]] = ()
    """Sets to bring, as --list names them (default: all that can be had)."""
    into: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: the shared folder, or ./shared)")
    ] = None
    """The folder. NBF_SHARED tells the tools of it."""
    list: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Only say which sets there are, of what licence, and what of them is there."""
    yes: Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")] = False
    """Agree to the licences beforehand."""


@dataclass(frozen=True)
class Check:
    """Say which data set a folder is, what it lacks, how many pictures and people it has with which labels, and draw
    some of them."""

    folder: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="DIR")]]
    """A folder of one of the data sets of docs/datasets.md, or the shared folder."""
    sheet: Annotated[Path, tyro.conf.arg(metavar="PNG")] = Path("data-check.png")
    """Where to draw ten pictures with their labels over them."""
    body: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")] = None
    """SMPL file to draw labelled SMPL bodies with."""


def main(arguments: Sequence[str]) -> int:
    """`nbf data fetch`, `nbf data check`, `nbf data bodies` or `nbf data pack`; 0 when all went well."""
    verbs = {
        "fetch": (Fetch, _fetch),
        "check": (Check, _check),
        "bodies": (Bodies, make_bodies),
        "pack": (Pack, make_pack),
    }
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: nbf data {{{','.join(verbs)}}} [options]\n\nnbf data VERB --help lists the options.")
        return 0
    verb, *rest = arguments
    if verb not in verbs:
        raise UsageError(f"{verb!r}: expected one of {', '.join(verbs)}, as in `nbf data check DIR`")
    options, run = verbs[verb]
    return run(parsed(options, f"data {verb}", rest))


def _fetch(given: Fetch) -> int:
    # Here and not above: help and mistakes should not wait for torch.
    from nbf.data.fetch import lacking
    from nbf.data.manifest import read_manifest
    from nbf.data.shared import shared_dir

    into = given.into or shared_dir() or Path("shared")
    sets = read_manifest()
    for name in given.names:
        if name not in sets:
            raise UsageError(f"{name!r}: expected names out of {', '.join(sets)}")
        if sets[name].derived and not given.list:
            raise DataError(
                f"{name}: cannot be fetched: {sets[name].derived}. Without it {sets[name].without}; bring a data set "
                "of docs/datasets.md instead"
            )
    chosen = [each for each in sets.values() if each.name in given.names or not given.names]
    if given.list:
        for line in (line for each in chosen for line in _described(each, into)):
            say(line)
        return 0
    files = [file for each in chosen for file in each.files]
    wanted = lacking(files, into)
    if not wanted:
        say(f"{len(files)} files are in {into} already")
        return 0
    for each in chosen:
        if not each.derived:
            for line in _offered(each, [file for file in wanted if file in each.files]):
                say(line)
    _agree(given.yes, f"Bring {_size(wanted)} into {into}?")
    failed = _bring(wanted, into)
    for path, why in failed.items():
        complain(f"failed: {path}: {why}")
    say(f"{len(wanted) - len(failed)} of {len(wanted)} files have come, {len(files) - len(failed)} are in {into}")
    if failed:
        complain("what failed may come another time: call again, it goes on where it was")
    shared = shared_dir()
    if shared is None or shared.resolve() != into.resolve():
        say(f"for the tools to find it: export NBF_SHARED={into.resolve()}")
    return 1 if failed else 0


def _described(material: "Material", into: Path) -> list[str]:
    from nbf.data.check import state

    found = state(material, into)
    whole = "all there" if found.whole else f"{found.there} of {material.count} there"
    return [
        f"{material.name}: {material.title}, in {into / material.folder}: {whole}",
        f"  for      {material.purpose}",
        f"  licence  {material.licence}",
        f"  from     {', '.join(dict.fromkeys(source.where for source in material.sources))}",
        f"  fetch    {'cannot be fetched: ' + material.derived if material.derived else _size(material.files)}",
        f"  without  {material.without}",
    ]


def _offered(material: "Material", wanted: "Sequence[File]") -> list[str]:
    homes = ", ".join(sorted({f"github.com/{file.repository}" for file in material.files}))
    return [f"{material.name}: {material.title}: {_size(wanted)} from {homes}", f"  licence: {material.licence}"]


def _size(files: "Sequence[File]") -> str:
    return f"{len(files)} files, {sum(file.bytes for file in files) / 1e6:.1f} MB"


def _agree(yes: bool, question: str) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(f"{question} Nobody is there to say so; --yes does")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise InputError("nothing was fetched: expected y for yes")


def _bring(wanted: "Sequence[File]", into: Path) -> dict[str, str]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    from nbf.data.fetch import fetch

    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("fetching", total=sum(file.bytes for file in wanted))
        return fetch(wanted, into, arrived=lambda count: progress.advance(task, count))


def _check(given: Check) -> int:
    from nbf.data.catalogue import SETS, recognised
    from nbf.data.manifest import read_manifest
    from nbf.files import replacing

    folder = given.folder
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder, got none")
    sets, ours = recognised(folder), [each for each in read_manifest().values() if each.paths(folder)]
    if not sets and not ours:
        known = ", ".join(f"{each.name} ({each.title})" for each in SETS.values())
        raise DataError(
            f"{folder}: none of the data sets that are known; expected a folder of {known}; docs/datasets.md says what "
            "goes where"
        )
    failed = 0
    if ours:
        _say_ours(folder)
    rows = []
    for each in sets:
        found, wrong = _checked(each, folder, SHOWN // len(sets), given.body)
        rows, failed = [*rows, *found], failed + wrong
    if rows:
        with replacing(given.sheet) as draft:
            _drawn(rows, f"{folder.resolve().name}: {', '.join(each.title for each in sets)}").save(draft)
        say(f"{given.sheet}: {len(rows)} pictures with their labels")
    return 1 if failed else 0


def _say_ours(folder: Path) -> None:
    from nbf.data.check import state
    from nbf.data.manifest import read_manifest

    say(f"{folder}: the shared folder")
    for each in read_manifest().values():
        found = state(each, folder)
        if found.whole:
            say(f"  {each.name}: all there")
        elif found.there == each.count:
            say(f"  {each.name}: {found.there} files, some of them others than the bundled networks were trained with")
        else:
            how = f"cannot be fetched: {each.derived}" if each.derived else f"nbf data fetch {each.name} brings them"
            say(f"  {each.name}: {found.there} of {each.count} files; {how}")
            say(f"    without them {each.without}")


def _checked(data: "DataSet", folder: Path, shown: int, body: Path | None) -> "tuple[list[Tile], int]":
    """Say what there is of a data set; some drawn pictures, and how many things are wrong."""
    from nbf.data.check import LOOKED, count, said, spread
    from nbf.data.sheet import row

    say(f"{folder}: {data.title} ({data.name})")
    missing, wrong = data.missing(folder), 0
    for need in missing:
        say(f"  lacks {need.pattern} ({need.what}){', which only some uses need' * need.optional}")
        wrong += not need.optional
    if wrong:
        return [], wrong
    pictures, models = [], _Models(body)
    for split in data.splits:
        try:
            some = data.open(folder, split)
            counts = count(some)
        except NbfError as error:
            complain(f"  {split}: {said(error)}")
            wrong += 1
            continue
        about = f", of {LOOKED} looked at" if counts.looked < counts.pictures else ""
        labels = "".join(f", {label} {number}" for label, number in counts.labels.items())
        ignored = f", {counts.ignored} boxes to ignore" if counts.ignored else ""
        say(f"  {split}: {counts.pictures} pictures{about}: {counts.people} people{labels}{ignored}")
        wrong += _list(f"{split}: ", counts.failed)
        pictures += [(some, place) for place in range(len(some))]
    rows, failed = [], {}
    for some, place in (pictures[index] for index in spread(len(pictures), shown)):
        try:
            rows.append(row(some[place], models))
        except Exception as error:  # one bad picture does not stop the others
            failed[f"picture {place}"] = said(error)
    wrong += _list("", failed)
    if models.lacking:
        say(f"  bodies of {', '.join(sorted(models.lacking))} are not drawn: give their file with --body")
    return rows, wrong


def _list(where: str, failed: dict[str, str]) -> int:
    """Say what failed, the first ten of it; returns how many did."""
    for place, why in [*failed.items()][:SHOWN]:
        complain(f"  failed: {where}{place}: {why}")
    if len(failed) > SHOWN:
        complain(f"  failed: {len(failed) - SHOWN} more")
    return len(failed)


def _drawn(rows: "Sequence[Tile]", title: str) -> "Image.Image":
    from nbf.data.sheet import sheet

    return sheet(rows, title)


class _Models:
    """Body models by what labels call them: ours is bundled, of others the user has a file."""

    def __init__(self, body: Path | None) -> None:
        from nbf.body.files import load_body

        self.ours = load_body("anny24", "small")
        self.given = None if body is None else load_body(body)
        self.lacking: set[str] = set()

    def __call__(self, label: "BodyLabel") -> "BodyModel | None":
        model = self.ours if label.model == "anny24" else self.given
        if model is None:
            self.lacking.add(label.model)
        return model
