"""MoveNet: MobileNetV2 with a feature pyramid down to stride 4, whose weights have seen many people in motion."""

from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from nbf.errors import ModelFileError
from nbf.nets.blocks import BatchNorm
from nbf.nets.trunk import InvertedBottleneck, unit

# (repeats, kernel, stride of the first, expansion, channels) of each stage: Sandler et al. 2018, table 2.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (3, 3, 2, 6, 32),
    (4, 3, 2, 6, 64),
    (3, 3, 1, 6, 96),
    (3, 3, 2, 6, 160),
    (1, 3, 1, 6, 320),
)
STEM, LAST = 32, 1280
EXITS = (1, 2, 3)
"""The stages whose ends the pyramid reads: strides 4, 8 and 16."""
CENTER_REACH, PEAK_REACH = 1.8, 10.0
"""Cells from the middle of the picture, and from where a keypoint is expected, at which a peak has half the weight that
it has there. MoveNet's own graph has 1.8 for both; a longer reach leaves limbs in rare poses their peaks."""
FEATURES = 24
"""Of each cell of the pyramid's finest level."""
_PYRAMID = (64, 32, FEATURES)  # channels of the levels at strides 16, 8 and 4


class MoveNet(nn.Module):
    """RGB in [0, 1], (b, 3, h, w) with sides that are multiples of 32 -> features (b, 24, h/4, w/4).

    Google's MoveNet (Votel & Li 2021, "Next-generation pose detection with MoveNet"), without its heads: MobileNetV2 up
    to stride 32, then three steps up of a feature pyramid (Lin et al. 2017). `width` multiplies MobileNetV2's channels:
    1.75 in SinglePose Thunder, 1.5 in MultiPose Lightning. tools/bake_movenet.py fills in the released weights, whose
    batch norms are folded: nobody knows their statistics any more. The norms here keep, in training as well, what was
    stored for them, a scale for each channel, so that all channels' weights are of usual size and learn at one rate.
    """

    def __init__(self, width: float) -> None:
        super().__init__()
        inputs = _channels(STEM * width)
        self.stem = unit(3, inputs, 3, stride=2)
        self.blocks = nn.ModuleList()
        self._exits: list[int] = []
        channels = []
        for stage, (repeats, kernel, stride, expansion, outputs) in enumerate(STAGES):
            for index in range(repeats):
                wide = _channels(outputs * width)
                step = stride if index == 0 else 1
                self.blocks.append(InvertedBottleneck(inputs, wide, kernel, step, expansion))
                inputs = wide
            if stage in EXITS:
                self._exits.append(len(self.blocks) - 1)
                channels.append(inputs)
        self.last = unit(inputs, LAST, 1)
        at4, at8, at16 = channels
        self.coarsest = nn.Conv2d(LAST, _PYRAMID[0], 1)
        self.laterals = nn.ModuleList(
            nn.Conv2d(fine, outputs, 1) for fine, outputs in zip((at16, at8, at4), _PYRAMID, strict=True)
        )
        self.merges = nn.ModuleList(
            Separable(inputs, outputs) for inputs, outputs in zip(_PYRAMID, (*_PYRAMID[1:], FEATURES), strict=True)
        )
        # Norms that measure nothing keep no signal alive, but weights of this size do (He et al. 2015).
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        self.train()

    def train(self, mode: bool = True) -> "MoveNet":
        """As `torch.nn.Module.train`, but for the norms, which stay as they are at inference."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, BatchNorm):
                module.eval()
        return self

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 24 i j"]:
        x = self.stem(2 * image - 1)
        exits = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self._exits:
                exits.append(x)
        x = self.coarsest(self.last(x))
        for lateral, merge, fine in zip(self.laterals, self.merges, reversed(exits), strict=True):
            doubled = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = merge(doubled + lateral(fine))
        return x


class Separable(nn.Module):
    """3x3 depthwise convolution, 1x1 convolution, ReLU (Howard et al. 2017, "MobileNets")."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        return F.relu(self.pointwise(self.depthwise(x)))


def head(outputs: int) -> nn.Sequential:
    """What MoveNet puts on its pyramid for each kind of map: `outputs` numbers a cell."""
    return nn.Sequential(Separable(FEATURES, 96), nn.Conv2d(96, outputs, 1))


class SinglePose(nn.Module):
    """Heat maps (b, k, h/4, w/4) of the keypoints of the person in the middle: logits, of which a softmax is meant.

    As MoveNet SinglePose decodes its maps: the centre nearest to the middle says where it expects the person's
    keypoints, and a peak counts the less the further it is from there, so that others' joints are left to them.
    """

    def __init__(self, width: float, keypoints: int) -> None:
        super().__init__()
        self.features = MoveNet(width)
        self.heat, self.center, self.places = head(keypoints), head(1), head(2 * keypoints)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k i j"]:
        features = self.features(image)
        heat, center, places = (head(features).float() for head in (self.heat, self.center, self.places))
        height, width = heat.shape[-2:]
        y, x = (torch.arange(size, device=heat.device, dtype=heat.dtype) for size in (height, width))
        away = ((y[:, None] - (height - 1) / 2).square() + (x - (width - 1) / 2).square()).sqrt()
        cell = (center[:, 0].sigmoid() / (away + CENTER_REACH)).flatten(1).argmax(1)
        # MoveNet has y before x.
        there = cell[:, None, None].expand(-1, places.shape[1], 1)
        down, across = places.flatten(2).gather(2, there).unflatten(1, (-1, 2))[..., 0].unbind(-1)
        expected_y, expected_x = cell[:, None] // width + down, cell[:, None] % width + across
        square = (y[:, None] - expected_y[..., None, None]).square() + (x - expected_x[..., None, None]).square()
        return heat - ((square + 1e-4).sqrt() + PEAK_REACH).log()


def load_movenet(network: nn.Module, path: Path) -> None:
    """Fill in the weights that tools/bake_movenet.py has written. Raises ModelFileError when they are not there or do
    not fit."""
    if not path.is_file():
        raise ModelFileError(
            f"{path}: no such file; make it with `python tools/bake_movenet.py`, or train from random weights"
        )
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise ModelFileError(f"{path}: not the weights of this network ({error}); run tools/bake_movenet.py") from error


def _channels(wanted: float) -> int:
    """The multiple of 8 nearest to a number of channels, not below nine tenths of it (MobileNet's rule)."""
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * wanted else nearest
