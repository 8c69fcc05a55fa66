"""Synthetic people that training never saw: from true part maps, or from pictures, to the error of the body."""

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nbf.body.model import BodyModel, BodyOutput
from nbf.body.parts import merge_labels
from nbf.evaluate import metrics
from nbf.evaluate.report import Scores, percent, rounded
from nbf.geometry.camera import Camera, translation_from_crop_camera
from nbf.nets.fitter import Fitter
from nbf.nets.segmenter import Segmenter, part_probabilities
from nbf.synth.sampler import Sampler

MERGED = 14


@dataclass
class _Tally:
    """Results of the people so far, one tensor a batch."""

    values: dict[str, list[Tensor]] = field(default_factory=dict)
    parts: Tensor = field(default_factory=lambda: torch.zeros(25, 25, dtype=torch.long))
    merged: Tensor = field(default_factory=lambda: torch.zeros(MERGED + 1, MERGED + 1, dtype=torch.long))

    def add(self, **batch: Tensor) -> None:
        for name, values in batch.items():
            self.values.setdefault(name, []).append(values.cpu())

    def mean(self, name: str) -> float:
        return float(torch.cat(self.values[name]).mean())

    def median(self, name: str) -> float:
        return float(torch.cat(self.values[name]).median())


@torch.no_grad()
def evaluate_synthetic(
    sampler: Sampler, fitter: Fitter, segmenter: Segmenter | None, count: int, batch_size: int = 20
) -> Scores:
    """Errors over `count` people drawn from `sampler`.

    Args:
        sampler: of the split "test", freshly seeded.
        fitter: the network under test, on the sampler's device.
        segmenter: makes the part maps from the pictures; None takes the true part maps.
        count: people.

    Returns:
        n; pa_mpjpe_mean_mm and _median_mm, mpjpe_mean_mm over SMPL's 24 joints, pa_mpjpe_lsp14_mean_mm over LSP's 14;
        pve_mean_mm; pckh50 (percent of the LSP joints inside the crop); rotation_deg (24 joints); height_cm;
        miou and miou14 (percent, only with a segmenter); seconds of the networks and the body model alone.
    """
    tally, seconds, done = _Tally(), 0.0, 0
    body = sampler.body
    while done < count:
        batch = sampler.sample(min(batch_size, count - done))
        done += len(batch["betas"])
        start = time.perf_counter()
        proxy = batch["parts"] if segmenter is None else part_probabilities(segmenter(batch["image"]))
        fit = fitter(proxy)
        camera = Camera(batch["focal"], batch["center"])
        pelvis = translation_from_crop_camera(fit.scale, fit.offset, camera, sampler.config.resolution)
        found = body(fit.betas, fit.rotations, pelvis - body.rest_joints(fit.betas)[:, 0])
        seconds += time.perf_counter() - start
        _count_body(tally, body, found, batch, camera, sampler.config.resolution)
        tally.add(
            rotation=metrics.rotation_error(fit.rotations, batch["rotations"]),
            height=metrics.height_error(body.rest_vertices(fit.betas), body.rest_vertices(batch["betas"])),
        )
        if segmenter is not None:
            _count_parts(tally, proxy, batch)
    scores: Scores = {
        "n": done,
        "pa_mpjpe_mean_mm": rounded(tally.mean("pa_mpjpe")),
        "pa_mpjpe_median_mm": rounded(tally.median("pa_mpjpe")),
        "pa_mpjpe_lsp14_mean_mm": rounded(tally.mean("pa_mpjpe_lsp14")),
        "mpjpe_mean_mm": rounded(tally.mean("mpjpe")),
        "pve_mean_mm": rounded(tally.mean("pve")),
        "pckh50": percent(tally.mean("pckh")),
        "rotation_deg": rounded(tally.mean("rotation")),
        "height_cm": rounded(tally.mean("height")),
    }
    if segmenter is not None:
        scores |= {"miou": percent(metrics.mean_iou(tally.parts)), "miou14": percent(metrics.mean_iou(tally.merged))}
    return scores | {"seconds": rounded(seconds)}


def _count_body(
    tally: _Tally, body: BodyModel, found: BodyOutput, batch: dict[str, Tensor], camera: Camera, resolution: int
) -> None:
    true = body(batch["betas"], batch["rotations"], batch["translation"])
    roots = found.joints[:, 0], true.joints[:, 0]
    found_lsp, true_lsp = body.keypoints(found, "lsp14"), body.keypoints(true, "lsp14")
    pixels = camera.project(true_lsp)
    inside = ((pixels >= 0) & (pixels < resolution)).all(-1)
    right = metrics.pck(camera.project(found_lsp), pixels, metrics.head_length(true_lsp, camera.focal), 0.5)
    tally.add(
        pa_mpjpe=metrics.pa_mpjpe(found.joints, true.joints).mean(-1),
        pa_mpjpe_lsp14=metrics.pa_mpjpe(found_lsp, true_lsp).mean(-1),
        mpjpe=metrics.mpjpe(found.joints, true.joints, *roots).mean(-1),
        pve=metrics.mpjpe(found.vertices, true.vertices, *roots).mean(-1),
        pckh=right[inside].float(),
    )


def _count_parts(tally: _Tally, proxy: Tensor, batch: dict[str, Tensor]) -> None:
    found, true, counted = proxy.argmax(1).cpu(), batch["parts"].argmax(1).cpu(), ~batch["ignore"].cpu()
    tally.parts += metrics.confusion(found, true, 25, counted)
    merged = merge_labels(found, MERGED), merge_labels(true, MERGED)
    tally.merged += metrics.confusion(*merged, MERGED + 1, counted)
