"""Convolution blocks that the networks share, and the folding that makes them fast at inference."""

import copy
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from nbf import processes

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm, activation: the unit that `for_inference` folds into one convolution."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        groups: int = 1,
        padding: int | None = None,
        activation: nn.Module | None = None,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = BatchNorm(outputs, eps=eps)
        self.activation = nn.Identity() if activation is None else activation

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        return self.activation(self.norm(self.conv(x)))

    def folded(self) -> "ConvNorm":
        """A copy whose convolution has absorbed the batch norm's running statistics."""
        norm, twin = self.norm, shell(self)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        twin.conv, twin.norm, twin.activation = shell(self.conv), nn.Identity(), shell(self.activation)
        twin.conv.weight, twin.conv.bias = fuse_conv_bn_weights(
            self.conv.weight, self.conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        return twin

    def convolution(self) -> nn.Conv2d:
        """All that is left before the activation, once it is folded."""
        return self.conv


class BatchNorm(nn.SyncBatchNorm):
    """Batch norm over all rows of a batch (Ioffe & Szegedy 2015, "Batch normalization"), those that other processes
    train on as well. PyTorch's own synchronises on GPUs alone."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if x.device.type != "cpu" or not self.training or processes.count() == 1:
            return super().forward(x)
        # Not in float16 or bfloat16, which sums are too much for.
        precise = x.to(torch.promote_types(x.dtype, torch.float32))
        numbers = processes.summed(precise.new_tensor(x.numel() / x.shape[1]))
        mean = processes.summed(precise.sum((0, 2, 3))) / numbers
        apart = precise - mean[:, None, None]
        variance = processes.summed(apart.square().sum((0, 2, 3))) / numbers
        with torch.no_grad():
            self.get_buffer("num_batches_tracked").add_(1)
            for name, now in (("running_mean", mean), ("running_var", variance * numbers / (numbers - 1))):
                self.get_buffer(name).lerp_(now, self.momentum or 0.0)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (apart * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a short cut (He et al. 2016, "Deep residual learning", figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, stride=stride, activation=nn.ReLU(inplace=True))
        self.second = ConvNorm(outputs, outputs)
        same = inputs == outputs and stride == 1
        self.short_cut = nn.Identity() if same else ConvNorm(inputs, outputs, 1, stride=stride)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        return F.relu(self.second(self.first(x)) + self.short_cut(x))


class MergeUp(nn.Module):
    """One step of a U-shaped decoder: double the coarse map, add the finer one through a 1x1, mix by 3x3 convolutions.

    Lin et al. 2017, "Feature pyramid networks", figure 3, with more than one mixing convolution.
    """

    def __init__(self, coarse: int, fine: int, outputs: int, mixers: int = 2) -> None:
        super().__init__()
        self.reduce = nn.Identity() if coarse == outputs else ConvNorm(coarse, outputs, 1)
        self.lateral = ConvNorm(fine, outputs, 1)
        self.mix = nn.Sequential(*(ConvNorm(outputs, outputs, activation=nn.ReLU(inplace=True)) for _ in range(mixers)))

    def forward(self, coarse: Float[Tensor, "b c h w"], fine: Float[Tensor, "b d i j"]) -> Float[Tensor, "b e i j"]:
        doubled = F.interpolate(self.reduce(coarse), scale_factor=2.0, mode="nearest")
        return self.mix(F.relu(doubled + self.lateral(fine)))


def for_inference(network: ModuleT) -> ModuleT:
    """A copy in eval mode, batch norms folded, channels last, without gradients: the same function, faster."""
    with torch.no_grad():
        network = _folded(network)
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _folded(module: nn.Module) -> Any:
    """A copy with batch norms folded. `copy.deepcopy`, which copies whatever else a module may have, takes ten times as
    long."""
    if isinstance(module, ConvNorm) and not isinstance(module.norm, nn.Identity):
        return module.folded()
    twin = shell(module)
    for name, child in module.named_children():
        setattr(twin, name, _folded(child))
    for name, value in module.named_parameters(recurse=False):
        setattr(twin, name, nn.Parameter(value.clone(), value.requires_grad))
    for name, value in module.named_buffers(recurse=False):
        setattr(twin, name, value.clone())
    return twin


def shell(module: ModuleT) -> ModuleT:
    """A module of its own with the same submodules, parameters and buffers."""
    twin = copy.copy(module)
    for held in ("_modules", "_parameters", "_buffers"):
        twin.__dict__[held] = dict(module.__dict__[held])
    return twin


def multiplies_bfloat16(device: torch.device | str) -> bool:
    """Whether bfloat16 saves time on a device. A CPU without instructions for it is ten times slower in it."""
    if torch.device(device).type != "cpu":
        return True
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
