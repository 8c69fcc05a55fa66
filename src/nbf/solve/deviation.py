"""How far a body is from another one, as one vector: turns seen by the camera, place in the crop, shape.

What a single picture shows well and badly differs by direction: turns about the line of sight are plain to see, those
about the picture's axes are guesses, and limbs of one body err together. So errors of an estimate are counted in the
camera's frame, where they can have one covariance for all poses.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.anatomy import inverse_right_jacobian
from nbf.body.bodies import PLACE, Bodies
from nbf.body.joints import MIRROR_SMPL24, ancestry, world_rotations
from nbf.geometry import Camera
from nbf.geometry.quaternions import quaternion_from_matrix, rotation_vector

WORLD_TURNS = slice(0, 72)
"""Entries of a deviation: rotation vectors (radians, camera axes) that turn each joint's frame in the camera."""
CROP_PLACE = slice(72, 75)
"""Entries of a deviation: how far the pelvis moves over the crop (x, y in crop sides), and the log of its scale."""

_BELOW = ancestry(torch.ones(())).repeat_interleave(3, 0).repeat_interleave(3, 1)


def deviation(start: Bodies, state: Bodies, camera: Camera) -> Float[Tensor, "b p"]:
    """From `start` to `state`: 72 turns, 3 of place, then the change of the betas; zero where they are the same.

    `camera` is in crop sides (`Crop.camera` of a crop of resolution 1).
    """
    turns = turns_between(world_rotations(start.rotations), world_rotations(state.rotations))
    return torch.cat([turns.flatten(1), place_and_shape(state, camera) - place_and_shape(start, camera)], dim=1)


def turns_between(start: Float[Tensor, "b 24 3 3"], world: Float[Tensor, "b 24 3 3"]) -> Float[Tensor, "b 24 3"]:
    """The first entries of a deviation, from the `world_rotations` of both."""
    return rotation_vector(quaternion_from_matrix(world @ start.mT))


def place_and_shape(state: Bodies, camera: Camera) -> Float[Tensor, "b r"]:
    """What its other entries are differences of: the pelvis' place in the crop, the log of its scale, the betas."""
    across, depth = state.pelvis[:, :2] * camera.focal[:, None], state.pelvis[:, 2:]
    return torch.cat([across / depth, -depth.log(), state.betas], dim=1)


def turn_slopes(turns: Float[Tensor, "b 24 3"], world: Float[Tensor, "b 24 3 3"]) -> Float[Tensor, "b 72 72"]:
    """Derivative of a deviation's turns by those of a step (`Bodies.moved`) of a state with these `world_rotations`.

    A turn d of joint a about its own axes turns every frame below it by W_a d in the camera's frame.
    """
    own = inverse_right_jacobian(turns).mT.flatten(1, 2)
    return own @ world.transpose(1, 2).flatten(2) * _BELOW.to(world)


def other_slopes(camera: Camera, freedoms: int) -> Float[Tensor, "b r"]:
    """Derivative of a deviation's other entries, each by the entry of a step that it alone depends on."""
    slopes = camera.focal.new_ones(len(camera.focal), freedoms - PLACE.start)
    slopes[:, :2], slopes[:, 2] = camera.focal[:, None], -1
    return slopes


def mirror_deviation(error: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
    """The deviation between the mirror images of both bodies."""
    turns = error[:, WORLD_TURNS].unflatten(1, (24, 3))[:, list(MIRROR_SMPL24)] * error.new_tensor([1.0, -1.0, -1.0])
    place = error[:, CROP_PLACE] * error.new_tensor([-1.0, 1.0, 1.0])
    return torch.cat([turns.flatten(1), place, error[:, CROP_PLACE.stop :]], dim=1)
