"""Which losses? (Omran et al. 2018, section 4.) The same network and people, told of 2D, of 3D or of parameters."""

from collections.abc import Sequence

from nbf.experiments.experiment import Case, Lab, Scores, by_seed
from nbf.experiments.people import crowd
from nbf.experiments.regression import regress, scored
from nbf.experiments.report import Column, Estimate, Report, Table, bars
from nbf.experiments.representation import parts
from nbf.train.body_task import BodyWeights

COLUMNS = (
    Column("PA-MPJPE, mm", "pa_mpjpe"),
    Column("MPJPE, mm", "mpjpe"),
    Column("PCKh, %", "pckh", factor=100),
    Column("quaternion, rad", "quaternion", digits=3),
)
# Where in the crop somebody is, which the paper's fixed camera knows, is told to all but L_2D, which finds it out.
_CAMERA = BodyWeights().camera
LOSSES = {
    "L_2D": BodyWeights(0, 0, 0, BodyWeights().projection, 0),
    "L_3D": BodyWeights(0, 0, BodyWeights().joints, 0, _CAMERA),
    "L_lat": BodyWeights(BodyWeights().rotations, BodyWeights().betas, 0, 0, _CAMERA),
    "all": BodyWeights(),
}
PAPER = {
    "L_2D": (198.0, 94.0, 1.971),
    "L_3D": (83.7, 93.5, 1.962),
    "L_lat": (83.7, 93.1, 0.278),
    "all": (82.0, 93.5, 0.279),
}
"""3D error in mm, PCKh in percent, quaternion distance: Omran et al. 2018, of other people."""


class Supervision:
    """The experiment."""

    name = "supervision"

    def cases(self, lab: Lab) -> Sequence[Case]:
        show = parts(24)

        def run(losses: str, seed: int) -> Scores:
            people = crowd(lab)
            # With all losses it is the same network as that of the experiment about representations.
            name = f"parts-24.{losses}" if losses != "all" else "parts-24"
            network = regress(lab, f"{name}.{seed}", people, show, seed, LOSSES[losses])
            return scored(lambda batch: network(show(batch)), people.test, people.body)

        return [
            Case(f"{losses}.{seed}", lambda losses=losses, seed=seed: run(losses, seed))
            for seed in range(lab.preset.seeds)
            for losses in LOSSES
        ]

    def report(self, results: dict[str, Scores]) -> Report:
        table = Table.of("Drawn people of the test split, true maps of 24 parts", COLUMNS, by_seed(results))
        paper = Table(
            "As published: other people, 3D without alignment",
            ("3D, mm", "PCKh, %", "quaternion, rad"),
            {name: [Estimate(value, value, value) for value in row] for name, row in PAPER.items()},
            (1, 1, 3),
        )
        turns = {name: Estimate.of(results[f"{name}.0"]["quaternion"]) for name in LOSSES}
        findings = [
            "Rotations: " + ", ".join(f"{name} {each.value:.3f} rad" for name, each in turns.items()) + ".",
            "L_lat alone "
            + ("fixes" if turns["L_lat"].value < 0.5 * turns["L_3D"].value else "does not fix")
            + f" the rotations ({turns['L_lat'].value / turns['L_3D'].value:.2f} of the distance that L_3D leaves).",
        ]
        return Report("Which losses?", [table, paper], bars(table, 3), findings)
