"""2D keypoints of other detectors, or corrected by hand, from their files, and whose they are."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbf.arguments import path as checked_path
from nbf.arguments import shown, whole
from nbf.body.joints import COCO17
from nbf.errors import InputError
from nbf.nets.locator import box_iou
from nbf.reading import read_json, refusing

# Orders of OpenPose (Cao et al., PAMI 2021; src/openpose/pose/poseParameters.cpp).
_ARMS = ("right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist")
_LEGS = ("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle")
_FACE = ("right_eye", "left_eye", "right_ear", "left_ear")
_OPENPOSE = {18: ("nose", "neck", *_ARMS, *_LEGS, *_FACE), 25: ("nose", "neck", *_ARMS, "mid_hip", *_LEGS, *_FACE)}
"""Names in files of 18 and of 25 keypoints; the last six of the 25 are on the feet, where COCO has none."""

_OPENPOSE_KEYS = ("pose_keypoints_2d", "pose_keypoints")
"""What a person's keypoints are called; the second by version 1.0, whose people have 18."""

_FARTHEST = 1e6
"""Beyond any picture, in pixels."""

_KINDS = "OpenPose (BODY_25, COCO-18), COCO (results or annotations) or nbf predict --json"


def read_keypoints(path: str | Path, width: int, height: int) -> Float[Tensor, "n 17 3"]:
    """2D keypoints of the n people in one picture, in COCO's order (`nbf.body.joints.COCO17`).

    Reads OpenPose's JSON (BODY_25 and COCO-18, version 1.0 too), COCO's JSON (a list of results, an annotation file or
    one annotation) and what `nbf predict --json` writes. Each row is x, y in pixels of the upright picture and a score
    0..1; all three are 0 where the keypoint is missing, and people without any keypoint are left out. COCO's
    visibilities 1 and 2 are score 1, as somebody marked the place; nbf's own files have no scores, so that every joint
    counts fully.

    Coordinates are taken as they are: files disagree on whether a pixel's centre is 0 or 0.5, by less than detectors
    err.

    Args:
        path: the file, about one picture.
        width, height: pixels of that picture.

    Raises:
        InputError: the file cannot be read, is none of these, or is about several pictures or one of another size.
    """
    path, size = checked_path(path, "path"), (whole(width, "width"), whole(height, "height"))
    with refusing(InputError, path, "JSON", f"expected keypoints of {_KINDS}"):
        document = read_json(path)
    if isinstance(document, dict) and isinstance(document.get("people"), list):
        entries = document["people"]
        if any(isinstance(entry, dict) and "joints" in entry for entry in entries):
            people = _of_nbf(document, path, size)
        else:
            people = [_of_openpose(entry, path) for entry in entries]
            _check_pixels(people, path, *size)
    else:
        people = _of_coco(document, path)
        _check_pixels(people, path, *size)
    points = torch.stack(people) if people else torch.zeros(0, 17, 3)
    points[..., 2].clamp_(0, 1)
    points[points[..., 2] == 0] = 0
    return points[points[..., 2].any(dim=-1)]


def match_boxes(keypoints: Float[Tensor, "n 17 3"], boxes: Float[Tensor, "m 4"]) -> list[int | None]:
    """For each of n sets of keypoints (x, y, score), the box x0, y0, x1, y1 of the located person that it lies on.

    None where there is no such person. One to one, the best pairs first: those with the most keypoints inside of the
    box, at least half of them, and with the largest overlap of the keypoints' own box. The first says all about one
    corrected wrist, whose box is a point; the second tells a child from the adult behind.
    """
    points, seen = keypoints[..., :2], keypoints[..., 2] > 0
    inside = (points[:, None] >= boxes[:, None, :2]) & (points[:, None] <= boxes[:, None, 2:])
    share = (inside.all(dim=-1) & seen[:, None]).sum(-1) / seen.sum(-1).clamp_min(1)[:, None]
    low = points.masked_fill(~seen[..., None], torch.inf).amin(dim=1)
    high = points.masked_fill(~seen[..., None], -torch.inf).amax(dim=1)
    fit = torch.where(share >= 0.5, share + box_iou(torch.cat([low, high], dim=-1), boxes), 0)
    matches: list[int | None] = [None] * len(keypoints)
    while fit.numel() and fit.max() > 0:
        person, box = divmod(int(fit.argmax()), len(boxes))
        matches[person] = box
        fit[person], fit[:, box] = 0, 0
    return matches


