"""Measure where the time of `nbf predict` goes on this machine: its start, its stages, its files."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from nbf.cli._output import complain, say
from nbf.cli._usage import UsageError, parsed, understanding
from nbf.errors import NbfError

COLD_ROUNDS = 5
"""Of processes that start, at most: each takes seconds."""


@dataclass(frozen=True)
class Arguments:
    """Measure where the time of predictions goes on this machine, and print tables, all in milliseconds.

    The first is of processes that start, step by step, and of `nbf predict PHOTO --format glb` as a whole. The second
    is of the stages for pictures of 1, 4 and 16 people, the third of one person's files in each format, both once all
    is warm. docs/speed.md says more. Close what else is running.
    """

    photo: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: somebody drawn)")] = None
    """A photo with somebody in it; of several people the surest is taken."""
    threads: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: PyTorch's)")] = None
    """Threads that compute."""
    rounds: Annotated[int, tyro.conf.arg(metavar="N")] = 20
    """How often each is done; less often what takes long."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Also write the numbers here."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, measure, print; 0 when done."""
    given = parsed(Arguments, "bench-speed", arguments)
    for name in ("threads", "rounds"):
        if getattr(given, name) is not None and getattr(given, name) < 1:
            raise UsageError(f"--{name}: expected 1 or more, got {getattr(given, name)}")
    if given.photo is not None:
        from nbf.pictures import check_file

        with understanding():
            check_file(given.photo)
    with tempfile.TemporaryDirectory() as folder:
        report = measured(given, Path(folder))
    for line in table(report):
        say(line)
    if given.json is not None:
        from nbf.evaluate.report import write_json

        write_json(report, given.json)
        complain(f"numbers in {given.json}")
    return 0


def measured(given: Arguments, folder: Path) -> dict[str, Any]:
    """All numbers. `folder` is for files that nobody keeps. Raises InputError where the photo shows nobody."""
    # Here and not above: help and mistakes should not wait for torch.
    import torch
    from PIL import Image

    from nbf import predictor as loading
    from nbf.evaluate import speed
    from nbf.pictures import read_picture

    if given.threads is not None:
        torch.set_num_threads(given.threads)
    report: dict[str, Any] = {"machine": speed.machine(), "rounds": given.rounds}
    predictor = loading.load()
    picture = speed.drawn(predictor.body) if given.photo is None else read_picture(given.photo)
    report["picture"] = f"{picture.name}, {picture.width} x {picture.height} pixels"
    picture, box = speed.person_of(predictor, picture)
    if given.photo is None:
        Image.fromarray(picture.pixels).save(folder / "drawn.jpg", quality=90)
    complain("processes that start ...")
    rounds = min(given.rounds, COLD_ROUNDS)
    report["cold"] = _cold(given.photo or folder / "drawn.jpg", folder, report["machine"]["threads"], rounds)
    report["stages"] = {}
    for count in speed.PEOPLE:
        complain(f"pictures of {count} people ...")
        several, boxes = speed.side_by_side(picture, box, count)
        report["stages"][str(count)] = speed.stages(predictor, several, boxes, folder, given.rounds)
    complain("files ...")
    people = predictor.predict(picture, boxes=box[None])
    report["files"] = speed.files(people, folder, given.rounds)
    return report


def _cold(photo: Path, folder: Path, threads: int, rounds: int) -> dict[str, Any]:
    """Times of the steps of processes that start, and of whole ones."""
    from nbf.evaluate.speed import summed_up

    took: dict[str, list[float]] = {}
    whole = ["-m", "nbf", "predict", str(photo), "-o", str(folder / "results"), "--format", "glb"]
    for _ in range(rounds):
        start = time.perf_counter()
        steps = json.loads(_ran(["-m", "nbf.cli._cold", str(photo), str(folder)], threads))
        steps["Python itself"] = time.perf_counter() - start - sum(steps.values())
        start = time.perf_counter()
        _ran(whole, threads)
        steps["nbf predict --format glb"] = time.perf_counter() - start
        for name, seconds in steps.items():
            took.setdefault(name, []).append(1000 * seconds)
    return {name: summed_up(times) for name, times in took.items()}


def _ran(arguments: list[str], threads: int) -> str:
    """What another Python says. Raises NbfError where it fails."""
    paths = os.pathsep.join(path for path in sys.path if path)
    variables = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": str(threads)}
    ended = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=variables)
    if ended.returncode != 0:
        raise NbfError(f"a process that predicts failed with status {ended.returncode}: {ended.stderr[-500:]}")
    return ended.stdout


def table(report: dict[str, Any]) -> list[str]:
    """The tables, as lines."""
    told = {name: value for name, value in report["machine"].items() if value is not None}
    lines = [", ".join(f"{name} {value}" for name, value in told.items())]
    lines += [f"picture {report['picture']}; rounds: {report['rounds']}; milliseconds, median (worst)"]
    lines += ["", f"{'process that starts':<28}"]
    lines += [f"{name:<28}{_cell(times)}" for name, times in report["cold"].items()]
    counts = list(report["stages"])
    lines += ["", f"{'people in a picture':<28}" + "".join(f"{count:>18}" for count in counts)]
    for name in report["stages"][counts[0]]:
        lines += [f"{name:<28}" + "".join(_cell(report["stages"][count][name]) for count in counts)]
    lines += ["", f"{'one person as':<28}{'':>18}{'kB':>10}"]
    lines += [f"{name:<28}{_cell(times)}{times['kilobytes']:>10.0f}" for name, times in report["files"].items()]
    return lines


def _cell(times: dict[str, float]) -> str:
    worst = f"({times['worst_ms']:.0f})"
    return f"{times['median_ms']:>10.1f}{worst:>8}"
