"""What tells shape? Height and girths of bodies found in joints, silhouettes, parts and pictures, and of people whose
height somebody knows (after Pavlakos et al. 2018 and Omran et al. 2018, section 3: all evidence of shape is in 2D)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from nbf.body.measure import MEASUREMENTS, height, measurements
from nbf.evaluate.metrics import CENTIMETRES
from nbf.experiments.experiment import Case, Lab, Scores
from nbf.experiments.measuring import (
    MEAN_POSE,
    Subjects,
    gathered,
    measured,
    memory,
    method,
    networks,
    of,
    subjects,
    tracks,
)
from nbf.experiments.report import Column, Estimate, Report, Table, bars, beside
from nbf.known import NOTHING, Known
from nbf.methods import METHODS
from nbf.proxy.proxy import Truth
from nbf.solve.fit import Method
from nbf.synth.tracks import TRACKS, Track

GIRTHS = ("chest", "waist", "hip")
COLUMNS = (
    Column("height, cm", "height"),
    Column("girths, cm", "girths"),
    *(Column(f"{name}, cm", name) for name in GIRTHS),
    Column("shape, mm", "shape"),
    Column("betas", "betas", digits=2),
    Column("PA-MPJPE, mm", "pa_mpjpe"),
)
TOLD = "with-height"


@dataclass(frozen=True)
class Evidence:
    """What is seen of people, and who makes bodies of it."""

    method: str
    kinds: tuple[str, ...] = ()
    """What is truly there (`nbf.proxy.proxy.Truth`); nothing where the method looks itself."""
    told: bool = True
    """Whether the method can use a known height."""


EVIDENCE = {
    "nothing": Evidence(MEAN_POSE, told=False),
    "joints": Evidence("smplify", ("joints",)),
    "silhouette": Evidence("pavlakos", ("joints", "silhouette"), told=False),
    "silhouette-dense": Evidence("smplify-dense", ("joints", "silhouette")),
    "parts": Evidence("nbf", ("parts", "joints", "silhouette")),
    "rgb": Evidence("nbf"),
}
"""All but the first and the last are true, and each has what those before it have."""


class Shape:
    """The experiment."""

    name = "shape"

    def cases(self, lab: Lab) -> Sequence[Case]:
        cases: list[Case] = []
        for track in tracks(lab):
            for name, seen in EVIDENCE.items():
                if seen.method in (MEAN_POSE, *METHODS):
                    cases += [
                        Case(
                            f"{track}.{name}.{TOLD}" if told else f"{track}.{name}",
                            lambda track=track, seen=seen, told=told: _run(lab, track, seen, told),
                        )
                        for told in ((False, True) if seen.told else (False,))
                    ]
        return cases

    def report(self, results: dict[str, Scores]) -> Report:
        tables = {
            track: Table.of(f"bench:{track}, mean absolute errors", COLUMNS, of(results, track))
            for track in TRACKS
            if of(results, track)
        }
        findings = [each for track in tables for each in _bought(f"bench:{track}", of(results, track))]
        plots = {
            f"bench:{track}, {COLUMNS[column].title}": bars(table, column)
            for track, table in tables.items()
            for column in (0, 1)
        }
        return Report("What tells shape?", list(tables.values()), beside(plots, 2), findings)


def _run(lab: Lab, track: Track, seen: Evidence, told: bool) -> Scores:
    body, people = networks(lab.device).body, subjects(lab, track, lab.preset.bench)

    def tell(some: Subjects) -> Known:
        return Known(height=height(body.rest_vertices(some.true.betas))) if told else NOTHING

    how = method(lab, seen.method)
    if seen.kinds:
        how = Method(Truth(*seen.kinds), how.solve)
    scores, found = measured(lab, how, people, memory(lab, track), tell)
    true = gathered(some.true for some in people).betas
    off = (measurements(body, found.betas) - measurements(body, true)).abs()
    girths = {name: CENTIMETRES * off[:, MEASUREMENTS.index(f"{name}_m")] for name in GIRTHS}
    all_girths = torch.stack(list(girths.values())).mean(0)
    return scores | girths | {"girths": all_girths, "betas": (found.betas - true).abs().mean(1)}


def _bought(where: str, results: dict[str, Scores]) -> list[str]:
    """What each step of evidence, and knowing the height, takes off the error of girths."""

    def less(one: str, other: str) -> str:
        gain = Estimate.of(results[one]["girths"] - results[other]["girths"])
        return f"{gain.value:.1f} cm ({gain.low:.1f} to {gain.high:.1f}, paired)"

    names = [name for name in EVIDENCE if name in results]
    steps = [f"{one} to {other} {less(one, other)}" for one, other in pairwise(names)]
    heights = [f"with {name} {less(name, f'{name}.{TOLD}')}" for name in names if f"{name}.{TOLD}" in results]
    return [
        f"{where}, error of girths, less by: " + "; ".join(steps) + ".",
        f"{where}, error of girths, less by knowing the height: " + "; ".join(heights) + ".",
    ]
