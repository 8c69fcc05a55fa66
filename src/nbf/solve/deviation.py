"""How far a body is from another one, as one vector: turns seen by the camera, place in the crop, shape.

What a single picture shows well and badly differs by direction: turns about the line of sight are plain to see, those
about the picture's axes are guesses, and limbs of one body err together. So errors of an estimate are counted in the
camera's frame, where they can have one covariance for all poses.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.anatomy import inverse_right_jacobian
from nbf.body.bodies import PLACE, SHAPE_START, Bodies
from nbf.body.joints import MIRROR_SMPL24, world_rotations
from nbf.body.landmarks import ancestry
from nbf.geometry import Camera
from nbf.geometry.quaternions import quaternion_from_matrix, rotation_vector

WORLD_TURNS = slice(0, 72)
"""Entries of a deviation: rotation vectors (radians, camera axes) that turn each joint's frame in the camera."""
CROP_PLACE = slice(72, 75)
"""Entries of a deviation: how far the pelvis moves over the crop (x, y in crop sides), and the log of its scale."""


def deviation(start: Bodies, state: Bodies, camera: Camera) -> Float[Tensor, "b p"]:
    """From `start` to `state`: 72 turns, 3 of place, then the change of the betas; zero where they are the same.

    `camera` is in crop sides (`Crop.camera` of a crop of resolution 1).
    """
    turns = rotation_vector(
        quaternion_from_matrix(world_rotations(state.rotations) @ world_rotations(start.rotations).mT)
    )
    here, there = state.pelvis, start.pelvis
    moved = (here[:, :2] / here[:, 2:] - there[:, :2] / there[:, 2:]) * camera.focal[:, None]
    scale = (there[:, 2:] / here[:, 2:]).log()
    return torch.cat([turns.flatten(1), moved, scale, state.betas - start.betas], dim=1)


def deviation_jacobian(start: Bodies, state: Bodies, camera: Camera) -> Float[Tensor, "b p p"]:
    """Derivative of `deviation` by a step of `state` (`Bodies.moved`).

    A turn d of joint a about its own axes turns every frame below it by W_a d in the camera's frame.
    """
    world = world_rotations(state.rotations)
    turns = rotation_vector(quaternion_from_matrix(world @ world_rotations(start.rotations).mT))
    count, freedoms = len(world), state.freedoms
    jacobian = torch.zeros(count, freedoms, freedoms).to(world)
    below = torch.einsum("bjyx,bayz,ja->bjxaz", inverse_right_jacobian(turns), world, ancestry(world))
    jacobian[:, WORLD_TURNS, WORLD_TURNS] = below.reshape(count, 72, 72)
    place = PLACE.start
    jacobian[:, place, place] = jacobian[:, place + 1, place + 1] = camera.focal
    jacobian[:, place + 2, place + 2] = -1
    shape = torch.arange(SHAPE_START, freedoms)
    jacobian[:, shape, shape] = 1
    return jacobian


def mirror_deviation(error: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
    """The deviation between the mirror images of both bodies."""
    turns = error[:, WORLD_TURNS].unflatten(1, (24, 3))[:, list(MIRROR_SMPL24)] * error.new_tensor([1.0, -1.0, -1.0])
    place = error[:, CROP_PLACE] * error.new_tensor([-1.0, 1.0, 1.0])
    return torch.cat([turns.flatten(1), place, error[:, CROP_PLACE.stop :]], dim=1)
