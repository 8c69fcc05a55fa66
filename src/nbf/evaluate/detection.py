"""Who was found, as pure functions on boxes (x0, y0, x1, y1): pairs of people, right and wrong boxes, calibration."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nbf.nets.locator import box_iou
from nbf.render.reliability import reliability

RIGHT, WRONG, NEITHER = 1, 0, -1


def assign(overlap: Float[Tensor, "n m"], least: float) -> Int64[Tensor, " n"]:
    """Which of m found people each of n true ones is: pairs in the order of their overlap, at least `least`.

    -1 for who is nobody's pair. Everybody is in one pair at most.
    """
    overlap, pair = overlap.clone(), torch.full((len(overlap),), -1)
    while overlap.numel() and overlap.max() >= least:
        row, column = divmod(int(overlap.argmax()), overlap.shape[1])
        pair[row] = column
        overlap[row], overlap[:, column] = -1, -1
    return pair


def judge(
    found: Float[Tensor, "m 4"],
    true: Float[Tensor, "n 4"],
    counted: Bool[Tensor, " n"],
    *,
    overlap: float,
    least_side: float,
) -> Int64[Tensor, " m"]:
    """Whether found boxes, the surest first, are RIGHT, WRONG or NEITHER.

    Right is a box that overlaps (IoU) a counted person of whom no surer box is right by `overlap` or more; greedy, as
    PASCAL VOC (Everingham et al., IJCV 2010). Neither are other boxes that overlap somebody who is not counted as much,
    or lie by half in such a box, and those whose longer side is below `least_side`. All others are wrong.
    """
    overlaps = box_iou(found, true)
    on_others = (overlaps >= overlap) | (_share_inside(found, true) >= 0.5)
    neither = on_others[:, ~counted].any(1) | ((found[:, 2:] - found[:, :2]).amax(1) < least_side)
    verdict = torch.where(neither, NEITHER, WRONG)
    free = counted.clone()
    for index, row in enumerate(overlaps):
        best = torch.where(free, row, 0.0)
        if len(best) and best.max() >= overlap:
            free[best.argmax()] = False
            verdict[index] = RIGHT
    return verdict


def calibration(scores: Float[Tensor, " m"], right: Bool[Tensor, " m"]) -> tuple[list[tuple[float, float, int]], float]:
    """Ten bins of equal count by score: (mean score, share right, count); and the expected calibration error.

    The error is the mean over people of the distance of the first two (Naeini et al., AAAI 2015, whose bins have equal
    width; Nguyen & O'Connor, EMNLP 2015, for bins of equal count). NaN where there is nobody.
    """
    bins = reliability(scores, right.float())
    total = sum(count for _, _, count in bins)
    return bins, sum(count * abs(said - was) for said, was, count in bins) / total if total else torch.nan


def _share_inside(found: Float[Tensor, "m 4"], true: Float[Tensor, "n 4"]) -> Float[Tensor, "m n"]:
    low = torch.maximum(found[:, None, :2], true[None, :, :2])
    high = torch.minimum(found[:, None, 2:], true[None, :, 2:])
    area = (found[:, 2:] - found[:, :2]).prod(1)
    return (high - low).clamp(min=0).prod(-1) / area[:, None].clamp(min=1e-9)
