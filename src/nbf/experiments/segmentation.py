"""Do better segmentations give better fits? (Omran et al. 2018, section 4.) One fitter, maps of rising quality."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, one_hot, softmax

from nbf import losses
from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.evaluate import metrics
from nbf.evaluate.bench import Benchmark
from nbf.evaluate.sheet import Entry, sheet
from nbf.experiments.experiment import Case, Lab, Scores
from nbf.experiments.people import crowd
from nbf.experiments.regression import RATE, WARMUP, finished, scored
from nbf.experiments.report import Column, Estimate, Report, Table
from nbf.geometry import Camera, Crop, translation_from_crop_camera
from nbf.nets.blocks import for_inference, multiplies_bfloat16
from nbf.nets.fitter import Fitter, FitterInput
from nbf.nets.mean_body import FitterOutput
from nbf.nets.mirror import segment_both_ways
from nbf.nets.segmenter import INPUT_SIZE, Segmenter
from nbf.nets.unet import UNet
from nbf.nets.weights import load_kind
from nbf.networks import BODY
from nbf.solve.regress import read_both_ways
from nbf.train.batch import Batch
from nbf.train.config import LoopConfig
from nbf.train.corrupt import blur, drop_parts, noisy_softmax
from nbf.train.loop import train
from nbf.train.pictures import pictures_source

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = 25
SMALL = {"small-8": (8, 1.0), "small-16-tenth": (16, 0.1), "small-16-third": (16, 1 / 3), "small-16": (16, 1.0)}
"""Small segmenters by their width, and by the share of the preset's steps that they are trained for."""
RESOLUTIONS = (32, 64, 128, 256)
"""Pixels a side of the crops that the bundled segmenter is shown, enlarged to the 256 that it expects."""
NOISE = (3.0, 1.5)
"""Of true maps that are spoilt: standard deviation of smooth noise on the log probabilities."""
_DROPPED, _BLURRED = 0.05, 0.5
SMALL_SIDE = 128
SHOWN = 12
"""People in each gallery."""
_KNOWN = ("image", "betas", "rotations", "translation", "focal", "center")
COLUMNS = (
    Column("F1, %", "f1", factor=100),
    Column("mIoU, %", "miou", factor=100),
    Column("PA-MPJPE, mm", "pa_mpjpe"),
    Column("median, mm", "pa_mpjpe", "median"),
    Column("MPJPE, mm", "mpjpe"),
    Column("PCKh, %", "pckh", factor=100),
)

Segment = Callable[[Batch], Float[Tensor, "b 25 64 64"]]


class Segmentation:
    """The experiment."""

    name = "segmentation"

    def cases(self, lab: Lab) -> Sequence[Case]:
        def true(batch: Batch) -> Tensor:
            return batch["parts"]

        makers: dict[str, Callable[[], Segment]] = {name: lambda name=name: _small(lab, name) for name in SMALL}
        makers |= {f"bundled-{side}px": lambda side=side: _bundled(lab, side) for side in RESOLUTIONS}
        makers |= {f"true-noise-{noise:g}": lambda noise=noise: _noisy(noise) for noise in NOISE}
        makers |= {"true": lambda: true}
        return [Case(name, lambda make=make: measured(lab, make())) for name, make in makers.items()]

    def report(self, results: dict[str, Scores]) -> Report:
        table = Table.of("bench:wild, the bundled fitter on part maps alone", COLUMNS, results)
        f1, error = (
            torch.tensor([float(scores[key].mean()) for scores in results.values()]) for key in ("f1", "pa_mpjpe")
        )
        among = float(torch.corrcoef(torch.stack([f1, error]))[0, 1])
        within = {
            name: _correlation(scores["iou"], scores["pa_mpjpe"]) for name, scores in results.items() if name != "true"
        }
        best = max((name for name in within if name.startswith("bundled")), key=lambda name: float(results[name]["f1"]))
        findings = [
            f"Correlation of F1 and PA-MPJPE over the {len(results)} segmentations: {among:.2f}.",
            f"Within {best}, of a person's IoU and their error: {within[best]:.2f}.",
        ]
        galleries = {
            "true": lambda: gallery(results["true"], "The worst fits to true maps"),
            "predicted": lambda: gallery(results[best], f"The worst fits to maps of {best}"),
        }
        return Report("Do better segmentations give better fits?", [table], scatter(results), findings, galleries)


@torch.no_grad()
def measured(lab: Lab, segment: Segment) -> Scores:
    """Errors of the bodies, person by person; `iou`, of the parts of a person; `f1` and `miou` over all people; and, of
    the SHOWN worst, what the gallery shows."""
    fitter = for_inference(load_kind("fitter", Fitter)).to(lab.device)
    bench = Benchmark.load("wild", lab.benchmark)
    people = [
        {name: value.to(lab.device) for name, value in group.batch.items()}
        for group in bench.groups(min(lab.preset.test, len(bench)))
    ]
    confusion, ious = torch.zeros(PARTS, PARTS, dtype=torch.long), []
    labels: list[Tensor] = []
    outputs: list[FitterOutput] = []

    def answer(batch: Batch) -> FitterOutput:
        parts = segment(batch)
        labels.append(parts.argmax(1).cpu())
        outputs.append(read_both_ways(fitter, FitterInput.of_parts(parts))[0])
        return outputs[-1]

    scores = scored(answer, people, bench.body.to(lab.device))
    for batch, found in zip(people, labels):
        for one, other in zip(found, batch["parts"].argmax(1).cpu()):
            matrix = metrics.confusion(one, other, PARTS, torch.ones_like(one, dtype=torch.bool))
            ious.append(metrics.mean_iou(matrix))
            confusion += matrix
    worst = scores["pa_mpjpe"].argsort(descending=True)[:SHOWN]
    known = {name: torch.cat([batch[name] for batch in people]).cpu()[worst] for name in _KNOWN}
    found = FitterOutput(*(torch.cat(values).cpu()[worst] for values in zip(*outputs)))
    camera = Camera(known["focal"], known["center"])
    pelvis = translation_from_crop_camera(found.scale, found.offset, camera, INPUT_SIZE)
    return scores | {
        "iou": torch.tensor(ious),
        "f1": torch.tensor([metrics.mean_f1(confusion)]),
        "miou": torch.tensor([metrics.mean_iou(confusion)]),
        **{f"shown_{name}": value for name, value in known.items()},
        "shown_labels": torch.cat(labels)[worst].byte(),
        "shown_error": scores["pa_mpjpe"][worst],
        "found_betas": found.betas,
        "found_rotations": found.rotations,
        "found_pelvis": pelvis,
    }


