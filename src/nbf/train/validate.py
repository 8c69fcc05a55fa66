"""Quick numbers on fixed batches while training runs. The benchmark proper is `nbf.evaluate`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nbf.body.parts import MERGE
from nbf.evaluate import metrics
from nbf.geometry.camera import Camera
from nbf.geometry.procrustes import align
from nbf.nets.fitter import Fitter
from nbf.nets.locator import Locator, box_iou, decode
from nbf.nets.segmenter import INPUT_SIZE, Segmenter, decode_keypoints
from nbf.train.batch import Batch
from nbf.train.fitter import FitterTask, place
from nbf.train.segmenter import TRUSTED_PARTS

# A keypoint is right when it is nearer than this share of the person's larger side: PCK@0.05 of the crop's person.
PCK = 0.05


@torch.no_grad()
def validate_fitter(network: Fitter, batches: Sequence[Batch], task: FitterTask) -> dict[str, float]:
    """Errors over the 24 joints: `mpjpe` (root-aligned), `pa_mpjpe` and `pa_mpjpe_median` after Procrustes, mm;
    `pixels`, the mean 2D error in a 256 px crop; `betas`, the mean absolute shape error.

    Proxies are made as in training: give a `task` without corruption.
    """
    errors, aligned, pixels, betas = [], [], [], []
    for batch in batches:
        camera = Camera(batch["focal"], batch["center"])
        output = network(task.proxy(batch))[0]
        joints, true = place(task.body, output, camera).joints, task.truth(batch)
        errors.append((joints - joints[:, :1] - true + true[:, :1]).norm(dim=-1))
        aligned.append((align(joints, true) - true).norm(dim=-1).mean(-1))
        pixels.append((camera.project(joints) - camera.project(true)).norm(dim=-1))
        betas.append((output.betas - batch["betas"]).abs())
    return {
        "mpjpe_mm": _mean(errors, 1000.0),
        "pa_mpjpe_mm": _mean(aligned, 1000.0),
        "pa_mpjpe_median_mm": round(torch.cat(aligned).median().item() * 1000.0, 2),
        "pixels": _mean(pixels),
        "betas": _mean(betas),
    }


@torch.no_grad()
def validate_segmenter(network: Segmenter, batches: Sequence[Batch]) -> dict[str, float]:
    """Synthetic people: `miou24`; real photos: `real_miou14`; both: `miou14` and `pck` style keypoint accuracy, and
    `surface`, the L1 error of surface coordinates. Intersections are counted over all pictures together."""
    exact, merged, real = (torch.zeros(25, 25, dtype=torch.long) for _ in range(3))
    right, total, surface = 0.0, 0.0, []
    for batch in batches:
        output = network(batch["image"])
        found, true, seen = output.parts.argmax(1), batch["parts"].argmax(1), ~batch["ignore"]
        groups = MERGE[TRUSTED_PARTS].to(found.device)
        is_real = batch["real"][:, None, None].expand_as(seen)
        exact += metrics.confusion(found, true, 25, seen & ~is_real).cpu()
        merged += metrics.confusion(groups[found], groups[true], 25, seen & ~is_real).cpu()
        real += metrics.confusion(groups[found], groups[true], 25, seen & is_real).cpu()
        keypoints, weight = batch["keypoints"], batch["keypoints"][..., 2] > 0.5
        distance = (decode_keypoints(output.keypoints)[..., :2] - keypoints[..., :2]).norm(dim=-1)
        right += ((distance < PCK * INPUT_SIZE) & weight).sum().item()
        total += weight.sum().item()
        if "surface" in batch:
            on_person = batch["surface_mask"]
            surface.append((output.surface - batch["surface"]).abs().sum(1)[on_person])
    scores = {"miou24": exact, "miou14": merged, "real_miou14": real}
    scores = {name: metrics.mean_iou(matrix) for name, matrix in scores.items()}
    scores["pck"] = right / max(total, 1.0)
    if surface:
        scores["surface"] = torch.cat(surface).mean().item()
    return {name: round(value, 4) for name, value in scores.items() if value == value}


@torch.no_grad()
def validate_locator(
    network: Locator, batches: Sequence[Batch], *, threshold: float = 0.3, overlap: float = 0.5
) -> dict[str, float]:
    """`recall` and `precision` of boxes at an intersection over union of `overlap`, their mean `iou`."""
    hits = people = boxes = 0
    quality = 0.0
    for batch in batches:
        for (found, _), true, valid in zip(
            decode(network(batch["image"]), threshold), batch["boxes"], batch["valid"], strict=True
        ):
            people += int(valid.sum())
            boxes += len(found)
            if not len(found) or not valid.any():
                continue
            best = box_iou(true[valid].clamp(0, 1), found).amax(1)
            hits += int((best >= overlap).sum())
            quality += best[best >= overlap].sum().item()
    return {
        "recall": round(hits / max(people, 1), 4),
        "precision": round(hits / max(boxes, 1), 4),
        "iou": round(quality / max(hits, 1), 4),
    }


def _mean(values: list[Tensor], factor: float = 1.0) -> float:
    return round(torch.cat([value.flatten() for value in values]).mean().item() * factor, 2)
