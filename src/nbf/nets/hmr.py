"""HMR: a picture -> body, by an answer that is corrected again and again (Kanazawa et al. 2018, "End-to-end recovery of
human shape and pose", section 3.2)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nbf.nets.blocks import ConvNorm
from nbf.nets.mean_body import Baseline, FitterOutput

INPUT_SIZE = 128
PASSES = 3
FEATURES = 320
"""Channels of the last features of `nbf.nets.trunk.Trunk`."""


class Hmr(Baseline):
    """From features of a picture and the answer so far, residuals to that answer, three times from the mean body.

    The features are those that `nbf.nets.trunk.Trunk`, which stays as it is, has of a picture of 128 px. HMR trains a
    ResNet-50 with the rest, for days on a GPU.
    """

    def __init__(self, shapes: int, width: int = 512, thin: int = 96) -> None:
        super().__init__(shapes)
        self.arguments = {"shapes": shapes, "width": width, "thin": thin}
        self.thin = ConvNorm(FEATURES, thin, 1, activation=nn.ReLU(inplace=True))
        self.of_features = nn.Linear(16 * thin, width)
        self.of_answer = nn.Linear(self.numbers, width, bias=False)
        self.second = nn.Linear(width, width)
        self.head = nn.Linear(width, self.numbers)
        # As HMR: the first answers are the mean body.
        nn.init.normal_(self.head.weight, std=0.002)
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Float[Tensor, "b 320 4 4"]) -> FitterOutput:
        seen = self.of_features(self.thin(features).flatten(1))
        answer = seen.new_zeros(len(seen), self.numbers, dtype=torch.float32)
        for _ in range(PASSES):
            hidden = F.relu(seen + self.of_answer(answer))
            answer = answer + self.head(F.relu(self.second(hidden))).float()
        return self.body(answer)
