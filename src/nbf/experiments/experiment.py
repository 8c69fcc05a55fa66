"""What every experiment is: cases, each of which scores some people, and what they say together."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from nbf.errors import DataError
from nbf.evaluate.bench import FOLDER
from nbf.experiments.report import Report
from nbf.files import replacing
from nbf.reading import Damaged, read_any_npz, refusing

logger = logging.getLogger(__name__)

Scores = dict[str, Tensor]
"""Of people, (n,) each, under the names of `nbf.evaluate.score`; a number of the whole case is (1,)."""
SECONDS = "case_seconds"
"""The score that says how long a case took."""


@dataclass(frozen=True)
class Preset:
    """How much an experiment does."""

    people: int
    """Drawn people to train on."""
    test: int
    """Drawn people to measure on, of those that training never draws."""
    steps: int
    """Of each training."""
    batch: int
    """People per step."""
    seeds: int
    """Trainings of each kind, from other random weights and in another order."""
    bench: int
    """People of each track of the benchmark."""
    photos: int
    """Photos of each set."""


PRESETS = {
    "smoke": Preset(people=16, test=8, steps=2, batch=4, seeds=1, bench=2, photos=1),
    "cpu": Preset(people=12_288, test=1024, steps=1000, batch=64, seeds=1, bench=100, photos=20),
    "gpu": Preset(people=65_536, test=1024, steps=20_000, batch=128, seeds=3, bench=1000, photos=500),
}
"""smoke: whether it runs. cpu: an hour or two each on one core. gpu: an hour each."""


@dataclass(frozen=True)
class Lab:
    """Where an experiment finds things and leaves them."""

    preset: Preset
    out: Path
    """Folder of all experiments."""
    cache: Path = Path("runs/cache")
    """Folder of tools/pack_training.py, and of people drawn by `nbf draw --kind pictures` (pictures, pictures_test)."""
    benchmark: Path = FOLDER
    device: torch.device | str = "cpu"


@dataclass(frozen=True)
class Case:
    """One line of a table."""

    name: str
    """Letters, digits, dashes and dots: also the name of a file."""
    run: Callable[[], Scores]


@runtime_checkable
class Experiment(Protocol):
    """A question, and how it is answered."""

    @property
    def name(self) -> str: ...

    def cases(self, lab: Lab) -> Sequence[Case]: ...

    def report(self, results: dict[str, Scores]) -> Report:
        """What the cases, by their names, say together."""
        ...


def run(
    experiment: Experiment, lab: Lab, watch: Callable[[Sequence[Case]], Iterable[Case]] = iter
) -> tuple[Report, float]:
    """The report, from cases that have been run already and from those that have not, each of which is kept when it is
    done; and the seconds that all of them took.

    `watch` hands out the cases, to show how far it is.
    """
    folder = lab.out / experiment.name
    results: dict[str, Scores] = {}
    for case in watch(experiment.cases(lab)):
        kept = folder / "cases" / f"{case.name}.npz"
        if kept.is_file():
            results[case.name] = load(kept)
            continue
        logger.info("%s: %s", experiment.name, case.name)
        start = time.perf_counter()
        scores = case.run()
        results[case.name] = scores | {SECONDS: torch.tensor([time.perf_counter() - start])}
        save(results[case.name], kept)
    return experiment.report(results), sum(float(scores[SECONDS]) for scores in results.values())


def by_seed(results: dict[str, Scores]) -> dict[str, Scores]:
    """Cases named NAME.SEED, by NAME alone where there is one seed only."""
    if not all(name.endswith(".0") for name in results):
        return results
    return {name.removesuffix(".0"): scores for name, scores in results.items()}


def save(scores: Scores, path: Path) -> None:
    """Write scores; the file appears whole or not at all."""
    with replacing(path) as draft:
        np.savez_compressed(draft, allow_pickle=False, **{name: value.numpy() for name, value in scores.items()})


def load(path: Path) -> Scores:
    """What `save` wrote. Raises DataError where it cannot be read."""
    with refusing(DataError, path, "scores of an experiment", "delete it to run it anew"):
        scores = read_any_npz(path)
        if scores.get(SECONDS, np.zeros(0)).shape != (1,):
            raise Damaged(f"expected a number in {SECONDS}")
        if any(array.ndim != 1 or array.dtype.kind not in "fiub" for array in scores.values()):
            raise Damaged("expected a number for each of some people")
    return {name: torch.from_numpy(array) for name, array in scores.items()}
