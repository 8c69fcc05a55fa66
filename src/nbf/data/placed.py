"""Labelled bodies before the camera that sees them."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.model import BodyModel, turn_about_origin
from nbf.data.labelled import BodyLabel
from nbf.geometry import matrix_from_axis_angle


class Placed(NamedTuple):
    """A body before the picture's camera; the fields of `BodyModel.forward`, for one."""

    betas: Float[Tensor, " s"]
    rotations: Float[Tensor, "24 3 3"]
    translation: Float[Tensor, " 3"]


def in_camera(label: BodyLabel, body: BodyModel) -> Placed:
    """A labelled body of the model before the camera, which may have moved in its world.

    The root turns about the pelvis J0, which is not the origin. So with x = R0 (v - J0) + J0 + t for a point v of the
    body, and R x + s in the camera's frame, the root's rotation becomes R R0, and the translation R (J0 + t) + s - J0.

    Args:
        label: the body, in its world. Where nobody knows its place there (not `is_placed`), the world's origin is.
        body: the model that the label means, of that gender. Shape components that it lacks are left out.
    """
    given = torch.from_numpy(np.asarray(label.betas, np.float32))[: body.shape_count]
    betas = torch.cat([given, torch.zeros(body.shape_count - len(given))])
    pose = matrix_from_axis_angle(torch.from_numpy(np.asarray(label.pose, np.float32)))
    moved = torch.from_numpy(np.asarray(label.camera_from_world, np.float32))
    rest = body.rest_joints(betas)[0]
    if label.translation is not None:
        translation = torch.from_numpy(np.asarray(label.translation, np.float32))
    else:
        pelvis = np.zeros(3) if label.pelvis is None else label.pelvis
        translation = torch.from_numpy(np.asarray(pelvis, np.float32)) - rest
    rotations, translation = turn_about_origin(moved[:, :3], rest, pose, translation)
    return Placed(betas, rotations, translation + moved[:, 3])
