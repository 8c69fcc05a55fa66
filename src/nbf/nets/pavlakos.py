"""Joints -> pose, silhouette -> shape, by two networks (Pavlakos et al. 2018, "Learning to estimate 3D human pose and
shape from a single color image", section 3.2)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nbf.nets.blocks import ConvNorm
from nbf.nets.fitter import KEYPOINTS, PerceptronBlock
from nbf.nets.mean_body import Baseline, FitterOutput

WIDTHS = (16, 32, 64, 96, 128)


class Pavlakos(Baseline):
    """PosePrior and ShapePrior of the paper.

    Pose, and the camera, come from the places of the joints and how sure they are, by a perceptron of residual blocks;
    shape from the silhouette, by five convolutions, each with a max pool behind it, and a hidden layer.
    """

    def __init__(self, shapes: int, width: int = 384, blocks: int = 2, hidden: int = 256) -> None:
        super().__init__(shapes)
        self.arguments = {"shapes": shapes, "width": width, "blocks": blocks, "hidden": hidden}
        self.pose = nn.Sequential(
            nn.Linear(KEYPOINTS * 3, width),
            *(PerceptronBlock(width) for _ in range(blocks)),
            nn.LayerNorm(width),
            nn.Linear(width, self.numbers - shapes),
        )
        layers: list[nn.Module] = []
        for inputs, outputs in zip((1, *WIDTHS), WIDTHS):
            layers += [ConvNorm(inputs, outputs, activation=nn.ReLU(inplace=True)), nn.MaxPool2d(2)]
        self.shape = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(4 * WIDTHS[-1], hidden), nn.ReLU(inplace=True), nn.Linear(hidden, shapes)
        )
        for head in (self.pose[-1], self.shape[-1]):
            assert isinstance(head, nn.Linear)
            nn.init.normal_(head.weight, std=0.002)
            nn.init.zeros_(head.bias)

    def forward(self, joints: Float[Tensor, "b 17 3"], silhouette: Float[Tensor, "b 64 64"]) -> FitterOutput:
        """Joints from -1 to 1 across the crop, with a score; the probability of the person."""
        places, score = joints[..., :2], joints[..., 2:]
        pose = self.pose(torch.cat([places * (score > 0), score], dim=-1).flatten(1))
        betas = self.shape(silhouette[:, None])
        return self.body(torch.cat([betas, pose], dim=1).float())
