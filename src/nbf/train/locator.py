"""Training the locator on whole pictures with boxes, of synthetic and of real people: from its configuration to its
weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import pad

from nbf import losses
from nbf.data.pack import load_photos
from nbf.nets.locator import Locator, box_iou, boxes_from_distances, cell_centers, decode
from nbf.nets.movenet import load_movenet
from nbf.nets.weights import load_kind
from nbf.synth.crowd import CrowdSampler
from nbf.synth.sampler import Sampler
from nbf.train.batch import Batch, Draw, concatenate, held_out, reused, seeded
from nbf.train.config import DataConfig, LoopConfig
from nbf.train.loop import train
from nbf.train.photo_scenes import MOST_PEOPLE, RealScenes

LABELS = ("image", "boxes", "valid", "ignore")
# Of a validation: score from which a box counts as found, and intersection over union from which it is right.
THRESHOLD, OVERLAP = 0.3, 0.5
# Gaussian of a centre, as a share of the box's side (Liu et al. 2020, "Training-time-friendly network", section 3.2:
# alpha = 0.54, sigma = alpha * side / 6), and its least width in cells.
SIGMA, LEAST_SIGMA = 0.54 / 6.0, 0.6


@dataclass(frozen=True)
class LocatorWeights:
    """Weights of the locator's losses."""

    center: float = 1.0
    """Focal loss of the centre map."""
    box: float = 2.0
    """1 - GIoU of boxes."""
    distance: float = 1.0
    """L1 of log distances, which small boxes need as much as large ones."""


@dataclass(frozen=True)
class LocatorConfig:
    """Train the locator on pictures with several synthetic or real people."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig("locator"))
    data: DataConfig = field(default_factory=DataConfig)
    weights: LocatorWeights = field(default_factory=LocatorWeights)
    pretrained: bool = True
    """Start from MoveNet's weights (tools/bake_movenet.py)."""
    start: Path | None = None
    """Start from this weight file instead."""


def train_locator(config: LocatorConfig) -> Locator:
    """Returns the averaged network. Raises ModelFileError, DataError for missing files."""
    device, data = torch.device(config.loop.device), config.data
    torch.manual_seed(config.loop.seed)
    network = (Locator() if config.start is None else load_kind(config.start, Locator)).to(device)
    if config.pretrained and config.start is None:
        load_movenet(network, data.cache / "multipose.safetensors")
    draw = locator_draw(data, "train", device, Sampler.load(data.cache, "train", device=device))
    test = locator_draw(data, "val", device, Sampler.load(data.cache, "test", device=device))
    batches = held_out(test, data.validation, data.batch)
    source = reused(seeded(draw, config.loop.seed), data.reuse, config.loop.seed)
    task = LocatorTask(network, config.weights)
    return train(task, source, config.loop, lambda average: validate_locator(average, batches))


class LocatorTask:
    """Centre map and boxes: every cell near a centre learns its person's box (as TTFNet).

    Cells in boxes to `ignore` learn nothing of centres, unless they are in somebody's box as well.
    """

    def __init__(self, network: Locator, weights: LocatorWeights) -> None:
        self.network = network
        self.weights = weights

    def losses(self, network: Callable, batch: Batch) -> dict[str, Tensor]:
        output = network(batch["image"])
        boxes, valid = batch["boxes"], batch["valid"]
        heat, owner = center_targets(boxes, valid, output.center.shape[-1])
        focal = losses.center_focal(output.center, heat[:, None])[:, 0]
        index = owner.flatten(1)[..., None].expand(-1, -1, 4)
        true = boxes.gather(1, index)
        predicted = boxes_from_distances(output.box).flatten(2).mT
        near = torch.where(heat > 0.1, heat, 0.0).flatten(1)
        centers = cell_centers(*heat.shape[-2:], device=heat.device).flatten(1).T
        distances = torch.cat([centers - true[..., :2], true[..., 2:] - centers], dim=-1)
        inside = near * (distances > 0).all(-1)
        known = ~inside_any(centers, boxes, batch["ignore"]) | inside_any(centers, boxes, valid)
        logs = (output.box.flatten(2).mT.clamp(min=1e-3).log() - distances.clamp(min=1e-3).log()).abs().mean(-1)
        return {
            "center": self.weights.center * (focal.flatten(1) * known).sum() / valid.sum().clamp(min=1),
            "box": self.weights.box * losses.weighted_mean(losses.box_giou(predicted, true), near),
            "distance": self.weights.distance * losses.weighted_mean(logs, inside),
        }


