"""The segmenter: a picture of one person -> part probabilities, 2D joints, surface coordinates."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nbf.nets.blocks import ConvNorm, MergeUp
from nbf.nets.movenet import SinglePose
from nbf.nets.trunk import Trunk

INPUT_SIZE = 256
STRIDE = 4
PARTS, KEYPOINTS, SURFACE = 25, 17, 3
# Half the side of the window that `decode_keypoints` averages over, in cells: 2.5 sigma of the training target.
WINDOW = 4


class SegmenterOutput(NamedTuple):
    """Maps at a quarter of the input's size.

    parts: logits of background and the 24 parts (softmax over dim 1 gives probabilities).
    keypoints: logits of the 17 COCO keypoints; a softmax over the pixels of one map is where that keypoint is.
    surface: canonical surface coordinate in [0, 1], meaningful on the person only.
    """

    parts: Float[Tensor, "b 25 h w"]
    keypoints: Float[Tensor, "b 17 h w"]
    surface: Float[Tensor, "b 3 h w"]


class Segmenter(nn.Module):
    """MoveNet finds the joints; EfficientNet-Lite0 and a U-shaped decoder, told where they are, find the parts.

    Takes RGB in [0, 1], `(b, 3, h, w)` with sides that are multiples of 32 (trained at 256). Two trunks, as each has
    learnt what the other lacks: MoveNet's weights have seen many people in motion, but its pyramid is too thin for
    parts. The joints' heat maps enter the decoder as hints: who of several people is meant, and which side is which.
    Dense convolutions in the decoder because they cost CPUs and GPUs less time per parameter than depthwise ones.
    """

    def __init__(self, width: int = 128, fine_width: int = 128, joints_width: float = 1.75) -> None:
        super().__init__()
        self.arguments = {"width": width, "fine_width": fine_width, "joints_width": joints_width}
        self.joints = SinglePose(joints_width, KEYPOINTS)
        self.trunk = Trunk(stride=32)
        at4, at8, at16, at32 = self.trunk.channels
        self.coarsest = nn.Sequential(
            ConvNorm(at32, width, 1, activation=nn.ReLU(inplace=True)),
            ConvNorm(width, width, activation=nn.ReLU(inplace=True)),
        )
        self.to16 = MergeUp(width, at16, width)
        self.to8 = MergeUp(width, at8, width)
        self.to4 = MergeUp(width, at4, fine_width)
        self.hint16, self.hint8 = (nn.Conv2d(KEYPOINTS, width, 3, padding=1) for _ in range(2))
        self.head = nn.Conv2d(fine_width, PARTS + SURFACE, 1)
        for hint in (self.hint16, self.hint8):
            for parameter in hint.parameters():
                nn.init.zeros_(parameter)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> SegmenterOutput:
        keypoints = self.joints(image)
        at4, at8, at16, at32 = self.trunk(image)
        # What the parts make of the joints is no reason to move them.
        heat = relative_heat(keypoints.detach())
        x = self.to16(self.coarsest(at32), at16) + self.hint16(F.max_pool2d(heat, 4))
        x = self.to8(x, at8) + self.hint8(F.max_pool2d(heat, 2))
        parts, surface = self.head(self.to4(x, at4)).float().split((PARTS, SURFACE), dim=1)
        return SegmenterOutput(parts, keypoints, surface.sigmoid())


def relative_heat(keypoints: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
    """Probability of each cell over that of the keypoint's likeliest one."""
    return (keypoints - keypoints.amax((-2, -1), keepdim=True)).exp()


def decode_keypoints(heatmaps: Float[Tensor, "b k h w"], stride: int = STRIDE) -> Float[Tensor, "b k 3"]:
    """Heat-map logits -> x, y in input pixels (pixel centres at half-integers) and a score in [0, 1].

    The most likely cell, refined by the mean of the spatial softmax in a window around it; the score is the softmax
    mass inside that window, i.e. how sure the network is of the place. (Sun et al. 2018, "Integral human pose
    regression", made local so that a second mode far away does not pull.)
    """
    height, width = heatmaps.shape[-2:]
    probability = heatmaps.float().flatten(-2).softmax(-1)
    best = probability.argmax(-1)
    x = torch.arange(width, device=heatmaps.device)
    y = torch.arange(height, device=heatmaps.device)
    from_x = x - (best % width)[..., None]
    from_y = y - (best // width)[..., None]
    near = (from_x.abs() <= WINDOW)[..., None, :] & (from_y.abs() <= WINDOW)[..., :, None]
    local = probability.unflatten(-1, (height, width)) * near
    column = best % width + _balanced_mean(from_x, local.sum(-2))
    row = best // width + _balanced_mean(from_y, local.sum(-1))
    return torch.stack([(column + 0.5) * stride, (row + 0.5) * stride, local.sum((-2, -1))], dim=-1)


def _balanced_mean(distance: Int[Tensor, "b k n"], weight: Float[Tensor, "b k n"]) -> Float[Tensor, "b k"]:
    """Mean signed distance over as many cells to the one side as to the other: a border must not push inwards."""
    radius = torch.minimum(-distance.amin(-1), distance.amax(-1))
    weight = weight * (distance.abs() <= radius[..., None])
    return (weight * distance).sum(-1) / weight.sum(-1)


def part_probabilities(output: SegmenterOutput) -> Float[Tensor, "b 25 h w"]:
    """What the fitter reads: the softmax of the part logits."""
    return F.softmax(output.parts, dim=1)
