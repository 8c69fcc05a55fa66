"""Joints in space, as motion capture labels them -> a body: likely poses and shapes near the joints."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.joints import COCO17, SMPL24
from nbf.body.landmarks import Landmarks, place
from nbf.body.model import BodyModel
from nbf.body.pose_prior import PosePrior
from nbf.solve import terms
from nbf.solve.levenberg import Block, solve
from nbf.solve.lifting.body import pointed

NAMES = (*SMPL24, "head_top", *COCO17[:5])
"""What may be labelled: SMPL's joints, the crown of the head, and nose, eyes and ears."""
SIGMA, ROBUST = 0.02, 3.0
"""Metres by which labelled joints and those of a body may differ, and beyond how many of these they count less: each
data set has its own idea of where a hip is."""
LEAST = 8
"""Labelled joints, hips and shoulders among them, from which a body is fitted."""
_HEADS = 2.0  # how many sigmas a crown counts as one
_STEPS = (10, 40)
_AHEAD = 5.0
_SHAPE, _POSE = 1.0, 1.0


class FromJoints:
    """Fits a body to labelled joints; hands, feet and twists that these do not tell are likely ones."""

    def __init__(self, body: BodyModel) -> None:
        self.body, self.prior = body, PosePrior.load()
        face = Landmarks.keypoints(body, "coco17").mixed(torch.eye(len(COCO17))[:5])
        crown = Landmarks.keypoints(body, "lsp14").mixed(torch.eye(14)[13:])
        self.points = Landmarks.keypoints(body, "smpl24") + crown + face

    @torch.no_grad()
    def __call__(
        self, joints: Float[Tensor, "b 30 3"], weights: Float[Tensor, "b 30"]
    ) -> tuple[Float[Tensor, "b s"], Float[Tensor, "b 24 3 3"], Float[Tensor, "b 3"], Float[Tensor, " b"]]:
        """Betas, rotations, translations and the mean distance of labelled joints that is left.

        Args:
            joints: NAMES in the camera's frame, metres.
            weights: 0 where one is not labelled; hips and shoulders must be.
        """
        hips = joints[:, [SMPL24.index("left_hip"), SMPL24.index("right_hip")]].mean(1, keepdim=True)
        ahead = joints.new_tensor([0.0, 0.0, _AHEAD])
        moved = joints - hips + ahead
        betas = joints.new_zeros(len(joints), self.body.shape_count)
        rotations = pointed(self.body.rest_joints(betas), _filled(moved, weights))
        state = Bodies(betas, rotations, ahead.expand(len(joints), 3))
        for stiff, steps in zip((True, False), _STEPS):
            state, _ = solve(_Labelled(self.points, moved, weights, self.prior, state, stiff), state, steps=steps)
        state = state.orthonormal()
        distance = (place(self.points, state, jacobian=False).points - moved).norm(dim=-1)
        left = (distance * (weights > 0)).sum(1) / (weights > 0).sum(1).clamp_min(1)
        rest = self.body.rest_joints(state.betas)[:, 0]
        return state.betas, state.rotations, state.pelvis - rest + hips[:, 0] - ahead, left


@dataclass(frozen=True)
class _Labelled:
    points: Landmarks
    joints: Float[Tensor, "b 30 3"]
    weights: Float[Tensor, "b 30"]
    prior: PosePrior
    start: Bodies
    stiff: bool
    """Keep near the start's pose, so that place and size come first."""

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        weights = self.weights / SIGMA
        weights = torch.cat([weights[:, :24], weights[:, 24:] / _HEADS], 1)
        near = torch.full((24,), 3.0 if self.stiff else 0.0).to(weights)
        return [
            terms.points_3d(place(self.points, state, jacobian), self.joints, weights, ROBUST),
            terms.pose(state, self.prior, _POSE, jacobian),
            terms.shape(state, _SHAPE, jacobian),
            terms.near_start(state, self.start, near, None, jacobian),
        ]


def _filled(joints: Float[Tensor, "b 30 3"], weights: Float[Tensor, "b 30"]) -> Float[Tensor, "b 24 3"]:
    """SMPL's joints, those between and beyond the labelled ones guessed along lines: for directions of bones."""
    index = {name: place for place, name in enumerate(SMPL24)}
    found = joints[:, :24].clone()
    there = weights[:, :24] > 0

    def put(name: str, value: Tensor) -> None:
        place = index[name]
        found[:, place] = torch.where(there[:, place, None], found[:, place], value)

    hips, shoulders = (
        (found[:, index[f"left_{name}"]] + found[:, index[f"right_{name}"]]) / 2 for name in ("hip", "shoulder")
    )
    trunk = shoulders - hips
    for name, share in (("pelvis", 0.0), ("spine1", 0.25), ("spine2", 0.5), ("spine3", 0.7), ("neck", 1.0)):
        put(name, hips + share * trunk)
    crown = torch.where(weights[:, 24:25] > 0, joints[:, 24], shoulders + 0.6 * trunk)
    put("head", found[:, index["neck"]] + 0.5 * (crown - found[:, index["neck"]]))
    across = found[:, index["left_hip"]] - found[:, index["right_hip"]]
    forward = torch.nn.functional.normalize(torch.linalg.cross(across, trunk), dim=-1)
    for side in ("left", "right"):
        put(f"{side}_collar", shoulders + 0.3 * (found[:, index[f"{side}_shoulder"]] - shoulders))
        for joint, before, straight in (
            ("knee", "hip", -0.8 * trunk),
            ("ankle", "knee", -0.8 * trunk),
            ("foot", "ankle", 0.25 * forward * trunk.norm(dim=-1, keepdim=True)),
            ("elbow", "shoulder", -0.5 * trunk),
            ("wrist", "elbow", -0.5 * trunk),
            ("hand", "wrist", -0.1 * trunk),
        ):
            put(f"{side}_{joint}", found[:, index[f"{side}_{before}"]] + straight)
    return found
