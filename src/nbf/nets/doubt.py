"""The doubt network: from what a fitter saw of people -> how wrong its estimate and its 2D joints may be."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nbf.body.joints import MIRROR_COCO17, MIRROR_SMPL24
from nbf.body.parts import MIRROR24
from nbf.nets.fitter import JOINTS, KEYPOINTS, PARTS

POINTS = KEYPOINTS + JOINTS
"""2D detections: COCO's keypoints as the segmenter sees them, then the joints as the fitter finds them."""
MIRROR_POINTS = [*MIRROR_COCO17, *(KEYPOINTS + joint for joint in MIRROR_SMPL24)]
"""The detection that each of them becomes in a mirror."""
PLACE = 3
_JOINT_CLUES, _KEYPOINT_CLUES, _PART_CLUES, _WHOLE_CLUES = 5, 2, 2, 3
# Bounds on log standard deviations: from 0.1 mm-like precision to nothing known.
_LEAST, _MOST = -9.0, 4.0


class Clues(NamedTuple):
    """What tells good estimates from bad ones, for b people; see `nbf.solve.clues`."""

    joints: Float[Tensor, "b 24 5"]
    keypoints: Float[Tensor, "b 17 2"]
    parts: Float[Tensor, "b 24 2"]
    whole: Float[Tensor, "b 3"]

    def mirrored(self) -> "Clues":
        """Of the mirrored pictures."""
        parts = [part - 1 for part in MIRROR24[1:]]
        joints, keypoints = self.joints[:, list(MIRROR_SMPL24)], self.keypoints[:, list(MIRROR_COCO17)]
        return Clues(joints, keypoints, self.parts[:, parts], self.whole)

    def flat(self) -> Float[Tensor, "b n"]:
        """All numbers of a person in a row."""
        return torch.cat([value.flatten(1) for value in self], dim=1)


class Doubts(NamedTuple):
    """Logs of standard deviations. turns: of each joint's frame, radians, about the axes across the line of sight and
    about the line of sight. place: of the pelvis over the crop (crop sides) and of the log scale. betas: of the shape.
    points: of the 2D detections, crop sides."""

    turns: Float[Tensor, "b 24 2"]
    place: Float[Tensor, "b 3"]
    betas: Float[Tensor, "b s"]
    points: Float[Tensor, "b 41"]

    def error(self) -> Float[Tensor, "b p"]:
        """Log deviations of the entries of `nbf.solve.deviation.deviation`."""
        across, along = self.turns.unbind(-1)
        return torch.cat([torch.stack([across, across, along], -1).flatten(1), self.place, self.betas], dim=1)

    def noise(self) -> Float[Tensor, "b 82"]:
        """Log deviations of x and y of every detection."""
        return self.points.repeat_interleave(2, dim=1)

    def mirrored(self) -> "Doubts":
        """Of the mirrored pictures."""
        return Doubts(self.turns[:, list(MIRROR_SMPL24)], self.place, self.betas, self.points[:, MIRROR_POINTS])


class Measurement(NamedTuple):
    """What refined bodies say of shapes: their betas are slope @ betas + offset and noise, |root @ noise| in standard
    deviations. Of those who are not grown yet, and of those who are."""

    slope: Float[Tensor, "2 s s"]
    offset: Float[Tensor, "2 s"]
    root: Float[Tensor, "2 s s"]


class Doubt(nn.Module):
    """A small perceptron for the deviations of each person, and correlations that all people share.

    Errors of an estimate are taken as Gaussian with covariance D C D: D, the standard deviations, is what the
    perceptron says of this person (heteroscedastic regression, Nix & Weigend 1994; Kendall & Gal 2017), C one
    correlation matrix that training leaves here as the inverse of its square root. The same for the noise of 2D
    detections. What bodies that were refined by all this say of shapes is kept here, too.
    """

    clue_mean: Tensor
    clue_spread: Tensor
    usual: Tensor
    error_root: Tensor
    noise_root: Tensor
    joint_noise_root: Tensor
    shape_slope: Tensor
    """Of `Measurement`, as the next two: without keypoints, and with them."""
    shape_offset: Tensor
    shape_root: Tensor
    likely_factor: Tensor
    """What makes the standard deviations of shapes that follow from `Measurement` cover errors as often as they say."""
    joint_factor: Tensor
    """Mean error of a joint's place over the standard deviation that the residuals' curvature gives it."""
    shape_factor: Tensor
    """The same for the standard deviation of shape that the curvature gives."""
    keypoint_factor: Tensor
    """Mean error of a keypoint in the picture over the one that that curvature gives it."""

    def __init__(self, shapes: int, width: int = 96) -> None:
        super().__init__()
        self.arguments = {"shapes": shapes, "width": width}
        self.shapes = shapes
        clues = JOINTS * _JOINT_CLUES + KEYPOINTS * _KEYPOINT_CLUES + (PARTS - 1) * _PART_CLUES + _WHOLE_CLUES
        outputs, freedoms = 2 * JOINTS + PLACE + shapes + POINTS, 3 * JOINTS + PLACE + shapes
        self.first, self.second = nn.Linear(clues, width), nn.Linear(width, width)
        self.head, self.short_cut = nn.Linear(width, outputs), nn.Linear(clues, outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.short_cut.weight)
        self.register_buffer("clue_mean", torch.zeros(clues))
        self.register_buffer("clue_spread", torch.ones(clues))
        self.register_buffer("usual", torch.zeros(outputs))
        self.register_buffer("error_root", torch.eye(freedoms))
        self.register_buffer("noise_root", torch.eye(2 * POINTS))
        self.register_buffer("joint_noise_root", torch.eye(2 * JOINTS))
        self.register_buffer("shape_slope", torch.eye(shapes).expand(2, 2, -1, -1).contiguous())
        self.register_buffer("shape_offset", torch.zeros(2, 2, shapes))
        self.register_buffer("shape_root", torch.eye(shapes).expand(2, 2, -1, -1).contiguous())
        self.register_buffer("likely_factor", torch.ones(()))
        self.register_buffer("joint_factor", torch.ones(()))
        self.register_buffer("shape_factor", torch.ones(()))
        self.register_buffer("keypoint_factor", torch.ones(()))

    def forward(self, clues: Clues) -> Doubts:
        """Log standard deviations, the mean of both ways to look at a person: mirror images are doubted alike."""
        both = self.once(torch.cat([clues.flat(), clues.mirrored().flat()]))
        here, there = (Doubts(*halves) for halves in zip(*(value.chunk(2) for value in both)))
        return Doubts(*((a + b) / 2 for a, b in zip(here, there.mirrored())))

    def measurement(self, with_keypoints: bool) -> Measurement:
        """Of bodies that were refined with keypoints, or by the part map alone."""
        which = int(with_keypoints)
        return Measurement(self.shape_slope[which], self.shape_offset[which], self.shape_root[which])

    def once(self, clues: Float[Tensor, "b c"]) -> Doubts:
        """Of one way to look at people; `Clues.flat`."""
        x = (clues - self.clue_mean) / self.clue_spread
        hidden = F.gelu(self.second(F.gelu(self.first(x))))
        logs = (self.usual + self.head(hidden) + self.short_cut(x)).clamp(_LEAST, _MOST)
        turns, place, betas, points = logs.split((2 * JOINTS, PLACE, self.shapes, POINTS), dim=1)
        return Doubts(turns.unflatten(1, (JOINTS, 2)), place, betas, points)
