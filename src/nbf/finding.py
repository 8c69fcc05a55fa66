"""Who is in a picture: people located and looked at, then who else is there once those are painted over."""

import logging
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.geometry import Camera, Crop
from nbf.locate import framed, locate
from nbf.nets.locator import OVERLAP, box_iou, suppress, survivors
from nbf.proxy.overlapping import Image, covered, without
from nbf.proxy.proxy import Crops, Proxy, in_picture, seen_joints, silhouette, stacked
from nbf.questions import Line, See
from nbf.suppression import CANDIDATE, alike, probability

log = logging.getLogger(__name__)

LOOKS = 2
"""How often a picture is looked at again at most."""

SHOWN = 0.3
"""Of the pixels of somebody new, the share that is not those of others, who are painted over."""


@dataclass(frozen=True)
class Candidates:
    """n people that there may be."""

    boxes: Float[Tensor, "n 4"]
    """Pixels of the picture."""
    located: Float[Tensor, " n"]
    """Scores of the locator."""
    scores: Float[Tensor, " n"]
    """Probability of being a person."""
    seen: Proxy
    height: int
    """Of the picture, pixels."""

    @classmethod
    def of(
        cls, image: Image, camera: Camera, boxes: Float[Tensor, "n 4"], located: Float[Tensor, " n"]
    ) -> "Line[Candidates]":
        """Looked at, surest first."""
        seen = yield See(Crops.of(image, camera, framed(boxes, image.shape[1])))
        scores, order = probability(located, seen).sort(descending=True, stable=True)
        return cls(boxes[order], located[order], scores, seen[order], image.shape[1])

    def __getitem__(self, some: Tensor) -> "Candidates":
        return Candidates(self.boxes[some], self.located[some], self.scores[some], self.seen[some], self.height)

    def __add__(self, other: "Candidates") -> "Candidates":
        boxes, located, scores = (
            torch.cat([getattr(self, name), getattr(other, name)]) for name in ("boxes", "located", "scores")
        )
        return Candidates(boxes, located, scores, stacked(self.seen, other.seen), self.height)

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def crops(self) -> Crop:
        return framed(self.boxes, self.height)

    @property
    def parts(self) -> Float[Tensor, "n 25 h h"]:
        assert self.seen.parts is not None  # as predictors see them
        return self.seen.parts

    def shown(self, mask: Tensor) -> Float[Tensor, " n"]:
        """The share of each person's pixels that a mask of the picture, 0 or 255, leaves."""
        crops, person = self.crops, silhouette(self.parts)
        left = 1 - Crop(crops.center, crops.size, person.shape[-1]).sample(mask)[:, 0]
        return (person * left).sum((1, 2)) / person.sum((1, 2))

    @property
    def keypoints(self) -> Float[Tensor, "n 17 3"]:
        return in_picture(seen_joints(self.seen), self.crops)


def find(image: Image, camera: Camera, min_score: float) -> Line[Candidates]:
    """Everybody in a picture taken by `camera` who is a person with at least this probability, surest first, nobody
    twice.

    A look at a crop shows one person. Of two who hide each other both crops may show the same one, or there is but one
    box. So whoever was found is painted over, and others are looked for in what is left, as long as somebody more is
    found (`LOOKS`). Where there was one candidate only, nobody looks again.
    """
    least = min(CANDIDATE, min_score)
    boxes, located = yield from locate(image, least)
    candidates = yield from Candidates.of(image, camera, boxes, located)
    found, others = _split(candidates, min_score)
    for _ in range(LOOKS if len(found) and len(candidates) > 1 else 0):
        mask = covered(image, found.parts, found.crops)
        left = without(image, mask, found.crops)
        boxes, located = yield from locate(left, least)
        located, order = torch.cat([located, others.located]).sort(descending=True, stable=True)
        boxes = torch.cat([boxes, others.boxes])[order]
        # Whose crop shows nobody who was painted over looks as before.
        beside = framed(boxes, image.shape[1]).sample(mask).flatten(1).any(1)
        once = suppress(boxes, OVERLAP) & beside
        again = yield from Candidates.of(left, camera, boxes[once], located[once])
        same = alike(again.keypoints, found.keypoints) | (box_iou(again.boxes, found.boxes) > OVERLAP)
        new = (again.shown(mask) >= SHOWN) & ~same.any(1)
        more, others = _split(again[new], min_score)
        if not len(more):
            break
        found = found + more
    log.info("%d candidates, %d people", len(candidates), len(found))
    return found[found.scores.sort(descending=True, stable=True).indices]


def _split(candidates: Candidates, min_score: float) -> tuple[Candidates, Candidates]:
    """Those who are likely people, each once; and the rest. Of several who were seen alike it is who is surely in their
    own box: the box of the others is somebody else's."""
    points = candidates.keypoints[..., :2]
    around = torch.cat([points.amin(1), points.amax(1)], 1)
    fit = candidates.scores * box_iou(candidates.boxes, around).diagonal()
    order = fit.masked_fill(candidates.scores < min_score, -1).sort(descending=True, stable=True).indices
    order = order[: int((candidates.scores >= min_score).sum())]
    likely = candidates.keypoints[order]
    stays = torch.zeros_like(fit, dtype=torch.bool)
    stays[order] = survivors(alike(likely, likely))
    return candidates[stays], candidates[~stays]
