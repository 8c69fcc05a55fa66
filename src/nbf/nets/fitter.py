"""The fitter: a part map -> the body's shape, pose and place in the crop."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nbf.body.joints import local_rotations, world_rotations
from nbf.geometry.rotations import project_to_rotation
from nbf.nets.blocks import ConvNorm, ResidualBlock

PARTS, JOINTS = 25, 24
INPUT_SIZE = 64
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


class Fitter(nn.Module):
    """ResNet-18-like network on the part probabilities at 64 px; regresses residuals to a stored mean body.

    Omran et al. 2018, "Neural Body Fitting", section 3.1: a residual network, outputs added to the training mean, every
    rotation projected to SO(3) by SVD (here with determinant +1). Unlike theirs, the rotations that come out of the
    layers are in the camera frame, which is what a part map shows of a limb; they are made relative to their parents
    afterwards. And the last feature map keeps its layout: a thin flattened copy joins the average pool, because where a
    part lies is what pose is read from.
    """

    mean_betas: Tensor
    mean_rotations: Tensor
    mean_log_scale: Tensor
    mean_offset: Tensor

    def __init__(self, shapes: int, widths: Sequence[int] = (64, 128, 256, 288), hidden: int = 512) -> None:
        super().__init__()
        self.arguments = {"shapes": shapes, "widths": list(widths), "hidden": hidden}
        self.shapes = shapes
        self.stem = nn.Sequential(
            ConvNorm(PARTS, 32, activation=nn.ReLU(inplace=True)),
            ConvNorm(32, widths[0], stride=2, activation=nn.ReLU(inplace=True)),
        )
        stages: list[nn.Module] = []
        inputs = widths[0]
        for index, width in enumerate(widths):
            stages += [ResidualBlock(inputs, width, stride=1 if index == 0 else 2), ResidualBlock(width, width)]
            inputs = width
        self.stages = nn.Sequential(*stages)
        thin, cells = 48, (INPUT_SIZE // 2 ** len(widths)) ** 2
        self.thin = ConvNorm(inputs, thin, 1, activation=nn.ReLU(inplace=True))
        self.hidden = nn.Sequential(nn.Linear(inputs + thin * cells, hidden), nn.ReLU(inplace=True))
        self.head = nn.Linear(hidden, shapes + JOINTS * 9 + 3)
        # Training starts at the mean body: small residuals keep the projection away from its singular set.
        nn.init.normal_(self.head.weight, std=0.002)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("mean_betas", torch.zeros(shapes))
        self.register_buffer("mean_rotations", UPRIGHT.repeat(JOINTS, 1, 1))
        self.register_buffer("mean_log_scale", torch.tensor(DEFAULT_SCALE).log())
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

    def forward(self, proxy: Float[Tensor, "b 25 64 64"]) -> FitterOutput:
        x = self.stages(self.stem(proxy))
        features = torch.cat([x.mean((-2, -1)), self.thin(x).flatten(1)], dim=1)
        residual = self.head(self.hidden(features)).float()
        betas, rotations, log_scale, offset = residual.split((self.shapes, JOINTS * 9, 1, 2), dim=1)
        log_scale = LOG_SCALE_RANGE * torch.tanh(log_scale[:, 0] / LOG_SCALE_RANGE)
        with torch.autocast(residual.device.type, enabled=False):  # rotations need more than bfloat16's three digits
            world = project_to_rotation(self.mean_rotations + rotations.unflatten(1, (JOINTS, 3, 3)))
            local = local_rotations(world)
        return FitterOutput(
            betas=self.mean_betas + betas,
            rotations=local,
            scale=(self.mean_log_scale + log_scale).exp(),
            offset=self.mean_offset + offset,
        )
