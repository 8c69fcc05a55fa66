"""Measure the networks on the benchmark's synthetic people or on real photos that training never saw."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import tyro

from nbf.cli._bodies import smpl_models
from nbf.cli._output import complain
from nbf.cli._usage import UsageError, parsed, understanding
from nbf.errors import DataError
from nbf.limits import check_method, weight_files

if TYPE_CHECKING:
    from torch import Tensor

    from nbf.evaluate.sheet import Entry
    from nbf.networks import Networks
    from nbf.predictor import Predictor

T = TypeVar("T")

_TRUTHS = {
    "true-parts": ("parts", "silhouette"),
    "true-joints": ("joints",),
    "true-joints-silhouette": ("joints", "silhouette"),
}


@dataclass(frozen=True)
class Arguments:
    """Measure the networks on people that training never saw, and print a table; docs/benchmark.md says what of.

    The benchmark's people come with the repository. Photos need the shared folder, data sets a folder of yours.
    """

    data: Annotated[str, tyro.conf.arg(metavar="NAME")] = "bench:wild"
    """A track of nbf-bench (bench:studio, bench:wild), its pictures of several people (bench:crowd), or its films
    (bench:motion); street photos of the val split, in the labelled boxes (real); photos of varied poses, from picture
    to mesh, against human labels (photos); or a data set, NAME:FOLDER, under a protocol."""
    protocol: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = None
    """How a data set is measured, a name in docs/datasets.md."""
    smpl: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """SMPL's neutral model, of which labels are parameters; likewise --smpl-female, --smpl-male."""
    smpl_female: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """The same, female."""
    smpl_male: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """The same, male."""
    regressor: Annotated[Path | None, tyro.conf.arg(metavar="NPY", help_behavior_hint="")] = None
    """J_regressor_h36m.npy, by which joints are read off SMPL's meshes."""
    n: Annotated[int | None, tyro.conf.arg(help_behavior_hint="(default: all)")] = None
    """How many, from the first on; of photos of varied poses, so many of each set."""
    proxy: Literal["rgb", "true-parts", "true-joints", "true-joints-silhouette"] = "rgb"
    """Fit to what the method sees in the picture, or to true parts with silhouette, true joints, or
    joints with silhouette (benchmark only)."""
    method: str = "nbf"
    """How bodies are found, a name in docs/refinement.md. On the benchmark, what optimises is scored before and after
    it."""
    known: tuple[Literal["sex", "age", "height", "weight"], ...] = ()
    """Tell the refinement this of everybody (bench:studio and bench:wild only)."""
    weights: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: bundled)")] = None
    """Folder with weights of `nbf train`, used in place of the bundled ones."""
    people: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: benchmarks/people)")] = (
        None
    )
    """Folder of the benchmark's tracks; tools/draw_benchmark.py draws others."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "cpu"
    """Where the networks run."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Also write the scores here."""
    sheet: Annotated[Path | None, tyro.conf.arg(metavar="PNG", help_behavior_hint="")] = None
    """Also write a contact sheet here: about 30 people, from the worst to the best."""
    plot: Annotated[Path | None, tyro.conf.arg(metavar="PNG", help_behavior_hint="")] = None
    """Also draw here how well the errors that refinement predicts agree with the true ones (a track, or photos)."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, measure, print; 0 when done."""
    given = parsed(Arguments, "evaluate", arguments, config=(tyro.conf.FlagCreatePairsOff,))
    _check(given)
    others = {"real": _real, "photos": _photos, "bench:crowd": _crowd, "bench:motion": _motion}
    measure = others.get(given.data, _field if given.protocol else _bench)
    report, entries, faces = measure(given)
    title = f"{given.data}, proxy {given.proxy}"
    _print(report, title)
    if given.json is not None:
        from nbf.evaluate.report import write_json

        write_json(report, given.json)
        complain(f"scores in {given.json}")
    if given.sheet is not None:
        from nbf.evaluate.sheet import sheet
        from nbf.files import replacing

        with replacing(given.sheet) as draft:
            sheet(entries, faces, f"{title}: worst first").save(draft)
        complain(f"contact sheet in {given.sheet}")
    return 0