def _of_openpose(entry: Any, path: str | Path) -> Float[Tensor, "17 3"]:
    values = (entry.get(key) for key in _OPENPOSE_KEYS) if isinstance(entry, dict) else ()
    flat = next((value for value in values if value is not None), None)
    points = _rows(flat, 3, path)
    names = _OPENPOSE.get(len(points))
    if names is None:
        raise InputError(
            f"{path}: expected 'pose_keypoints_2d' with 25 (BODY_25) or 18 (COCO) keypoints, got {len(points)}; run "
            "OpenPose with --model_pose BODY_25"
        )
    return points[[names.index(name) for name in COCO17]]


def _of_coco(document: Any, path: str | Path) -> list[Float[Tensor, "17 3"]]:
    entries = document if isinstance(document, list) else [document]
    if isinstance(document, dict) and isinstance(document.get("annotations"), list):
        entries = document["annotations"]
    if not all(isinstance(entry, dict) and "keypoints" in entry for entry in entries):
        raise InputError(f"{path}: expected keypoints of {_KINDS}, got JSON of another kind")
    pictures = {shown(entry.get("image_id")) for entry in entries}
    if len(pictures) > 1:
        raise InputError(
            f"{path}: expected keypoints of one picture, got those of {len(pictures)}; keep only the entries with this "
            "picture's image_id"
        )
    people = [_rows(entry["keypoints"], 3, path) for entry in entries]
    for points in people:
        if len(points) != len(COCO17):
            raise InputError(f"{path}: expected COCO's 17 keypoints a person, got {len(points)}; keep the body's 17")
    return people


def _of_nbf(document: dict[str, Any], path: str | Path, size: tuple[int, int]) -> list[Float[Tensor, "17 3"]]:
    recorded = document.get("width"), document.get("height")
    if recorded != size:
        raise InputError(
            f"{path}: expected keypoints in a picture of {size[0]} x {size[1]}, got {shown(recorded[0])} x "
            f"{shown(recorded[1])}; give the file that was made from this picture"
        )
    people: list[Tensor] = []
    for entry in document["people"]:
        try:
            values = entry["joints"]["coco17"]["2d"]
        except (KeyError, TypeError):
            values = None
        points = _rows(values, 2, path)
        if len(points) != len(COCO17):
            raise InputError(f"{path}: expected 17 points in each person's joints.coco17.2d, got {len(points)}")
        people.append(torch.cat([points, torch.ones(len(points), 1)], dim=1))
    return people


def _rows(values: Any, columns: int, path: str | Path) -> Float[Tensor, "k {columns}"]:
    """A list of numbers, or of lists of them, as rows of x, y (and score)."""
    try:
        with np.errstate(over="ignore"):  # into infinity, which is refused next
            rows = torch.from_numpy(np.array(values, np.float32).reshape(-1, columns))
    except (TypeError, ValueError, OverflowError) as error:
        what = "x, y, score" if columns == 3 else "x, y"
        raise InputError(f"{path}: expected a list of {what} for each keypoint, got {shown(values)}") from error
    if not rows.isfinite().all():
        raise InputError(f"{path}: expected finite numbers, got nan or infinity; give missing keypoints the score 0")
    if rows.numel() and rows.abs().max() > _FARTHEST:
        raise InputError(f"{path}: expected pixels, got {rows.abs().max():g}; give missing keypoints the score 0")
    return rows


def _check_pixels(people: list[Tensor], path: str | Path, width: int, height: int) -> None:
    """Nothing in others' files says which picture, so look for coordinates that cannot be pixels of this one."""
    points = torch.cat(people) if people else torch.zeros(0, 3)
    points = points[points[:, 2] > 0, :2]
    if len(points) == 0:
        return
    if points.abs().max() <= 1:
        raise InputError(
            f"{path}: expected pixels, got coordinates within -1 .. 1; multiply them by {width} and {height} "
            "(OpenPose: --keypoint_scale 0)"
        )
    inside = (points >= 0) & (points <= torch.tensor([width, height]))
    if inside.all(dim=1).float().mean() < 0.5:
        raise InputError(
            f"{path}: expected keypoints in a picture of {width} x {height}, got most of them outside, up to "
            f"{points.amax(dim=0).tolist()}; give the file made from this picture, at its full size and upright"
        )
