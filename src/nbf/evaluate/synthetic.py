"""Synthetic people that training never saw: from true part maps, or from pictures, to the error of the body."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nbf.body.model import BodyModel, BodyOutput
from nbf.body.parts import merge_labels
from nbf.evaluate import metrics
from nbf.evaluate.report import Scores, percent, rounded
from nbf.geometry.camera import Camera, translation_from_crop_camera
from nbf.nets.fitter import FitterOutput
from nbf.nets.segmenter import INPUT_SIZE

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
    draw: Callable[[int], dict[str, Tensor]],
    body: BodyModel,
    fit: Callable[[Tensor], FitterOutput],
    segment: Callable[[Tensor], Tensor] | None,
    count: int,
    batch_size: int = 20,
) -> Scores:
    """Errors over `count` people.

    Args:
        draw: gives so many labelled people, in 256 px crops (`nbf.synth.sampler.Sampler.sample` of the test split).
        body: the body model that their parameters belong to.
        fit: part probabilities (b, 25, 64, 64) to body parameters.
        segment: pictures (b, 3, 256, 256) to part probabilities; None takes the true part maps.
        count: people.
        batch_size: people at a time.

    Returns:
        n; pa_mpjpe_mean_mm and _median_mm, mpjpe_mean_mm over SMPL's 24 joints, pa_mpjpe_lsp14_mean_mm over LSP's 14;
        pve_mean_mm; pckh50 (percent of the LSP joints inside the crop); rotation_deg (24 joints); height_cm;
        miou and miou14 (percent, only with `segment`); seconds of the networks and the body model alone.
    """
    tally, seconds, done = _Tally(), 0.0, 0
    while done < count:
        batch = draw(min(batch_size, count - done))
        done += len(batch["betas"])
        start = time.perf_counter()
        proxy = batch["parts"] if segment is None else segment(batch["image"])
        guess = fit(proxy)
        camera = Camera(batch["focal"], batch["center"])
        pelvis = translation_from_crop_camera(guess.scale, guess.offset, camera, INPUT_SIZE)
        found = body(guess.betas, guess.rotations, pelvis - body.rest_joints(guess.betas)[:, 0])
        found.joints.cpu()  # waits for a device that works on its own
        seconds += time.perf_counter() - start
        _count_body(tally, body, found, batch, camera)
        tally.add(
            rotation=metrics.rotation_error(guess.rotations, batch["rotations"]),
            height=metrics.height_error(body.rest_vertices(guess.betas), body.rest_vertices(batch["betas"])),
        )
        if segment is not None:
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
    if segment is not None:
        scores |= {"miou": percent(metrics.mean_iou(tally.parts)), "miou14": percent(metrics.mean_iou(tally.merged))}
    return scores | {"seconds": rounded(seconds)}


def _count_body(tally: _Tally, body: BodyModel, found: BodyOutput, batch: dict[str, Tensor], camera: Camera) -> None:
    true = body(batch["betas"], batch["rotations"], batch["translation"])
    roots = found.joints[:, 0], true.joints[:, 0]
    found_lsp, true_lsp = body.keypoints(found, "lsp14"), body.keypoints(true, "lsp14")
    pixels = camera.project(true_lsp)
    inside = ((pixels >= 0) & (pixels < INPUT_SIZE)).all(-1)
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
