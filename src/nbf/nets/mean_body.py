"""What every fitter answers: a body, as residuals to a mean one that it stores."""

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nbf.body.joints import local_rotations, world_rotations
from nbf.body.model import BodyModel
from nbf.geometry.camera import Camera, translation_from_crop_camera
from nbf.geometry.rotations import from_columns, project_to_rotation

JOINTS = 24
# Bound on the residual of log scale: a factor of 12 either way of the mean, so that nobody lands behind the camera.
LOG_SCALE_RANGE = 2.5
# An adult of 1.7 m in a crop 1.2 times their height.
DEFAULT_SCALE = 1.0 / (1.7 * 1.2)
# Someone upright who faces the camera (body y up, camera y down).
UPRIGHT = torch.diag(torch.tensor([1.0, -1.0, -1.0]))


class FitterOutput(NamedTuple):
    """betas: standard deviations. rotations: parent_from_joint, the root's cam_from_body. scale: fraction of the crop's
    side that a metre at the pelvis spans. offset: the pelvis in the crop, -1 the left/top edge, 1 the right/bottom."""

    betas: Float[Tensor, "b s"]
    rotations: Float[Tensor, "b 24 3 3"]
    scale: Float[Tensor, " b"]
    offset: Float[Tensor, "b 2"]


def body_translation(
    body: BodyModel, output: FitterOutput, camera_in_crop: Camera, resolution: int
) -> Float[Tensor, "b 3"]:
    """What `BodyModel.forward` adds last, camera metres. SMPL turns the root about its own joint, which lands at that
    joint plus the translation. `camera_in_crop` is in pixels of the crop, `resolution` of them a side."""
    pelvis = translation_from_crop_camera(output.scale, output.offset, camera_in_crop, resolution)
    return pelvis - body.rest_joints(output.betas)[:, 0]


class MeanBody(nn.Module):
    """A network that answers with residuals to a mean body (Omran et al. 2018, section 3.1): the base of all fitters.

    Rotations are those in the camera frame, which is what a picture shows of a limb, as two columns (Zhou et al. 2019,
    "On the continuity of rotation representations"), and are made relative to their parents afterwards.
    """

    arguments: dict[str, Any]
    mean_betas: Tensor
    mean_rotations: Tensor
    mean_log_scale: Tensor
    mean_offset: Tensor

    def __init__(self, shapes: int) -> None:
        super().__init__()
        self.shapes = shapes
        self.numbers = shapes + JOINTS * 6 + 3
        """Length of a residual."""
        self.register_buffer("mean_betas", torch.zeros(shapes))
        self.register_buffer("mean_rotations", UPRIGHT.repeat(JOINTS, 1, 1))
        self.register_buffer("mean_log_scale", torch.tensor(math.log(DEFAULT_SCALE)))
        self.register_buffer("mean_offset", torch.zeros(2))

    @torch.no_grad()
    def set_mean(
        self,
        betas: Float[Tensor, " s"],
        body_rotations: Float[Tensor, "23 3 3"],
        log_scale: Float[Tensor, ""],
        offset: Float[Tensor, " 2"],
    ) -> None:
        """Store the training mean. The root stays upright, facing the camera: all headings have no mean rotation."""
        self.mean_betas.copy_(betas)
        self.mean_rotations.copy_(
            world_rotations(torch.cat([UPRIGHT.to(betas)[None], project_to_rotation(body_rotations)]))
        )
        self.mean_log_scale.copy_(log_scale)
        self.mean_offset.copy_(offset)

    def camera(self, crop: Camera, resolution: int) -> Camera:
        """The camera before which answers stand, in pixels of crops of a `resolution`: that of the `crop`."""
        return crop

    def body(self, residual: Float[Tensor, "b n"]) -> FitterOutput:
        """The body that residuals stand for."""
        betas, columns, log_scale, offset = residual.split((self.shapes, JOINTS * 6, 1, 2), dim=1)
        log_scale = LOG_SCALE_RANGE * torch.tanh(log_scale[:, 0] / LOG_SCALE_RANGE)
        with torch.autocast(residual.device.type, enabled=False):  # rotations need more than bfloat16's three digits
            world = from_columns(self.mean_rotations[..., :2] + columns.unflatten(1, (JOINTS, 3, 2)))
            local = local_rotations(world)
        return FitterOutput(
            betas=self.mean_betas + betas,
            rotations=local,
            scale=(self.mean_log_scale + log_scale).exp(),
            offset=self.mean_offset + offset,
        )


class Baseline(MeanBody):
    """A network that knows how wrong it is on average, and not in whom: as it was for people it had never seen."""

    joint_error: Tensor
    """(24,) metres, relative to the pelvis."""
    shape_error: Tensor
    """(s,) standard deviations of the errors of betas."""

    def __init__(self, shapes: int) -> None:
        super().__init__(shapes)
        self.register_buffer("joint_error", torch.zeros(JOINTS))
        self.register_buffer("shape_error", torch.ones(shapes))

    @torch.no_grad()
    def set_errors(self, joints: Float[Tensor, " 24"], shape: Float[Tensor, " s"]) -> None:
        """Store how wrong it was."""
        self.joint_error.copy_(joints)
        self.shape_error.copy_(shape)
