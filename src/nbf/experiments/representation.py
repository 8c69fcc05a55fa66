"""Which 2D representation? (Omran et al. 2018, table 1.) The same network, people and budget for each of them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from nbf.body.parts import merge_probabilities
from nbf.experiments.experiment import Case, Lab, Scores, by_seed
from nbf.experiments.people import crowd
from nbf.experiments.regression import Show, regress, scored
from nbf.experiments.report import Column, Estimate, Report, Table, bars
from nbf.geometry import Camera
from nbf.nets.segmenter import INPUT_SIZE
from nbf.proxy.shown import MAP, heat_maps
from nbf.train.batch import Batch
from nbf.train.pictures import small_body

COLUMNS = (
    Column("PA-MPJPE, mm", "pa_mpjpe"),
    Column("median, mm", "pa_mpjpe", "median"),
    Column("MPJPE, mm", "mpjpe"),
    Column("PVE, mm", "pve"),
    Column("shape, mm", "shape"),
    Column("PCKh, %", "pckh", factor=100),
)


def picture(batch: Batch) -> Tensor:
    """RGB."""
    return interpolate(batch["image"], (MAP, MAP), mode="area")


def silhouette(batch: Batch) -> Tensor:
    """The person, whatever part."""
    return 1 - batch["parts"][:, :1]


def parts(count: int) -> Show:
    """The part map, its parts merged to so many."""
    return lambda batch: merge_probabilities(batch["parts"], count)


def surface(batch: Batch) -> Tensor:
    """Where on the body's surface each cell lies, and the silhouette."""
    return torch.cat([batch["surface"], silhouette(batch)], 1)


def joints(kind: str) -> Show:
    """A heat map of each of LSP's 14 or SMPL's 24 joints."""

    def show(batch: Batch) -> Tensor:
        body = small_body(str(batch["betas"].device))
        posed = body(batch["betas"], batch["rotations"], batch["translation"])
        places = Camera(batch["focal"], batch["center"]).project(body.keypoints(posed, kind)) / INPUT_SIZE
        inside = ((places >= 0) & (places <= 1)).all(-1, keepdim=True)
        return heat_maps(torch.cat([places, inside.float()], -1))

    return show


def both(one: Show, other: Show) -> Show:
    """One beside the other."""
    return lambda batch: torch.cat([one(batch), other(batch)], 1)


KINDS: dict[str, Show] = {
    "rgb": picture,
    "silhouette": silhouette,
    "parts-3": parts(3),
    "parts-6": parts(6),
    "parts-12": parts(12),
    "parts-24": parts(24),
    "joints-14": joints("lsp14"),
    "joints-24": joints("smpl24"),
    "surface": surface,
    "parts-24-joints-14": both(parts(24), joints("lsp14")),
}


class Representation:
    """The experiment."""

    name = "representation"

    def cases(self, lab: Lab) -> Sequence[Case]:
        def run(kind: str, seed: int) -> Scores:
            people, show = crowd(lab), KINDS[kind]
            network = regress(lab, f"{kind}.{seed}", people, show, seed)
            return scored(lambda batch: network(show(batch)), people.test, people.body)

        return [
            Case(f"{kind}.{seed}", lambda kind=kind, seed=seed: run(kind, seed))
            for seed in range(lab.preset.seeds)
            for kind in KINDS
        ]

    def report(self, results: dict[str, Scores]) -> Report:
        table = Table.of("True evidence of drawn people of the test split", COLUMNS, by_seed(results))
        first = {kind: results[f"{kind}.0"]["pa_mpjpe"] for kind in KINDS}
        maps = ("parts-3", "parts-6", "parts-12", "parts-24")
        apart = {kind: Estimate.of(first["rgb"] - first[kind]) for kind in maps}
        findings = [
            f"{kind}: better than rgb by {each.value:.1f} mm ({each.low:.1f} to {each.high:.1f}, paired over people)."
            for kind, each in apart.items()
        ]
        best = min(first, key=lambda kind: float(first[kind].mean()))
        findings.append(f"Best: {best}.")
        return Report("Which 2D representation?", [table], bars(table), findings)
