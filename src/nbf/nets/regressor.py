"""Maps of any kind -> body, by one residual network, as the paper's own fitter."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nbf.nets.blocks import ConvNorm, ResidualBlock
from nbf.nets.mean_body import Baseline, FitterOutput

HIDDEN = 256


class Regressor(Baseline):
    """Residual network, pooling, residuals to the mean body (Omran et al. 2018, section 3.1), at 64 px.

    Whatever is to be compared as evidence, a picture, parts, joints drawn as heat maps, comes as channels of one map,
    so that the networks differ in their first layer alone. Beside the mean over the last map, which the paper's network
    answers from, the answer knows a thin copy of that map: where in the crop things are.
    """

    def __init__(self, channels: int, shapes: int, width: int = 32) -> None:
        super().__init__(shapes)
        self.arguments = {"channels": channels, "shapes": shapes, "width": width}
        self.encoder = nn.Sequential(
            ConvNorm(channels, width, stride=2, activation=nn.ReLU(inplace=True)),
            ResidualBlock(width, width),
            ResidualBlock(width, 2 * width, stride=2),
            ResidualBlock(2 * width, 4 * width, stride=2),
            ResidualBlock(4 * width, 4 * width, stride=2),
        )
        self.thin = ConvNorm(4 * width, width, 1, activation=nn.ReLU(inplace=True))
        self.first = nn.Linear(4 * width + 16 * width, HIDDEN)
        self.head = nn.Linear(HIDDEN, self.numbers)
        # Training starts at the mean body: small residuals keep the rotations away from their singular set.
        nn.init.normal_(self.head.weight, std=0.002)
        nn.init.zeros_(self.head.bias)

    def forward(self, maps: Float[Tensor, "b c 64 64"]) -> FitterOutput:
        return self.body(self.head(F.relu(self.first(self.features(maps)))).float())

    def features(self, maps: Float[Tensor, "b c 64 64"]) -> Float[Tensor, "b f"]:
        """What the answer is made of."""
        coarse = self.encoder(maps)
        return torch.cat([coarse.mean((-2, -1)), self.thin(coarse).flatten(1)], dim=1)
