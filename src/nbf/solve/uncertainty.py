"""How far off each joint may be, and how much of each body part the picture shows."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.joints import COCO17
from nbf.body.landmarks import Landmarks, Placed, place
from nbf.body.model import BodyModel
from nbf.body.parts import NAMES, merge_labels, merge_probabilities
from nbf.geometry import Camera, Crop
from nbf.raster import rasterize
from nbf.solve.inferred import inferred
from nbf.solve.maps import MERGED
from nbf.solve.terms import project

GUESSED, GUESSED_BY_MAP = 0.45, 0.25
"""Mean of the probability of a part, where the mesh shows it, and of the scores of the keypoints at its ends, below
which its place is a guess; and that probability alone, where nobody looked for keypoints."""
_FACE = "nose", "left_eye", "right_eye", "left_ear", "right_ear"
_TRUNK = "left_shoulder", "right_shoulder", "left_hip", "right_hip"
_LIMB_ENDS = {
    "upper_arm": ("shoulder", "elbow"), "lower_arm": ("elbow", "wrist"), "hand": ("wrist",),
    "upper_leg": ("hip", "knee"), "lower_leg": ("knee", "ankle"), "foot": ("ankle",),
}  # fmt: skip


def _ends(part: str) -> tuple[str, ...]:
    """Names of the keypoints at the ends of one of the 14 parts."""
    if part in ("head", "torso"):
        return _FACE if part == "head" else _TRUNK
    side, limb = part.split("_", 1)
    return tuple(f"{side}_{joint}" for joint in _LIMB_ENDS[limb])


_ENDS = torch.tensor([[(name in ends) / len(ends) for name in COCO17] for ends in map(_ends, NAMES[MERGED][1:])])


def joint_sigmas(joints: Landmarks, state: Bodies, covariance: Float[Tensor, "b p p"]) -> Float[Tensor, "b n"]:
    """Standard deviation in metres of each joint's place relative to the pelvis (joint 0): root of the trace of its
    3x3 covariance, by linear propagation of the covariance of a step of the state."""
    return placed_sigmas(place(joints, state), covariance)


def placed_sigmas(joints: Placed, covariance: Float[Tensor, "b p p"]) -> Float[Tensor, "b n"]:
    """The same of joints as they are placed."""
    assert joints.jacobian is not None
    relative = joints.jacobian - joints.jacobian[:, :1]
    spread = (relative.flatten(1, 2) @ covariance).view_as(relative) * relative
    return spread.sum((-2, -1)).clamp_min(0).sqrt()


def pixel_covariances(
    points: Landmarks, state: Bodies, camera: Camera, covariance: Float[Tensor, "b p p"]
) -> Float[Tensor, "b n 2 2"]:
    """Covariance of each point's place in the picture, in the camera's unit squared, by linear propagation likewise."""
    jacobian = project(place(points, state), camera).jacobian
    assert jacobian is not None
    return (jacobian.flatten(1, 2) @ covariance).view_as(jacobian) @ jacobian.mT


@dataclass(frozen=True)
class PartVisibility:
    """What the picture shows of each of the 14 merged parts (`nbf.body.parts`) of b bodies."""

    cells: Float[Tensor, "b 14"]
    """Cells of the part map on which the mesh shows the part; 0 where the body itself hides it."""
    seen: Float[Tensor, "b 14"]
    """Mean probability of that part there, 0 to 1; nan without cells."""
    cut: Float[Tensor, "b 14"]
    """Share of them beyond the edge of the photo; nan without cells. What is neither seen nor cut is hidden."""
    entropy: Float[Tensor, "b 14"]
    """How unsure the map is there of what it sees, in nats; nan without cells."""
    ends: Float[Tensor, "b 14"]
    """Mean score of the keypoints at the part's ends; nan where nobody looked for any."""

    def guessed(self) -> Bool[Tensor, "b 14"]:
        """Parts of which the picture shows little, or nothing at all."""
        shown = torch.where(self.ends.isnan(), self.seen >= GUESSED_BY_MAP, (self.seen + self.ends) / 2 >= GUESSED)
        return ~shown


@inferred
def part_visibility(
    body: BodyModel,
    vertices: Float[Tensor, "b v 3"],
    camera: Camera,
    parts: Float[Tensor, "b 25 h h"],
    scores: Float[Tensor, "b 17"],
    beyond: Bool[Tensor, "b h h"],
) -> PartVisibility:
    """Compare bodies, by their vertices in camera metres, with part maps. `camera` is in crop sides; `scores` are those
    of the keypoints, all 0 where nobody looked; `beyond` marks cells outside of the photo."""
    side = parts.shape[-1]
    drawn = rasterize(camera.scaled(side).pixels_depth(vertices), body.faces, side, side)
    labels = torch.where(drawn.mask, body.face_parts[drawn.face.clamp_min(0)], 0)
    labels = merge_labels(labels, MERGED).flatten()
    # Of the cells, only those that show the mesh.
    at = labels.nonzero()[:, 0]
    person, cell, label = at // side**2, at % side**2, labels[at]
    probabilities = merge_probabilities(parts.flatten(2)[person, :, cell][..., None, None], MERGED)[..., 0, 0]
    inside = 1 - beyond.flatten()[at].to(parts)
    seen = probabilities.gather(1, label[:, None])[:, 0] * inside
    entropy = torch.special.entr(probabilities).sum(1)
    each = torch.stack([torch.ones_like(inside), seen, 1 - inside, entropy], 1)
    sums = parts.new_zeros(len(parts) * (MERGED + 1), 4).index_add_(0, person * (MERGED + 1) + label, each)
    cells, seen, cut, entropy = sums.view(-1, MERGED + 1, 4)[:, 1:].unbind(-1)
    ends = torch.where((scores > 0).any(1, keepdim=True), scores @ _ENDS.to(scores).T, torch.nan)
    return PartVisibility(cells, seen / cells, cut / cells, entropy / cells, ends)


def cells_beyond(crops: Crop, side: int, width: int, height: int) -> Bool[Tensor, "b {side} {side}"]:
    """Cells of the crops' maps (`side` cells across) whose centres lie beyond a picture of width x height pixels."""
    grid = (torch.arange(side) + 0.5) / side
    x = crops.center[:, :1] + (grid - 0.5) * crops.size[:, None]
    y = crops.center[:, 1:] + (grid - 0.5) * crops.size[:, None]
    return ((x < 0) | (x > width))[:, None, :] | ((y < 0) | (y > height))[:, :, None]