def _check(given: Arguments) -> None:
    with understanding():
        check_method(given.method)
        if given.weights is not None:
            weight_files(given.weights)
    if given.n is not None and given.n < 1:
        raise UsageError(f"--n: expected 1 or more, got {given.n}")
    sets = ("bench:studio", "bench:wild", "bench:crowd", "bench:motion", "real", "photos")
    if (given.data in sets) == (given.protocol is not None):
        raise UsageError(
            f"--data {given.data}: expected one of {', '.join(sets)}, or NAME:FOLDER of a data set and its --protocol"
        )
    real = given.data in ("real", "photos", "bench:crowd", "bench:motion") or given.protocol is not None
    if real and given.proxy != "rgb":
        raise UsageError(f"--proxy {given.proxy}: of people in given crops alone; use --data bench:wild")
    if given.sheet is not None and given.sheet.suffix.lower() != ".png":
        raise UsageError(f"--sheet: expected a file name that ends in .png, got {given.sheet}")
    if given.sheet is not None and given.data == "bench:motion":
        raise UsageError("--sheet: not drawn of films; `nbf video` makes films of the results")
    if given.sheet is not None and given.protocol is not None:
        raise UsageError("--sheet: not drawn of data sets; `nbf data check` draws their labels")
    plain = given.method == "nbf-plain"
    if given.known and (plain or real):
        raise UsageError("--known: expected a method that refines, and bench:studio or bench:wild, beside it")
    unsure = plain or (real and given.data != "photos")
    if given.plot is not None and (unsure or given.plot.suffix.lower() != ".png"):
        raise UsageError(
            "--plot: expected a method that refines, a track or photos, and a file name that ends in .png, got "
            f"{given.plot}"
        )


