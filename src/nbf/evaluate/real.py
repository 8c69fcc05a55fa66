"""Real photos of the val split: how well projected joints, parts and silhouette agree with their labels."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from nbf.body.parts import merge_labels
from nbf.data.labelled import IGNORE, UNKNOWN, LabelledPicture
from nbf.evaluate import metrics
from nbf.evaluate.report import Scores, percent, rounded
from nbf.evaluate.sheet import Entry, photo_entry, spread
from nbf.geometry.camera import Camera
from nbf.geometry.crop import Crop
from nbf.locate import framed
from nbf.nets.locator import box_iou
from nbf.nets.segmenter import STRIDE
from nbf.predictor import Predictor
from nbf.raster.zbuffer import rasterize

MERGED = 14
FOUND = 0.5
"""Overlap (IoU) with the labelled box from which a person counts as located."""


@dataclass
class _Tally:
    """What is counted over the photos."""

    people: int = 0
    found: int = 0
    right: list[Tensor] = field(default_factory=list)
    """Of every trusted keypoint: whether it was met."""
    overlaps: list[float] = field(default_factory=list)
    """Silhouette IoU of every person."""
    photos: list[float] = field(default_factory=list)
    """Mean of them over the people of each photo."""
    parts: Tensor = field(default_factory=lambda: torch.zeros(MERGED + 1, MERGED + 1, dtype=torch.long))
    entries: list[Entry] = field(default_factory=list)


@torch.no_grad()
def evaluate_real(
    predictor: Predictor, photos: Iterable[LabelledPicture], *, keep: bool = False
) -> tuple[Scores, list[Entry]]:
    """Agreement over all labelled people of the photos.

    Bodies are fitted inside the labelled boxes, so that the locator's misses do not hide in the other numbers; how many
    boxes the locator finds is a number of its own.

    Returns:
        The scores: n people; photos; found (percent of the boxes); pck20_torso (percent of the trusted COCO keypoints);
        miou14 and f1_14 of the segmenter on the merged parts, which is what the labels can be trusted with;
        silhouette_iou, the mean over people of the IoU of the mesh with the mask (percent); seconds.
        With `keep`: about 30 photos for a contact sheet, evenly spaced through the ranking by silhouette IoU, the worst
        first; else none.
    """
    tally = _Tally()
    start = time.perf_counter()
    for photo in photos:
        _measure(predictor, photo, tally, keep)
    scores: Scores = {
        "n": tally.people,
        "photos": len(tally.photos),
        "found": percent(tally.found / max(tally.people, 1)),
        "pck20_torso": percent(float(torch.cat(tally.right).float().mean())),
        "miou14": percent(metrics.mean_iou(tally.parts)),
        "f1_14": percent(metrics.mean_f1(tally.parts)),
        "silhouette_iou": percent(sum(tally.overlaps) / max(tally.people, 1)),
        "seconds": rounded(time.perf_counter() - start),
    }
    shown = spread([-overlap for overlap in tally.photos]) if keep else []
    return scores, [tally.entries[index] for index in shown]


def _measure(predictor: Predictor, photo: LabelledPicture, tally: _Tally, keep: bool) -> None:
    pixels = photo.pixels()
    image, labels = torch.from_numpy(pixels.copy()).permute(2, 0, 1), torch.from_numpy(photo.labels())
    boxes = torch.stack([torch.from_numpy(person.box) for person in photo.people])
    located, _ = predictor.locate(image)
    if len(located):
        tally.found += int((box_iou(boxes, located).amax(1) >= FOUND).sum())
    people = predictor.predict(pixels, boxes=boxes)
    crops, camera = framed(boxes, image.shape[1]), people.camera
    vertices, parts = (
        torch.stack(values) for values in zip(*((person.vertices, person.parts.probabilities) for person in people))
    )
    keypoints = torch.stack([torch.from_numpy(person.keypoints()) for person in photo.people])
    joints = torch.stack([person.joints_2d("coco17") for person in people])
    torso = metrics.torso_length(keypoints[..., :2])
    right = metrics.pck(joints, keypoints[..., :2], torso, 0.2)[_scored(keypoints)]
    overlaps = [_silhouette_iou(v, predictor.body.faces, camera, labels) for v in vertices]
    tally.right.append(right)
    tally.parts += part_confusion(parts, labels, crops)
    tally.overlaps += overlaps
    tally.photos.append(sum(overlaps) / len(overlaps))
    tally.people += len(boxes)
    if keep:
        caption = f"{photo.name}: IoU {tally.photos[-1]:.2f}, PCK {_share(right)}"
        around = torch.cat([boxes[:, :2].amin(0), boxes[:, 2:].amax(0)])
        mapped = [(person.parts.probabilities, person.parts.crop) for person in people]
        tally.entries.append(photo_entry(image, around, mapped, vertices, camera, caption))


def _share(right: Bool[Tensor, " k"]) -> str:
    return f"{int(right.sum())}/{len(right)}"


def _scored(keypoints: Float[Tensor, "n 17 3"]) -> Tensor:
    """Trusted keypoints of people whose torso, the yardstick, is trusted too."""
    trusted = keypoints[..., 2] > 0
    yardstick = trusted[:, metrics.COCO_LEFT_SHOULDER] & trusted[:, metrics.COCO_RIGHT_HIP]
    return trusted & yardstick[:, None]


def part_confusion(
    parts: Float[Tensor, "n 25 h w"], labels: UInt8[Tensor, "height width"], crops: Crop
) -> Int64[Tensor, "15 15"]:
    """Confusion of predicted parts with a photo's labels, merged to 14, at the pixels inside the picture."""
    found = merge_labels(parts.argmax(1), MERGED)
    rows, columns = (torch.arange(size) * STRIDE + STRIDE / 2 for size in parts.shape[2:])
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).reshape(-1, 2)
    pixels = crops.to_image(grid.expand(len(parts), -1, -1)).reshape(*found.shape, 2)
    height, width = labels.shape
    x, y = pixels.floor().long().unbind(-1)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    true = labels[y.clamp(0, height - 1), x.clamp(0, width - 1)].long()
    known = true < UNKNOWN
    merged = merge_labels(torch.where(known, true, 0), MERGED)
    return metrics.confusion(found, merged, MERGED + 1, inside & known)


def _silhouette_iou(
    vertices: Float[Tensor, "v 3"], faces: Int64[Tensor, "f 3"], camera: Camera, labels: UInt8[Tensor, "h w"]
) -> float:
    height, width = labels.shape
    mesh = rasterize(camera.pixels_depth(vertices)[None], faces, height, width).mask[0]
    person, counted = (labels > 0) & (labels <= UNKNOWN), labels != IGNORE
    union = (mesh | person) & counted
    return float((mesh & person & counted).sum() / union.sum().clamp_min(1))
