"""Spheres within the body's limbs, trunk and head, and which of them must not overlap; see `terms.apart`."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nbf.body.joints import SMPL24
from nbf.body.landmarks import Landmarks
from nbf.body.model import BodyModel

# (joint, joint, share of the way from one to the other) of each sphere, limb by limb.
_TRUNK = (
    ("pelvis", "spine1", 0.0),
    ("pelvis", "left_hip", 0.6),
    ("pelvis", "right_hip", 0.6),
    ("spine1", "spine2", 0.5),
    ("left_hip", "right_shoulder", 0.6),
    ("right_hip", "left_shoulder", 0.6),
    ("spine3", "left_shoulder", 0.5),
    ("spine3", "right_shoulder", 0.5),
    ("neck", "head", 0.0),
    ("neck", "head", 2.0),
)
_ARM = (
    ("elbow", "wrist", 0.0),
    ("elbow", "wrist", 0.35),
    ("elbow", "wrist", 0.7),
    ("wrist", "hand", 0.2),
    ("wrist", "hand", 0.8),
)
_LEG = (
    ("hip", "knee", 0.65),
    ("knee", "ankle", 0.0),
    ("knee", "ankle", 0.35),
    ("knee", "ankle", 0.7),
    ("knee", "ankle", 1.0),
)
# Vertices around a point of the T-posed body, seen from in front, among which are the skin before and behind it.
_AROUND = 10


@dataclass(frozen=True)
class Spheres:
    """n spheres of a body model, each as large as fits inside of the skin, and the m pairs that must stay apart."""

    body: BodyModel
    landmarks: Landmarks
    """Their centres."""
    pairs: Int64[Tensor, "m 2"]

    @classmethod
    def of(cls, body: BodyModel) -> "Spheres":
        """Of trunk and head, forearms and hands, and legs; those of different limbs must stay apart.

        Upper arms and the tops of the thighs have none: they always touch the trunk.
        """
        limbs = [_TRUNK, *(_sided(side, limb) for limb in (_ARM, _LEG) for side in ("left", "right"))]
        spots = [spot for limb in limbs for spot in limb]
        shares = torch.zeros(len(spots), 24).to(body.joint_template)
        for row, (start, end, share) in zip(shares, spots):
            row[SMPL24.index(start)] += 1 - share
            row[SMPL24.index(end)] += share
        bones = Landmarks.keypoints(body, "smpl24").mixed(shares)
        centres = replace(bones, moments=bones.moments + shares[..., None] * _into_the_flesh(bones, body)[:, None])
        limb = torch.tensor([number for number, limb in enumerate(limbs) for _ in limb], device=shares.device)
        return cls(body, centres, (limb[:, None] < limb).nonzero())

    def radii(self, betas: Float[Tensor, "b s"]) -> Float[Tensor, "b n"]:
        """Metres from each centre to the nearest vertex of the T-posed body of these shapes."""
        moments = self.landmarks.moments.sum(1)
        centres = moments + (betas @ self.landmarks.moment_dirs.sum(1).flatten(0, 1).T).unflatten(-1, moments.shape)
        return torch.cdist(centres, self.body.rest_vertices(betas)).amin(-1)


def _sided(side: str, limb: tuple[tuple[str, str, float], ...]) -> tuple[tuple[str, str, float], ...]:
    return tuple((f"{side}_{start}", f"{side}_{end}", share) for start, end, share in limb)


def _into_the_flesh(bones: Landmarks, body: BodyModel) -> Float[Tensor, "n 3"]:
    """From points of the T-posed bones to the middle of the flesh, halfway between the skin before and behind."""
    points = bones.moments.sum(1)
    apart = torch.cdist(points[:, :2].contiguous(), body.template[:, :2].contiguous())
    depth = body.template[apart.topk(_AROUND, largest=False).indices, 2]
    shift = torch.zeros_like(points)
    shift[:, 2] = (depth.amax(1) + depth.amin(1)) / 2 - points[:, 2]
    return shift
