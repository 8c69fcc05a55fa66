"""A fitter's estimate as evidence: how likely every other body is, given the estimate and the joints seen in 2D.

Both are noisy measurements of the same body. The estimate's error and the detections' noise are Gaussian with the
covariances of `nbf.nets.doubt`, so the most likely body is where their Mahalanobis distances are least: an extended
Kalman update (Bell & Cathey 1993, "The iterated Kalman filter update as a Gauss-Newton method") of the network's answer
by what it projects to. Errors of one body are correlated, so a wrist seen in 2D also moves the depth of the elbow.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.joints import world_rotations
from nbf.body.landmarks import Landmarks, Placed, place
from nbf.geometry import Camera
from nbf.geometry.products import by_vectors
from nbf.nets.doubt import Doubt, Doubts
from nbf.nets.fitter import KEYPOINTS
from nbf.solve.deviation import WORLD_TURNS, other_slopes, place_and_shape, turn_slopes, turns_between
from nbf.solve.levenberg import Block
from nbf.solve.terms import project


@dataclass(frozen=True)
class Estimate:
    """What networks say of b people, and how sure they are."""

    start: Bodies
    camera: Camera
    """In crop sides (`Crop.camera` of a crop of resolution 1)."""
    error_root: Float[Tensor, "b p p"]
    """Square root U of the precision of the start's error: |U e|^2 is Mahalanobis' distance."""
    points: Landmarks
    """What the detections are of."""
    detections: Float[Tensor, "b n 2"]
    """Crop sides."""
    noise_root: Float[Tensor, "b m m"]
    """The same root for the noise of the detections, x and y in turn (m = 2n); zero where nothing was detected."""

    @classmethod
    def make(
        cls,
        doubt: Doubt,
        doubts: Doubts,
        start: Bodies,
        camera: Camera,
        points: Landmarks,
        detections: Float[Tensor, "b 41 2"],
        with_keypoints: Bool[Tensor, " b"],
    ) -> "Estimate":
        """With the deviations of these people and the correlations of all. Without keypoints the joints count alone."""
        joints_alone = torch.zeros_like(doubt.noise_root)
        joints_alone[2 * KEYPOINTS :, 2 * KEYPOINTS :] = doubt.joint_noise_root
        noise = torch.where(with_keypoints[:, None, None], doubt.noise_root, joints_alone)
        error_root = doubt.error_root * (-doubts.error())[:, None].exp()
        return cls(start, camera, error_root, points, detections, noise * (-doubts.noise())[:, None].exp())

    @cached_property
    def start_world(self) -> Float[Tensor, "b 24 3 3"]:
        """Its `world_rotations`."""
        return world_rotations(self.start.rotations)

    @cached_property
    def start_place_and_shape(self) -> Float[Tensor, "b r"]:
        """Its `place_and_shape`."""
        return place_and_shape(self.start, self.camera)

    @cached_property
    def other_columns(self) -> Float[Tensor, "b p r"]:
        """Of the error's Jacobian those that are not of turns; they are the same everywhere."""
        slopes = other_slopes(self.camera, self.start.freedoms)
        return self.error_root[..., WORLD_TURNS.stop :] * slopes[:, None]

    def error(self, state: Bodies, jacobian: bool = True, world: Float[Tensor, "b 24 3 3"] | None = None) -> Block:
        """How far a body is from the start, in standard deviations of the start's error. `world`: the state's
        `world_rotations`, for who has them already."""
        world = world_rotations(state.rotations) if world is None else world
        turns = turns_between(self.start_world, world)
        away = torch.cat([turns.flatten(1), place_and_shape(state, self.camera) - self.start_place_and_shape], 1)
        columns = None
        if jacobian:
            turned = self.error_root[..., WORLD_TURNS] @ turn_slopes(turns, world)
            columns = torch.cat([turned, self.other_columns], 2)[:, None]
        return Block(by_vectors(self.error_root, away)[:, None], columns)

    def noise(self, seen: Placed) -> Block:
        """How far its points (`self.points` as placed in the camera) project from the detections, in the same unit."""
        pixels = project(seen, self.camera)
        missed = (pixels.points - self.detections).flatten(1)
        columns = None if pixels.jacobian is None else (self.noise_root @ pixels.jacobian.flatten(1, 2))[:, None]
        return Block(by_vectors(self.noise_root, missed)[:, None], columns)

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        """Both."""
        world = world_rotations(state.rotations)
        return [self.error(state, jacobian, world), self.noise(place(self.points, state, jacobian, world))]
