"""How much 3D supervision? (Omran et al. 2018, section 4.) Some people have all labels, the others 2D joints alone."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from nbf.experiments.experiment import Case, Lab, Scores, by_seed
from nbf.experiments.people import crowd
from nbf.experiments.regression import regress, scored
from nbf.experiments.report import Column, Estimate, Report, Table, lines
from nbf.experiments.representation import parts

PERCENT = (100, 50, 20, 10, 5, 2, 1, 0)
OFTEN, HALF = (10, 5, 2, 1), 0.5
"""Percentages at which those with labels are also shown often, as half of every batch: among people as they come they
are so few that the losses in 3D are those of one or two people, or of none."""
COLUMNS = (
    Column("PA-MPJPE, mm", "pa_mpjpe"),
    Column("MPJPE, mm", "mpjpe"),
    Column("PCKh, %", "pckh", factor=100),
    Column("quaternion, rad", "quaternion", digits=3),
)


class Fraction:
    """The experiment."""

    name = "fraction"

    def cases(self, lab: Lab) -> Sequence[Case]:
        show = parts(24)

        def run(percent: int, seed: int, known: float = 0.0) -> Scores:
            people = crowd(lab)
            count = len(people.train["betas"])
            labelled = torch.arange(count) < math.ceil(count * percent / 100)
            some = replace(people, train=people.train | {"has_body": labelled})
            # With labels for everybody it is the same network as that of the experiment about representations.
            name = f"parts-24.{percent}" if percent < 100 else "parts-24"
            name += ".often" if known else ""
            network = regress(lab, f"{name}.{seed}", some, show, seed, known=known)
            return scored(lambda batch: network(show(batch)), people.test, people.body)

        cases = [
            Case(f"{percent}.{seed}", lambda percent=percent, seed=seed: run(percent, seed))
            for seed in range(lab.preset.seeds)
            for percent in PERCENT
        ]
        often = [
            Case(f"{percent}-often.{seed}", lambda percent=percent, seed=seed: run(percent, seed, HALF))
            for seed in range(lab.preset.seeds)
            for percent in OFTEN
        ]
        return [*cases, *often]

    def report(self, results: dict[str, Scores]) -> Report:
        table = Table.of("Percent of people with 3D labels: true maps of 24 parts", COLUMNS, by_seed(results))
        error = {percent: Estimate.of(results[f"{percent}.0"]["pa_mpjpe"]) for percent in PERCENT}
        often = {percent: Estimate.of(results[f"{percent}-often.0"]["pa_mpjpe"]) for percent in OFTEN}
        full = error[100].value
        near, near_often = (
            min(percent for percent, each in errors.items() if each.value <= 1.1 * full)
            for errors in (error, often | {50: error[50], 100: error[100]})
        )
        findings = [
            f"People as they come: within 10 % of full supervision ({full:.1f} mm) from {near} % of 3D labels on.",
            f"People with 3D labels as half of every batch: from {near_often} % on; at {OFTEN[-1]} % "
            f"{often[OFTEN[-1]].value:.1f} mm, in place of {error[OFTEN[-1]].value:.1f}.",
        ]
        series = {
            "people as they come": [(float(percent), error[percent]) for percent in PERCENT],
            "half of every batch with 3D labels": [(float(percent), often[percent]) for percent in OFTEN],
        }
        plot = lines(series, "people with 3D labels, %", "PA-MPJPE, mm", logarithmic=True)
        return Report("How much 3D supervision?", [table], plot, findings)