def inside_any(
    points: Float[Tensor, "p 2"], boxes: Float[Tensor, "b m 4"], chosen: Bool[Tensor, "b m"]
) -> Bool[Tensor, "b p"]:
    """Whether points lie in one of the chosen boxes of each picture."""
    low, high = points >= boxes[:, :, None, :2], points <= boxes[:, :, None, 2:]
    return ((low & high).all(-1) & chosen[..., None]).any(1)


def center_targets(
    boxes: Float[Tensor, "b m 4"], valid: Bool[Tensor, "b m"], size: int
) -> tuple[Float[Tensor, "b size size"], Tensor]:
    """Heat (1 in the cell of each centre, Gaussian around it) and the row (b, size, size) of the box that owns a cell.

    Where people overlap the smaller box owns the cell, as its centre region is the smaller.
    """
    center = (boxes[..., :2] + boxes[..., 2:]) / 2 * size
    sigma = ((boxes[..., 2:] - boxes[..., :2]) * size * SIGMA).clamp(min=LEAST_SIGMA)
    cell = center.floor().clamp(0, size - 1)
    index = torch.arange(size, device=boxes.device, dtype=boxes.dtype)
    column = torch.exp(-0.5 * ((index - cell[..., :1]) / sigma[..., :1]) ** 2)
    row = torch.exp(-0.5 * ((index - cell[..., 1:]) / sigma[..., 1:]) ** 2)
    heat = row[..., :, None] * column[..., None, :] * valid[..., None, None]
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    # Among the boxes that reach a cell noticeably, the smallest; elsewhere the one that reaches it most.
    claim = torch.where(heat > 0.1, 2.0 - area[..., None, None].clamp(max=1.0), heat)
    return heat.amax(1), claim.argmax(1)


def locator_draw(config: DataConfig, split: str, device: torch.device, synthetic: Sampler) -> Draw:
    """Whole pictures with synthetic and with real people; without the pack of real photos synthetic people only."""
    crowd = CrowdSampler(synthetic)
    real = load_photos(config.cache, split)
    count = round(config.batch * config.real) if real is not None else 0
    scenes = RealScenes(real.to(device), synthetic.backgrounds) if real is not None else None

    def draw(seed: int) -> Batch:
        synthetic.generator.manual_seed(seed)
        batches = [_padded(crowd.sample(config.batch - count), MOST_PEOPLE)] if count < config.batch else []
        if scenes is not None and count:
            scene = scenes.sample(count, synthetic.generator)
            batches.append({name: scene[name] for name in LABELS})
        return concatenate(batches)

    return draw


def _padded(crowd: dict[str, Tensor], most: int) -> Batch:
    """Scenes of synthetic people with as many boxes as photos have, none of them to be ignored."""
    more = most - crowd["valid"].shape[1]
    valid = pad(crowd["valid"], (0, more))
    return crowd | {"boxes": pad(crowd["boxes"], (0, 0, 0, more)), "valid": valid, "ignore": torch.zeros_like(valid)}


@torch.no_grad()
def validate_locator(network: Locator, batches: Sequence[Batch]) -> dict[str, float]:
    """`recall` and `precision` of boxes at an intersection over union of OVERLAP, their mean `iou`."""
    hits = people = boxes = 0
    quality = 0.0
    for batch in batches:
        for (found, _), true, valid in zip(
            decode(network(batch["image"]), THRESHOLD), batch["boxes"], batch["valid"], strict=True
        ):
            people += int(valid.sum())
            boxes += len(found)
            if not len(found) or not valid.any():
                continue
            best = box_iou(true[valid].clamp(0, 1), found).amax(1)
            hits += int((best >= OVERLAP).sum())
            quality += best[best >= OVERLAP].sum().item()
    return {
        "recall": round(hits / max(people, 1), 4),
        "precision": round(hits / max(boxes, 1), 4),
        "iou": round(quality / max(hits, 1), 4),
    }
