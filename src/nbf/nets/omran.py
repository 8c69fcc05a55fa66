"""Colour-coded part map -> body: the fitter of the paper itself (Omran et al. 2018, sections 3.1 and 3.2)."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nbf.body.joints import local_rotations
from nbf.geometry.camera import Camera, crop_camera_from_translation
from nbf.geometry.rotations import project_to_rotation
from nbf.nets.blocks import ConvNorm
from nbf.nets.mean_body import JOINTS, LOG_SCALE_RANGE, Baseline, FitterOutput

CameraKind = Literal["fixed", "perspective"]
PLACE = (-0.01, 0.115, 20.3)
"""Metres: where the paper's fixed camera has everybody (its released code, experiments/config/demo_up)."""
_EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a short cut (He et al. 2016, "Deep residual learning", figure 5), the stride in
    the 3x3 one."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = _EXPANSION * width
        self.path = nn.Sequential(
            ConvNorm(inputs, width, 1, activation=nn.ReLU(inplace=True)),
            ConvNorm(width, width, stride=stride, activation=nn.ReLU(inplace=True)),
            ConvNorm(width, outputs, 1),
        )
        same = inputs == outputs and stride == 1
        self.short_cut = nn.Identity() if same else ConvNorm(inputs, outputs, 1, stride=stride)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        return F.relu(self.path(x) + self.short_cut(x))


class Omran(Baseline):
    """ResNet-50, average pooling and one linear layer, whose answer is added to the training mean.

    It answers with 10 numbers of shape (or as many as the body has) and the 24 rotation matrices in the camera's frame,
    each made a rotation by the singular value decomposition. With the `fixed` camera of the paper, 5000 px for a
    picture of 512, everybody stands at PLACE, and how large somebody is in the crop is for the shape to say. With
    `perspective`, three more numbers say where the person is before the crop's true camera.
    """

    def __init__(
        self, shapes: int, camera: CameraKind = "fixed", blocks: Sequence[int] = (3, 4, 6, 3), width: int = 64
    ) -> None:
        """`blocks` of each stage and `width` of the first are those of ResNet-50."""
        super().__init__(shapes)
        self.arguments = {"shapes": shapes, "camera": camera, "blocks": list(blocks), "width": width}
        self.fixed = camera == "fixed"
        self.numbers = shapes + JOINTS * 9 + (0 if self.fixed else 3)
        stem = ConvNorm(3, width, 7, stride=2, activation=nn.ReLU(inplace=True))
        layers: list[nn.Module] = [stem, nn.MaxPool2d(3, 2, 1)]
        inputs = width
        for stage, count in enumerate(blocks):
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                layers.append(Bottleneck(inputs, width << stage, stride))
                inputs = _EXPANSION * (width << stage)
        self.encoder = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, self.numbers)
        nn.init.normal_(self.head.weight, std=0.002)
        nn.init.zeros_(self.head.bias)

    def forward(self, colours: Float[Tensor, "b 3 h w"]) -> FitterOutput:
        return self.body(self.head(self.encoder(colours).mean((-2, -1))).float())

    def body(self, residual: Float[Tensor, "b n"]) -> FitterOutput:
        betas, matrices, place = residual.split((self.shapes, JOINTS * 9, self.numbers - self.shapes - JOINTS * 9), 1)
        with torch.autocast(residual.device.type, enabled=False):
            world = project_to_rotation(self.mean_rotations + matrices.unflatten(1, (JOINTS, 3, 3)))
            local = local_rotations(world)
        if self.fixed:
            scale, offset = crop_camera_from_translation(betas.new_tensor(PLACE), Camera.nbf(1).to(betas.device), 1)
            scale, offset = scale.expand(len(betas)), offset.expand(len(betas), 2)
        else:
            scale = (self.mean_log_scale + LOG_SCALE_RANGE * torch.tanh(place[:, 0] / LOG_SCALE_RANGE)).exp()
            offset = self.mean_offset + place[:, 1:]
        return FitterOutput(self.mean_betas + betas, local, scale, offset)

    def camera(self, crop: Camera, resolution: int) -> Camera:
        """That of the crop, or the paper's, which is the same for every crop."""
        return Camera.nbf(resolution).to(crop.center.device) if self.fixed else crop
