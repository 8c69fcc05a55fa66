"""What if pictures are bad? The same people, spoilt in more and more of one way, through a handful of methods."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from nbf.experiments.experiment import Case, Lab, Scores
from nbf.experiments.measuring import SMALL, Subjects, measured, memory, method, networks, subjects
from nbf.experiments.report import Estimate, Report, Table, beside, lines
from nbf.experiments.spoiling import SPOILERS
from nbf.nets.segmenter import INPUT_SIZE
from nbf.proxy.shown import MAP
from nbf.raster import rasterize

NAMES = ("nbf", "nbf-plain", "smplify", "hmr", "pavlakos")
NOTHING = "none"
LOOSENESS = "looseness"
_BINS = 4
_FEW = ("occlusion", "turn")
"""Kinds, of which small presets have the strongest alone."""


class Robustness:
    """The experiment."""

    name = "robustness"

    def cases(self, lab: Lab) -> Sequence[Case]:
        cases = [Case(LOOSENESS, lambda: {LOOSENESS: torch.cat([looseness(each) for each in _people(lab)])})]
        for level, strength in _levels(lab).items():
            cases += [
                Case(
                    f"{level}.{name}",
                    lambda level=level, strength=strength, name=name: _run(lab, level, strength, name),
                )
                for name in NAMES
            ]
        return cases

    def report(self, results: dict[str, Scores]) -> Report:
        """Of every kind and strength PA-MPJPE, method by method; that of no spoiling is the first of each kind."""
        errors = {name: of_method(results, name) for name in NAMES}
        first = errors[NAMES[0]]
        clean: list[Estimate | str | None] = [Estimate.of(results[f"{NOTHING}.{name}"]["pa_mpjpe"]) for name in NAMES]
        rows = {NOTHING: clean}
        for kind, points in first.items():
            # The clean pictures are a level of every kind but the last, which only sorts them.
            for strength in points if kind == LOOSENESS else [each for each in points if each]:
                rows[f"{kind} {strength:g}"] = [errors[name][kind][strength] for name in NAMES]
        digits = (1,) * len(NAMES)
        table = Table("PA-MPJPE in mm on bench:studio", NAMES, rows, digits)
        growth: dict[str, list[Estimate | str | None]] = {}
        findings: list[str] = []
        for kind in [each for each in SPOILERS if each in first]:
            spoiler, strongest = SPOILERS[kind], max(first[kind])
            more = {name: _growth(results, kind, strongest, name) for name in NAMES}
            growth[f"{kind}, {spoiler.unit} {strongest:g}"] = list(more.values())
            least = min(more, key=lambda name: more[name].value)
            findings.append(
                f"{kind} ({spoiler.unit} {strongest:g}): nbf errs {more['nbf'].value:.1f} mm more "
                f"({more['nbf'].low:.1f} to {more['nbf'].high:.1f}); least harmed is "
                f"{least} ({more[least].value:.1f} mm)."
            )
        tight, *_, loose = first[LOOSENESS].items()
        findings.append(
            f"Clothes: nbf errs {tight[1].value:.1f} mm in the tightest ({tight[0]:.0f} % of the naked silhouette "
            f"beyond it), {loose[1].value:.1f} mm in the loosest ({loose[0]:.0f} %)."
        )
        plots = {
            kind: lines(
                {name: list(errors[name][kind].items()) for name in NAMES},
                SPOILERS[kind].unit if kind in SPOILERS else "% beyond the naked silhouette",
                "PA-MPJPE, mm",
            )
            for kind in first
        }
        harm = Table("At the strongest: how many mm more than in the pictures as they were", NAMES, growth, digits)
        return Report("What if pictures are bad?", [harm, table], beside(plots, 3), findings)


def of_method(results: dict[str, Scores], name: str) -> dict[str, dict[float, Estimate]]:
    """PA-MPJPE of a method by kind and strength, strengths rising from none."""
    clean = results[f"{NOTHING}.{name}"]["pa_mpjpe"]
    errors: dict[str, dict[float, Estimate]] = {}
    for kind, spoiler in SPOILERS.items():
        cases = {strength: results.get(f"{kind}-{strength:g}.{name}") for strength in spoiler.strengths}
        spoilt = {strength: Estimate.of(case["pa_mpjpe"]) for strength, case in cases.items() if case is not None}
        if spoilt:
            errors[kind] = {0.0: Estimate.of(clean)} | spoilt
    loose = results[LOOSENESS][LOOSENESS]
    bins = loose.argsort().tensor_split(min(_BINS, len(loose)))
    errors[LOOSENESS] = {round(100 * float(loose[rows].mean()), 1): Estimate.of(clean[rows]) for rows in bins}
    return errors


def looseness(people: Subjects) -> Float[Tensor, " n"]:
    """How far clothes and hair reach beyond the naked body in the picture, as a share of the naked silhouette."""
    truth = people.crops.truth
    assert truth is not None
    assert truth.silhouette is not None
    body = networks("cpu").body
    points = people.camera.pixels_depth(people.true.posed(body).vertices)
    naked = rasterize(points, body.faces, INPUT_SIZE, INPUT_SIZE).mask.float()
    naked = avg_pool2d(naked[:, None], INPUT_SIZE // MAP)[:, 0]
    beyond = (truth.silhouette - naked).clamp_min(0)
    return beyond.sum((1, 2)) / naked.sum((1, 2)).clamp_min(1)


def _levels(lab: Lab) -> dict[str, tuple[str, float] | None]:
    """Kind and strength by the name of a level; None is no spoiling."""
    levels: dict[str, tuple[str, float] | None] = {NOTHING: None}
    few = lab.preset.bench < SMALL
    for kind in _FEW if few else SPOILERS:
        strengths = SPOILERS[kind].strengths
        levels |= {f"{kind}-{strength:g}": (kind, strength) for strength in (strengths[-1:] if few else strengths)}
    return levels


def _people(lab: Lab) -> Sequence[Subjects]:
    return subjects(lab, "studio", max(lab.preset.bench // 4, 2))


def _run(lab: Lab, level: str, spoilt: tuple[str, float] | None, name: str) -> Scores:
    people = _people(lab) if spoilt is None else _spoilt(lab, *spoilt)
    return measured(lab, method(lab, name), people, memory(lab, level))[0]


@lru_cache(maxsize=1)
def _spoilt(lab: Lab, kind: str, strength: float) -> Sequence[Subjects]:
    return [SPOILERS[kind].spoil(each, strength, number) for number, each in enumerate(_people(lab))]


def _growth(results: dict[str, Scores], kind: str, strength: float, name: str) -> Estimate:
    return Estimate.of(results[f"{kind}-{strength:g}.{name}"]["pa_mpjpe"] - results[f"{NOTHING}.{name}"]["pa_mpjpe"])
