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
    """A labelled body of the model before the camera, which may have moved in its world."""
    betas = torch.from_numpy(np.asarray(label.betas, np.float32))
    pose = matrix_from_axis_angle(torch.from_numpy(np.asarray(label.pose, np.float32)))
    moved = torch.from_numpy(np.asarray(label.camera_from_world, np.float32))
    rest = body.rest_joints(betas)[0]
    translation = torch.from_numpy(np.asarray(label.translation, np.float32))
    rotations, translation = turn_about_origin(moved[:, :3], rest, pose, translation)
    return Placed(betas, rotations, translation + moved[:, 3])
