"""Training the segmenter on synthetic people (all labels) and real photos (merged parts and keypoints)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from nbf import losses
from nbf.body.parts import MERGE
from nbf.nets.fitter import FitterInput
from nbf.nets.mirror import in_crop
from nbf.nets.segmenter import STRIDE, Segmenter, SegmenterOutput, decode_keypoints, part_probabilities
from nbf.train.batch import Batch
from nbf.train.drawing import BODY_LABELS
from nbf.train.fitter import FitterTask

# Front and back, and the two sides of the face, are one class each: what a label of a real photo can be trusted with.
TRUSTED_PARTS = 14


@dataclass(frozen=True)
class SegmenterWeights:
    """Weights of the segmenter's losses."""

    parts: float = 1.0
    """Cross entropy of parts, in nats a pixel."""
    keypoints: float = 0.2
    """Divergence of heat maps, in nats a keypoint."""
    surface: float = 1.0
    """L1 of surface coordinates on the person."""
    foreground: float = 2.0
    """How much more a pixel of a person counts than one of the background in the part loss."""
    body: float = 0.0
    """The losses of a fitter that reads the soft map: end to end. Without it no fitter is asked."""


class SegmenterTask:
    """Part, heat-map and surface losses; samples marked `real` are compared after merging parts.

    With a `fitter` also what that makes of people whose bodies are known (`has_body`): its weights stay, and its losses
    reach the segmenter through the soft part map and the keypoints (Omran et al. 2018, section 3: the whole is
    differentiable).
    """

    def __init__(
        self,
        network: Segmenter,
        weights: SegmenterWeights,
        device: torch.device | str,
        fitter: FitterTask | None = None,
    ) -> None:
        self.network = network
        self.weights = weights
        self.fitter = fitter
        self.members = losses.group_members(MERGE[TRUSTED_PARTS]).to(device)

    def losses(self, network: Callable, batch: Batch) -> dict[str, Tensor]:
        output = network(batch["image"])
        parts, keypoints = batch["parts"], batch["keypoints"]
        exact = losses.part_cross_entropy(output.parts, parts)
        merged = losses.merged_part_cross_entropy(output.parts, parts, self.members)
        importance = 1.0 + (self.weights.foreground - 1.0) * (1.0 - parts[:, 0])
        heat = losses.heatmap_cross_entropy(output.keypoints, keypoints[..., :2], STRIDE)
        surface = losses.surface_distance(output.surface, batch["surface"])
        named = {
            "parts": self.weights.parts
            * losses.weighted_mean(losses.keep_real_apart(exact, merged, batch["real"]), importance * ~batch["ignore"]),
            "keypoints": self.weights.keypoints * losses.weighted_mean(heat, keypoints[..., 2]),
            "surface": self.weights.surface * losses.weighted_mean(surface, batch["surface_mask"]),
        }
        if self.fitter is not None:
            named["body"] = self.weights.body * self._body_loss(self.fitter, output, batch["has_body"], batch)
        return named

    @staticmethod
    def _body_loss(fitter: FitterTask, output: SegmenterOutput, rows: Bool[Tensor, " b"], batch: Batch) -> Tensor:
        """The sum of the fitter's losses over some rows, those that have a body."""
        keypoints = in_crop(decode_keypoints(output.keypoints))
        answer, maps = fitter.network(FitterInput(part_probabilities(output)[rows], keypoints[rows]))
        named = fitter.judge(answer, maps, {name: batch[name][rows] for name in BODY_LABELS})
        return torch.stack(list(named.values())).sum()
