"""How much 3D supervision? (Omran et al. 2018, section 4.) Some people have all labels, the others 2D joints alone."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from nbf.experiments.experiment import Case, Lab, Scores, by_seed
from nbf.experiments.people import crowd
from nbf.experiments.regression import regress, scored
from nbf.experiments.report import Column, Estimate, Report, Table, lines
from nbf.experiments.representation import parts

PERCENT = (100, 50, 20, 10, 5, 2, 1, 0)
OFTEN, HALF = 5, 0.5
"""A percentage at which those with labels are also shown often: as half of every batch."""
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
            labelled = torch.arange(count) < round(count * percent / 100)
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
        return [*cases, Case(f"{OFTEN}-often.0", lambda: run(OFTEN, 0, HALF))]

    def report(self, results: dict[str, Scores]) -> Report:
        table = Table.of("Percent of people with 3D labels: true maps of 24 parts", COLUMNS, by_seed(results))
        error = {percent: Estimate.of(results[f"{percent}.0"]["pa_mpjpe"]) for percent in PERCENT}
        near = [percent for percent in PERCENT if error[percent].value <= 1.1 * error[100].value]
        findings = [
            f"Within 10 % of full supervision ({error[100].value:.1f} mm) from {min(near)} % of 3D labels on "
            f"({error[min(near)].value:.1f} mm)."
        ]
        often = Estimate.of(results[f"{OFTEN}-often.0"]["pa_mpjpe"])
        findings.append(
            f"{OFTEN} % of 3D labels: {error[OFTEN].value:.1f} mm; shown as half of every batch, {often.value:.1f} mm."
        )
        series = {"PA-MPJPE": [(float(percent), error[percent]) for percent in PERCENT]}
        plot = lines(series, "people with 3D labels, %", "PA-MPJPE, mm", logarithmic=True)
        return Report("How much 3D supervision?", [table], plot, findings)
