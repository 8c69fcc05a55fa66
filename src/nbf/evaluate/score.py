"""How far bodies are from the truth, person by person; nothing here knows how the bodies were found."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.model import BodyModel
from nbf.evaluate import metrics
from nbf.evaluate.report import Scores, percent, rounded
from nbf.geometry.camera import Camera

PersonScores = dict[str, Tensor]
"""Name and one value per person, or one per person and joint (NaN where a joint does not count)."""


@torch.no_grad()
def score_bodies(body: BodyModel, found: Bodies, true: Bodies, camera: Camera, side: int) -> PersonScores:
    """Errors of bodies against true ones.

    Args:
        body: the body model that both are parameters of.
        found: n bodies.
        true: the n people that they should be.
        camera: of the n crops; 2D scores are taken through it.
        side: pixels of a crop; joints that truly lie outside of it do not count in 2D.

    Returns:
        One value per person: `pa_mpjpe` and `mpjpe` (mm, 24 joints), `pa_mpjpe_lsp14` (mm, LSP's 14), `pve` and
        `pa_pve` (mm, all vertices), `shape` (mm, vertices in T-pose), `rotation` (degrees, mean of the 24 local
        rotations, root included), `quaternion` (radians, of the same), `height` (cm), `distance` (percent of the
        pelvis' true depth). One per person and joint: `pckh` (LSP, 14) and `pck_torso` (COCO, 17): 1 right, 0 wrong,
        NaN outside of the crop; `error_2d` (COCO, 17; percent of the crop's side, NaN outside of it); `joints` (mm, of
        the 23 beside the pelvis, pelvis-aligned).
    """
    guess, truth = found.posed(body), true.posed(body)
    roots = guess.joints[:, 0], truth.joints[:, 0]
    rest = body.rest_vertices(found.betas), body.rest_vertices(true.betas)
    lsp = body.keypoints(guess, "lsp14"), body.keypoints(truth, "lsp14")
    lsp_pixels = camera.project(lsp[0]), camera.project(lsp[1])
    coco = [camera.project(body.keypoints(output, "coco17")) for output in (guess, truth)]
    in_heads = metrics.pck(*lsp_pixels, metrics.head_length(lsp[1], camera.focal), 0.5)
    in_torsos = metrics.pck(coco[0], coco[1], metrics.torso_length(coco[1]), 0.2)
    return {
        "pa_mpjpe": metrics.pa_mpjpe(guess.joints, truth.joints).mean(-1),
        "pa_mpjpe_lsp14": metrics.pa_mpjpe(*lsp).mean(-1),
        "mpjpe": metrics.mpjpe(guess.joints, truth.joints, *roots).mean(-1),
        "pve": metrics.mpjpe(guess.vertices, truth.vertices, *roots).mean(-1),
        "pa_pve": metrics.pa_mpjpe(guess.vertices, truth.vertices).mean(-1),
        "shape": metrics.shape_error(*rest).mean(-1),
        "rotation": metrics.rotation_error(found.rotations, true.rotations).mean(-1),
        "quaternion": metrics.quaternion_distance(found.rotations, true.rotations).mean(-1),
        "height": metrics.height_error(*rest),
        "distance": 100 * (guess.joints[:, 0, 2] / truth.joints[:, 0, 2] - 1).abs(),
        "joints": metrics.mpjpe(guess.joints, truth.joints, *roots)[:, 1:],
        "error_2d": torch.where(_inside(coco[1], side), 100 / side * (coco[0] - coco[1]).norm(dim=-1), torch.nan),
        "pckh": _where(in_heads, _inside(lsp_pixels[1], side)),
        "pck_torso": _where(in_torsos, _inside(coco[1], side)),
    }


def concatenated(batches: list[PersonScores]) -> PersonScores:
    """The people of all batches."""
    return {name: torch.cat([batch[name].cpu() for batch in batches]) for name in batches[0]}


def summary(people: PersonScores) -> Scores:
    """The numbers that are reported of n people: means, a median, percentages. Their names end in their units.

    `pa_mpjpe_sem_mm` is the standard error of the mean: how far off it may be because these and no other people were
    drawn.
    """
    aligned = people["pa_mpjpe"]
    means = {
        "mpjpe_mean_mm": "mpjpe",
        "pa_mpjpe_lsp14_mean_mm": "pa_mpjpe_lsp14",
        "pve_mean_mm": "pve",
        "pa_pve_mean_mm": "pa_pve",
        "shape_mean_mm": "shape",
        "rotation_deg": "rotation",
        "height_cm": "height",
    }
    return {
        "n": len(aligned),
        "pa_mpjpe_mean_mm": rounded(float(aligned.mean())),
        "pa_mpjpe_median_mm": rounded(float(aligned.quantile(0.5))),
        "pa_mpjpe_sem_mm": rounded(float(aligned.std(correction=0)) / len(aligned) ** 0.5),
        **{name: rounded(float(people[key].mean())) for name, key in means.items()},
        "quaternion_rad": round(float(people["quaternion"].mean()), 3),
        "distance_median_percent": rounded(float(people["distance"].quantile(0.5))),
        "error_2d_percent": rounded(float(people["error_2d"].nanmean())),
        "pckh50": percent(float(people["pckh"].nanmean())),
        "pck20_torso": percent(float(people["pck_torso"].nanmean())),
    }


def harmed(before: PersonScores, after: PersonScores) -> float:
    """Percent of people whose PA-MPJPE grew by more than 10 mm."""
    return percent(float((after["pa_mpjpe"] > before["pa_mpjpe"] + 10).float().mean()))


def _inside(pixels: Float[Tensor, "n k 2"], side: int) -> Bool[Tensor, "n k"]:
    return ((pixels >= 0) & (pixels < side)).all(-1)


def _where(right: Bool[Tensor, "n k"], counted: Bool[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    return torch.where(counted, right.float(), torch.nan)
