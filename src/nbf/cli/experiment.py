"""Run one of the paper's experiments again: Markdown, numbers and a plot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from nbf.cli._output import complain, log_to
from nbf.cli._usage import parsed

if TYPE_CHECKING:
    from nbf.experiments.experiment import Case


@dataclass(frozen=True)
class Arguments:
    """Ask one of the paper's questions again, on people that anyone can draw; docs/experiments.md says what came out.

    What is done is kept: called again, a run goes on where it was, and one that is done only writes its page anew.
    """

    name: tyro.conf.Positional[
        Literal["representation", "segmentation", "supervision", "fraction", "comparison", "robustness", "shape"]
    ]
    """Which 2D evidence? How much do better part maps help? Which losses? How much 3D supervision? Every method; every
    method on spoilt pictures; what tells shape?"""
    preset: Literal["smoke", "cpu", "gpu"] = "cpu"
    """How much of it: to see that it runs, for a processor (an hour or two), or for a graphics card."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/experiments")
    """Folder of all experiments: DIR/NAME.md, .json and .png, and in DIR/NAME what they are made of."""
    cache: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/cache")
    """Folder with the packs of tools/pack_training.py and, if they are there, of `nbf draw --kind pictures` in its
    folders pictures and pictures_test; other people are drawn where these are missing."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "cpu"
    """Where networks are trained and run."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, run, print the page; 0 when done."""
    given = parsed(Arguments, "experiment", arguments)
    # Here and not above: help and mistakes should not wait for torch.
    from nbf.experiments import EXPERIMENTS
    from nbf.experiments.experiment import PRESETS, Lab, run

    log_to("stderr")
    preset = PRESETS[given.preset]
    lab = Lab(preset, given.out, given.cache, device=given.device)
    report, seconds = run(EXPERIMENTS[given.name], lab, _progress)
    how = {
        "command": f"nbf experiment {given.name} --preset {given.preset}",
        "seeds": ", ".join(map(str, range(preset.seeds))),
        "minutes": round(seconds / 60, 1),
    }
    paths = report.write(given.out, given.name, how)
    print(paths[0].read_text(encoding="utf-8"))
    complain(f"written: {', '.join(map(str, paths))}")
    return 0


def _progress(cases: "Sequence[Case]") -> "Iterator[Case]":
    from rich.console import Console
    from rich.progress import track

    yield from track(cases, "cases", console=Console(stderr=True), transient=True)
