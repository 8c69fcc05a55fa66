"""How right and how steady motions are, and whether people keep their identities; nothing here knows how they were
found."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nbf.evaluate import metrics
from nbf.evaluate.detection import assign
from nbf.evaluate.report import Scores, percent, rounded
from nbf.film.quality import accelerations, foot_speeds
from nbf.nets.locator import box_iou

OVERLAP = 0.4
"""IoU of the boxes about true and found joints in the picture from which the one may be the other's."""
STILL = 0.15
"""Metres a second below which a true foot joint stands."""
_APART = 8
"""Frames before and after a crossing in which people are to be recognised."""


@dataclass(frozen=True)
class Followed:
    """One film: n true people, m tracks, t frames."""

    true: Float[Tensor, "n t 24 3"]
    """Joints, camera metres."""
    true_pixels: Float[Tensor, "n t 24 2"]
    found: Bool[Tensor, "m t"]
    """Where a track has a fit of its own."""
    fitted: Float[Tensor, "m t 24 3"]
    """Joints of single frames, nan where there is none."""
    smooth: Float[Tensor, "m t 24 3"]
    """Joints of motions, nan where the track is not."""
    smooth_pixels: Float[Tensor, "m t 24 2"]
    rate: float

    def tracks(self) -> Int64[Tensor, "n t"]:
        """Whose track each person has in each frame, -1 for nobody's: pairs by boxes, the largest overlap first."""
        true, smooth = _boxes(self.true_pixels), _boxes(self.smooth_pixels)
        pairs = []
        for t in range(true.shape[1]):
            overlap = box_iou(true[:, t], smooth[:, t].nan_to_num(-1.0))
            there = self.smooth_pixels[:, t, 0, 0].isfinite()
            pairs.append(assign(torch.where(there, overlap, -1.0), OVERLAP))
        return torch.stack(pairs, 1)


def identities(films: list[Followed]) -> Scores:
    """Of the pairs of people who go past each other in the picture, those of whom both have the same track before and
    after; and how much of the time people are followed."""
    kept, seen = [], []
    for film in films:
        tracks = film.tracks()
        seen.append((tracks >= 0).float().flatten())
        kept += [_kept(tracks, *pair) for pair in crossings(film.true_pixels)]
    followed = percent(float(torch.cat(seen).mean()))
    share = percent(sum(kept) / len(kept)) if kept else 100.0
    return {"crossings": len(kept), "identity_kept": share, "followed": followed}


def crossings(pixels: Float[Tensor, "n t 24 2"]) -> list[tuple[int, int, int, int]]:
    """Pairs of people who change sides, and the first and last frame in which their boxes overlap; who is not apart
    from the other both before and after is left out."""
    boxes, found = _boxes(pixels), []
    for i in range(len(boxes)):
        for j in range(i):
            one, other = boxes[i], boxes[j]
            touching = (torch.minimum(one[:, 2], other[:, 2]) > torch.maximum(one[:, 0], other[:, 0])).nonzero()[:, 0]
            side = pixels[i, :, 0, 0] - pixels[j, :, 0, 0]
            if not len(touching) or float(side[0] * side[-1]) > 0:
                continue
            first, last = int(touching[0]), int(touching[-1])
            if first > 0 and last < len(side) - 1:
                found.append((i, j, first, last))
    return found


def _kept(tracks: Int64[Tensor, "n t"], i: int, j: int, first: int, last: int) -> bool:
    before = tracks[[i, j], max(first - _APART, 0) : first].mode(1).values
    after = tracks[[i, j], last + 1 : last + 1 + _APART].mode(1).values
    return bool((before >= 0).all() and torch.equal(before, after) and before[0] != before[1])


def steadiness(films: list[Followed]) -> dict[str, Scores]:
    """Jitter, foot sliding and errors of single frames, of motions, and of the truth, over the same frames."""
    columns: dict[str, list[dict[str, Tensor]]] = {"frame_by_frame": [], "smoothed": [], "truth": []}
    for film in films:
        tracks = film.tracks()
        for person, mine in enumerate(tracks):
            for track in mine[mine >= 0].unique():
                there = (mine == track) & film.found[track]
                true = film.true[person]
                for name, joints in (("frame_by_frame", film.fitted), ("smoothed", film.smooth), ("truth", None)):
                    these = true if joints is None else joints[track]
                    columns[name].append(_measured(these, true, there, film.rate))
    return {
        name: {key: rounded(float(torch.cat([row[key].flatten() for row in rows]).mean())) for key in rows[0]}
        for name, rows in columns.items()
        if rows
    }


def _measured(
    joints: Float[Tensor, "t 24 3"], true: Float[Tensor, "t 24 3"], there: Bool[Tensor, " t"], rate: float
) -> dict[str, Tensor]:
    run = there[2:] & there[1:-1] & there[:-2]
    # Less the truth's own, joint by joint: the "acceleration error" of Kanazawa et al. 2019.
    beyond = accelerations(joints - true, rate)
    standing = (foot_speeds(true, rate) < STILL) & (there[1:] & there[:-1])[:, None]
    return {
        "jitter_m_s2": accelerations(joints, rate)[run],
        "acceleration_error_m_s2": beyond[run],
        "foot_sliding_m_s": foot_speeds(joints, rate)[standing],
        "pa_mpjpe_mean_mm": metrics.pa_mpjpe(joints[there], true[there]),
        "mpjpe_mean_mm": metrics.mpjpe(joints[there], true[there], joints[there, 0], true[there, 0]),
    }


def _boxes(pixels: Float[Tensor, "n t 24 2"]) -> Float[Tensor, "n t 4"]:
    return torch.cat([pixels.amin(2), pixels.amax(2)], -1)
