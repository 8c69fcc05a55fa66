"""Measure the networks on synthetic people or on real photos that training never saw."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import tyro

from nbf.errors import DataError, InputError, ModelFileError

if TYPE_CHECKING:
    from torch import Tensor

    from nbf.evaluate.report import Scores

N = TypeVar("N")


@dataclass(frozen=True)
class Arguments:
    """Measure the networks on people that training never saw, and print a table.

    Synthetic people need the caches of tools/pack_training.py; what is missing is replaced and said. Real photos need
    the shared folder.
    """

    data: Literal["synthetic", "real"] = "synthetic"
    """Synthetic people of the test split, or the real photos of the val split."""
    n: Annotated[int | None, tyro.conf.arg(help_behavior_hint="(default: 500 synthetic people, all real photos)")] = (
        None
    )
    """How many."""
    proxy: Literal["rgb", "true-parts"] = "rgb"
    """Fit to parts that the segmenter sees in the picture, or to the true ones (synthetic people only)."""
    seed: int = 0
    """Which synthetic people."""
    fitter: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: bundled)")] = None
    """Weights of the fitter."""
    segmenter: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: bundled)")] = None
    """Weights of the segmenter."""
    locator: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: bundled)")] = None
    """Weights of the locator (real photos only)."""
    cache: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/cache")
    """Folder with the training caches."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "cpu"
    """Where the networks run."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Also write the scores here."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, measure, print; 0 when done."""
    given = tyro.cli(Arguments, prog="nbf evaluate", args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    if given.n is not None and given.n < 1:
        raise InputError(f"--n: expected 1 or more, got {given.n}")
    if given.data == "real" and given.proxy != "rgb":
        raise InputError("--proxy true-parts: real photos have no true parts; use --data synthetic")
    scores = _synthetic(given) if given.data == "synthetic" else _real(given)
    _print(scores, f"{given.data}, proxy {given.proxy}")
    if given.json is not None:
        from nbf.evaluate.report import write_json

        write_json(scores, given.json)
        print(f"scores in {given.json}", file=sys.stderr)
    return 0


def _synthetic(given: Arguments) -> "Scores":
    # Here and not above: help and mistakes should not wait for torch.
    from nbf.evaluate.synthetic import evaluate_synthetic
    from nbf.nets.fitter import Fitter, FitterOutput
    from nbf.nets.mirror import fit_both_ways, segment_both_ways
    from nbf.nets.segmenter import Segmenter

    fitter = _network(Fitter, given).to(given.device)
    segmenter = _network(Segmenter, given).to(given.device) if given.proxy == "rgb" else None

    # Only now: a wrong file should not wait for the renderer.
    from nbf.synth.sampler import Sampler

    sampler = Sampler.load(given.cache, "test", given.seed, given.device)

    def segment(images: "Tensor") -> "Tensor":
        assert segmenter is not None
        return segment_both_ways(segmenter, images)

    def fit(parts: "Tensor") -> FitterOutput:
        return fit_both_ways(fitter, parts)

    return evaluate_synthetic(sampler.sample, sampler.body, fit, segmenter and segment, given.n or 500)


def _real(given: Arguments) -> "Scores":
    from nbf.body.files import load_body
    from nbf.data.real import real_photos
    from nbf.data.shared import shared_dir
    from nbf.evaluate.real import evaluate_real
    from nbf.nets.fitter import Fitter
    from nbf.nets.locator import Locator
    from nbf.nets.segmenter import Segmenter
    from nbf.predictor import BODY, Predictor

    shared = shared_dir()
    if shared is None:
        raise DataError("--data real: there is no shared folder here; set NBF_SHARED to it, or use --data synthetic")
    networks = _network(Locator, given), _network(Segmenter, given), _network(Fitter, given)
    predictor = Predictor(*networks, load_body(BODY), BODY, device=given.device)
    return evaluate_real(predictor, real_photos(shared, "val")[: given.n])


def _network(kind: type[N], given: Arguments) -> N:
    from nbf.nets.weights import load_network

    name = kind.__name__.lower()
    file = getattr(given, name) or name
    network = load_network(file)
    if not isinstance(network, kind):
        raise ModelFileError(f"{file}: expected weights of a {kind.__name__}, got those of a {type(network).__name__}")
    return network


def _print(scores: "Scores", title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("score", title=title)
    table.add_column("value", justify="right")
    for name, value in scores.items():
        table.add_row(name, f"{value:g}")
    Console().print(table)