def _bench(given: Arguments) -> "tuple[dict[str, Any], list[Entry], Tensor]":
    # Here and not above: help and mistakes should not wait for torch.
    from nbf.evaluate import protocol
    from nbf.evaluate.bench import FOLDER, GROUP, Benchmark
    from nbf.methods import method
    from nbf.proxy.proxy import Truth
    from nbf.synth.tracks import TRACKS, Track

    how = method(given.method, _networks(given, exact=True))
    if given.proxy != "rgb":
        how = replace(how, see=Truth(*_TRUTHS[given.proxy]))
    track: Track = next(name for name in TRACKS if given.data == f"bench:{name}")
    bench = Benchmark.load(track, given.people or FOLDER)
    count = len(bench) if given.n is None else given.n
    if count > len(bench):
        raise UsageError(f"--n: expected at most the {len(bench)} people of {given.data}, got {count}")
    groups = _progress(bench.groups(count), -(-count // GROUP), given.data)
    result = protocol.run(groups, bench.body, how, known=given.known, keep=given.sheet is not None)
    report = {"data": given.data, "method": given.method, "proxy": given.proxy} | result.report()
    if given.plot is not None and result.joint_error is not None:
        _plot(given, result.joint_error.flatten(), result.people["joints"].flatten(), "mm")
    entries = protocol.entries(result.kept, result.people, bench.body) if result.kept else []
    return report, entries, bench.body.faces


def _crowd(given: Arguments) -> "tuple[dict[str, Any], list[Entry], Tensor]":
    from nbf.evaluate.bench import FOLDER
    from nbf.evaluate.crowd import CrowdBenchmark
    from nbf.evaluate.crowd_run import evaluate_crowd

    bench = CrowdBenchmark.load(given.people or FOLDER)
    count = len(bench) if given.n is None else given.n
    if count > len(bench):
        raise UsageError(f"--n: expected at most the {len(bench)} pictures of {given.data}, got {count}")
    predictor = _predictor(given)
    pictures = _progress(bench.pictures(count), count, given.data)
    scores, entries = evaluate_crowd(predictor, pictures, keep=given.sheet is not None)
    return {"data": given.data, "method": given.method} | scores, entries, predictor.body.faces


def _motion(given: Arguments) -> "tuple[dict[str, Any], list[Entry], Tensor]":
    from nbf.evaluate.bench import FOLDER
    from nbf.evaluate.motion import MotionBenchmark
    from nbf.evaluate.motion_run import evaluate_motion

    bench, predictor = MotionBenchmark.load(given.people or FOLDER), _predictor(given)
    films = bench.films[: given.n]
    scores = evaluate_motion(predictor, _progress(films, len(films), given.data))
    return {"data": given.data, "method": given.method} | scores, [], predictor.body.faces


def _field(given: Arguments) -> "tuple[dict[str, Any], list[Entry], Tensor]":
    from nbf.data.catalogue import named
    from nbf.data.labelled import LabelledPicture
    from nbf.evaluate.field import Posed, Truths, measure
    from nbf.evaluate.model_joints import Ours, Regressor
    from nbf.evaluate.published import protocol

    assert given.protocol is not None  # as `_check` says
    with understanding():
        chosen, (kind, folder) = protocol(given.protocol), named(given.data)
    if kind.name not in chosen.data:
        raise UsageError(
            f"--protocol {chosen.name}: expected a data set out of {', '.join(chosen.data)}, got {kind.name}"
        )
    pictures, predictor = kind.open(folder, chosen.data[kind.name]), _predictor(given)

    def answer(picture: LabelledPicture, boxes: "Tensor") -> list[Posed]:
        return [Posed.of(person) for person in predictor.predict(picture.pixels(), boxes=boxes)]

    reading = Ours() if given.regressor is None else Regressor.load(given.regressor)
    truths = Truths(smpl_models(given.smpl, given.smpl_female, given.smpl_male), reading)
    counted = chosen.pictures(pictures)[: given.n]
    watched = _progress(range(len(counted)), len(counted), kind.title)
    report = {"data": kind.name, "method": given.method} | measure(chosen, counted, answer, truths, watched)
    return report, [], predictor.body.faces


def _real(given: Arguments) -> "tuple[dict[str, Any], list[Entry], Tensor]":
    from nbf.data.sets.street import street_photos
    from nbf.evaluate.real import evaluate_real

    shared, predictor = _shared(given), _predictor(given)
    photos = street_photos(shared, "val")[: given.n]
    watched = _progress(photos, len(photos), "real photos")
    scores, entries = evaluate_real(predictor, watched, keep=given.sheet is not None)
    return {"data": given.data, "method": given.method, "proxy": given.proxy} | scores, entries, predictor.body.faces


def _photos(given: Arguments) -> "tuple[dict[str, Any], list[Entry], Tensor]":
    from nbf.data.human import coco_photos, empty_photos, lspet_photos
    from nbf.evaluate.photos import evaluate_photos

    shared, predictor = _shared(given), _predictor(given)
    lspet, coco = (photos(shared)[: given.n] for photos in (lspet_photos, coco_photos))
    empty = empty_photos(shared)[: given.n]
    scores, entries, sureness = evaluate_photos(
        predictor,
        _progress(lspet, len(lspet), "lspet"),
        _progress(coco, len(coco), "coco"),
        _progress(empty, len(empty), "nobody"),
        keep=given.sheet is not None,
    )
    if given.plot is not None:
        _plot(given, *sureness.pairs(), "% of the crop")
    return {"data": given.data, "method": given.method, "proxy": given.proxy} | scores, entries, predictor.body.faces


def _plot(given: Arguments, said: "Tensor", was: "Tensor", unit: str) -> None:
    from nbf.files import replacing
    from nbf.render.reliability import reliability_plot

    assert given.plot is not None  # as asked
    with replacing(given.plot) as draft:
        reliability_plot(said, was, given.data, unit).save(draft)


def _shared(given: Arguments) -> Path:
    from nbf.data.shared import shared_dir

    shared = shared_dir()
    if shared is None:
        raise DataError(
            f"--data {given.data}: there is no shared folder here; set NBF_SHARED to it, or use --data bench:wild"
        )
    return shared


def _networks(given: Arguments, *, exact: bool = False) -> "Networks":
    from nbf.networks import Networks

    return replace(Networks.load(given.weights, given.device), exact=exact)


def _predictor(given: Arguments) -> "Predictor":
    from nbf.methods import method
    from nbf.predictor import Predictor

    networks = _networks(given)
    return Predictor(networks, method(given.method, networks))


def _progress(items: Iterable[T], total: int, title: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import track

    yield from track(items, title, total, console=Console(stderr=True), transient=True)


def _print(report: dict[str, Any], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    columns = [report[name] for name in ("before", "after") if name in report] or [report]
    table = Table("score", title=title)
    for name in ("before", "after") if len(columns) > 1 else ("value",):
        table.add_column(name, justify="right")
    for name in ("protocol", "source", "joints", "root", "boxes"):
        if name in report:
            console.print(f"{name}: {report[name]}", highlight=False)
    for name, value in columns[0].items():
        if isinstance(value, int | float):
            table.add_row(name, *(f"{column[name]:g}" for column in columns))
    console.print(table)
    if "before" in report:
        certain = report["uncertainty"]
        console.print(f"worse by over 10 mm: {report['worse_by_10mm']} % of people")
        console.print(
            f"errors of joints: said {certain['said_mm']}, were {certain['was_mm']} mm on average; "
            f"correlation {certain['joint_correlation']}"
        )
    if "frame_by_frame" in report:
        kinds = "frame_by_frame", "smoothed", "truth"
        motions = Table("motion", *kinds)
        for name in report["truth"]:
            motions.add_row(name, *(f"{report[kind][name]:g}" for kind in kinds))
        console.print(motions)
    if "nothing_known" in report:
        known = {name: value for name, value in report.items() if isinstance(value, dict)}
        scales = Table("known", "distance, median %", "height, cm", title="scale")
        for name, scores in known.items():
            scales.add_row(name, *(f"{value:g}" for value in scores.values()))
        console.print(scales)
    if "seconds_by_people" in report:
        times = Table("people found", "seconds", "pictures", title="time")
        for people, seconds, pictures in report["seconds_by_people"]:
            times.add_row(str(people), f"{seconds:g}", str(pictures))
        console.print(times)
    if "per_action" in report:
        each = report["per_action"]
        actions = Table("action", *next(iter(each.values())), title="per action")
        for action, scores in (each | {"mean of actions": report["over_actions"]}).items():
            actions.add_row(
                action, *(f"{scores[name]:g}" if name in scores else "" for name in next(iter(each.values())))
            )
        console.print(actions)
    for name in ("lspet_certainty", "coco_certainty"):
        if certain := report.get(name):
            errors = Table("which", *next(iter(certain["errors"].values())), title=f"{name}, % of the crop's side")
            for kind, scores in certain["errors"].items():
                errors.add_row(kind, *(f"{value:g}" for value in scores.values()))
            console.print(errors)
            if "guessed_recall" in certain:
                console.print(
                    f"guessed: {certain['guessed_precision']} % of those joints are not seen by people; "
                    f"{certain['guessed_recall']} % of the joints that they do not see are guessed"
                )
    if "reliability" in report:
        bins = Table("score of boxes", "share right", "boxes", title="reliability")
        for said, was, count in report["reliability"]:
            bins.add_row(f"{said:.3f}", f"{was:.3f}", str(count))
        console.print(bins)