def gallery(scores: Scores, title: str) -> Image.Image:
    """The worst fits to one kind of map: picture, map, mesh; from the side, the truth is blue."""
    body = load_body(BODY)
    true = body(scores["shown_betas"], scores["shown_rotations"], scores["shown_translation"]).vertices
    bodies = Bodies(scores["found_betas"], scores["found_rotations"], scores["found_pelvis"])
    found = bodies.posed(body).vertices
    entries = []
    for i, pixels in enumerate(scores["shown_image"]):
        side = pixels.shape[-1]
        parts = one_hot(scores["shown_labels"][i].long(), PARTS).permute(2, 0, 1).float()
        whole = Crop(torch.full((2,), side / 2), torch.tensor(float(side)), side)
        camera = Camera(scores["shown_focal"][i], scores["shown_center"][i]).scaled(side / INPUT_SIZE)
        picture = Image.fromarray((pixels * 255).round().byte().permute(1, 2, 0).numpy())
        caption = f"PA-MPJPE {float(scores['shown_error'][i]):.0f} mm"
        entries.append(Entry(picture, [(parts, whole)], found[i : i + 1], camera, caption, true[i : i + 1]))
    return sheet(entries, body.faces, title)


def scatter(results: dict[str, Scores]) -> "Callable[[Figure], None]":
    """A plot: quality of the maps across, error of the bodies up, one mark a segmentation."""

    def plot(figure: "Figure") -> None:
        axes = figure.subplots()
        for kind, color in (("small", "#b8665b"), ("bundled", "#5b8db8"), ("true", "#5ba36b")):
            names = [name for name in results if name.startswith(kind)]
            across = [100 * float(results[name]["f1"]) for name in names]
            errors = [Estimate.of(results[name]["pa_mpjpe"]) for name in names]
            up = [each.value for each in errors]
            ends = [[each.value - each.low for each in errors], [each.high - each.value for each in errors]]
            axes.errorbar(across, up, yerr=ends, fmt="o", color=color, capsize=3, label=kind)
            for name, x, y in zip(names, across, up):
                axes.annotate(name, (x, y), xytext=(5, 4), textcoords="offset points", fontsize=7)
        axes.set_xlabel("F1 of the part map, %")
        axes.set_ylabel("PA-MPJPE, mm")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)

    return plot


def small_picture(batch: Batch) -> Float[Tensor, "b 3 128 128"]:
    """What small segmenters see."""
    return interpolate(batch["image"], (SMALL_SIDE, SMALL_SIDE), mode="area")


class SmallTask:
    """Part cross-entropy of a small segmenter."""

    def __init__(self, network: UNet) -> None:
        self.network = network

    def losses(self, network: Callable, batch: Batch) -> dict[str, Tensor]:
        logits = network(small_picture(batch))
        return {"parts": losses.part_cross_entropy(logits, batch["parts"]).mean()}


def _small(lab: Lab, name: str) -> Segment:
    width, share = SMALL[name]
    torch.manual_seed(0)
    runs = lab.out / "segmenters"
    network = finished(runs / name, UNet)
    if network is None:
        source = pictures_source(crowd(lab).train, lab.preset.batch, 0, torch.device(lab.device))
        steps = max(round(lab.preset.steps * share), 1)
        loop = LoopConfig(name, steps=steps, rate=RATE, warmup=WARMUP, device=str(lab.device), runs=runs)
        network = train(SmallTask(UNet(3, PARTS, width)), source, loop)
    seen = network.to(lab.device).eval()
    return lambda batch: softmax(seen(small_picture(batch)), 1)


def _bundled(lab: Lab, side: int) -> Segment:
    segmenter = for_inference(load_kind("segmenter", Segmenter)).to(lab.device)

    def segment(batch: Batch) -> Tensor:
        small = interpolate(batch["image"], (side, side), mode="area")
        large = interpolate(small, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", antialias=False)
        with torch.autocast(large.device.type, torch.bfloat16, enabled=multiplies_bfloat16(large.device)):
            return segment_both_ways(segmenter, large.contiguous(memory_format=torch.channels_last)).parts.float()

    return segment


def _noisy(noise: float) -> Segment:
    def segment(batch: Batch) -> Tensor:
        torch.manual_seed(0)
        spoilt = blur(drop_parts(batch["parts"], _DROPPED), _BLURRED)
        return noisy_softmax(spoilt, noise)

    return segment


def _correlation(a: Tensor, b: Tensor) -> float:
    there = ~(a.isnan() | b.isnan())
    return float(torch.corrcoef(torch.stack([a[there].float(), b[there].float()]))[0, 1])
