"""One problem out of the residuals: a picture's evidence, what is known of bodies, and the weights between them."""

import math
from dataclasses import dataclass, replace
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.joints import SMPL24
from nbf.body.landmarks import Landmarks, place
from nbf.body.pose_prior import PosePrior
from nbf.geometry import Camera
from nbf.solve import terms
from nbf.solve.levenberg import Block
from nbf.solve.region import ROBUST, Matches, Region, region_blocks
from nbf.solve.surface import Surface

# Standard deviations of COCO's keypoints against a body in them, in map sides: face, then shoulders, elbows, wrists,
# hips, knees, ankles. Hips are named differently by everyone, face points and limb joints agree best.
_KEYPOINT_SIGMA = torch.tensor([0.012] * 5 + [0.020] * 2 + [0.016] * 4 + [0.030] * 2 + [0.016] * 4)
# Lean of trunk and legs and bend between them, radians; the height of one foot above the other, metres.
_SIGMA_STAND, _SIGMA_LEVEL = (0.14, 0.10, 0.10), 0.04


@dataclass(frozen=True)
class Weights:
    """How much each kind of residual counts; 0 switches it off."""

    keypoints: float = 1.0
    inside: float = 1.0
    """Surface points inside of the region where their part was seen."""
    outline: float = 1.0
    """Outline of the body on the outline of the person."""
    loose: float = 0.4
    """Share of `outline` where the body lies within the outline, as under clothes."""
    pose: float = 1.0
    shape: float = 1.0
    upright: float = 1.0
    """Trunk and legs without lean in depth; for pictures of people who mostly stand."""
    level: float = 1.0
    """Both feet at one height: level ground, level camera."""
    start: float = 0.8
    """Staying near the start, in one over radians a joint; the root is free."""
    hands: float = 5.0
    """The same for the hands, which no evidence moves."""


@dataclass(frozen=True)
class Evidence:
    """What a picture shows of b people, each in a square map of side 1."""

    camera: Camera
    """In map sides (`Crop.camera` of a crop of resolution 1)."""
    keypoints: Float[Tensor, "b 17 3"]
    """COCO-17 (x, y, weight 0..1), map sides."""
    region: Region

    @classmethod
    def of_maps(
        cls,
        camera: Camera,
        keypoints: Float[Tensor, "b 17 3"],
        parts: Float[Tensor, "b 25 h h"],
        unsure: Tensor | None = None,
    ) -> "Evidence":
        """From part probabilities over the map; `unsure` (b, h, h) marks cells that say nothing."""
        return cls(camera, keypoints, Region.of_parts(parts, unsure))

    def __getitem__(self, people: slice | Tensor) -> "Evidence":
        camera = Camera(self.camera.focal[people], self.camera.center[people])
        return Evidence(camera, self.keypoints[people], self.region[people])


@dataclass(frozen=True)
class BodyProblem:
    """Bodies that agree with evidence and are plausible. Use `make`, then `refreshed` before each search."""

    surface: Surface
    points: Landmarks
    """24 joints, COCO's 17, then the surface points: placed together."""
    evidence: Evidence
    mixture: PosePrior
    start: Bodies
    weights: Weights
    pitch: float
    """Radians by which the camera matches down, as far as `upright` and `level` know."""
    matches: Matches | None = None

    @classmethod
    def make(
        cls,
        surface: Surface,
        evidence: Evidence,
        mixture: PosePrior,
        start: Bodies,
        weights: Weights = Weights(),
        keypoints: Landmarks | None = None,
        pitch: float = 0.0,
    ) -> "BodyProblem":
        """`keypoints`: the 17 points of the body that the evidence's keypoints show; its own COCO-17 if None."""
        keypoints = Landmarks.keypoints(surface.body, "coco17") if keypoints is None else keypoints
        points = Landmarks.keypoints(surface.body, "smpl24") + keypoints + surface.landmarks
        return cls(surface, points, evidence, mixture, start, weights, pitch).refreshed(start)

    def refreshed(self, state: Bodies) -> "BodyProblem":
        """The problem with visibility and matches of the outline found anew at a state."""
        given = self.evidence
        return replace(self, matches=Matches.at(state, self.surface, given.camera, given.region, self.weights.loose))

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        """All residuals, in standard deviations."""
        assert self.matches is not None
        given, weights = self.evidence, self.weights
        placed = place(self.points, state, jacobian)
        joints = placed[:24]
        pixels = terms.project(placed[24:], given.camera)
        keypoint_weights = given.keypoints[..., 2] * weights.keypoints / _KEYPOINT_SIGMA.to(pixels.points)
        people = torch.ones(len(state.betas), 1).to(pixels.points)
        down, sight = _gravity(self.pitch).to(people)
        stand = weights.upright / people.new_tensor(_SIGMA_STAND)
        level = weights.level / people.new_tensor([_SIGMA_LEVEL, _SIGMA_LEVEL])
        return [
            terms.points_2d(pixels[:17], given.keypoints[..., :2], keypoint_weights, ROBUST),
            *region_blocks(pixels[17:], given.region, self.matches, weights.inside, weights.outline),
            terms.along(joints.mixed(_posture().to(people)), sight, stand, 1.5),
            terms.along(joints.mixed(_feet().to(people)), down, level, 1.5),
            terms.pose(state, self.mixture, weights.pose, jacobian),
            terms.shape(state, weights.shape, jacobian),
            terms.near_start(state, self.start, _stiffness(weights).to(people), None, jacobian),
        ]


def _sum_of_joints(*rows: dict[str, float]) -> Float[Tensor, "m 24"]:
    matrix = torch.zeros(len(rows), 24)
    for row, factors in zip(matrix, rows):
        for name, factor in factors.items():
            row[SMPL24.index(name)] = factor
    return matrix


@cache
def _posture() -> Float[Tensor, "3 24"]:
    """Of an average adult in units of their length: trunk (0.5 m), legs (0.8 m), and the bend of one from the other."""
    trunk = {"neck": 2.0, "pelvis": -2.0}
    legs = {"pelvis": 1.25, "left_ankle": -0.625, "right_ankle": -0.625}
    bend = {"neck": 2.0, "pelvis": -3.25, "left_ankle": 0.625, "right_ankle": 0.625}
    return _sum_of_joints(trunk, legs, bend)


@cache
def _feet() -> Float[Tensor, "2 24"]:
    """From right ankle and toes to the left ones."""
    return _sum_of_joints({"left_ankle": 1, "right_ankle": -1}, {"left_foot": 1, "right_foot": -1})


def _gravity(pitch: float) -> Float[Tensor, "2 3"]:
    """Down, and the level line of sight, in the frame of a camera that matches down by `pitch` radians."""
    return torch.tensor([[0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]])


def _stiffness(weights: Weights) -> Float[Tensor, " 24"]:
    held = torch.full((24,), weights.start)
    held[0] = 0.0
    held[[SMPL24.index("left_hand"), SMPL24.index("right_hand")]] = weights.hands
    return held
