"""What a camera does to a picture: blur, low resolution, sensor noise, JPEG, colour."""

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional as F

from nbf.synth.view import chance, normal, uniform

# Luminance quantisation table of the JPEG standard (ITU-T T.81, table K.1), used for all three channels.
_QUANTISATION = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_BLUR_REACH = 4  # pixels to either side


def blur(pictures: Float[Tensor, "n c h w"], sigma: Float[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
    """Gaussian blur with one standard deviation (pixels) per picture, nine taps wide."""
    offsets = torch.arange(_BLUR_REACH + 1, device=pictures.device)
    taps = torch.exp(-0.5 * (offsets / sigma[:, None].clamp(min=1e-3)) ** 2)
    taps = taps / (2 * taps.sum(-1, keepdim=True) - taps[:, :1])
    # Sums of shifted copies: faster than a grouped convolution with weights of its own for each picture.
    for axis, pad in ((2, (0, 0, _BLUR_REACH, _BLUR_REACH)), (3, (_BLUR_REACH, _BLUR_REACH, 0, 0))):
        size = pictures.shape[axis]
        wide = F.pad(pictures, pad, mode="replicate")
        pictures = wide.narrow(axis, _BLUR_REACH, size) * taps[:, 0, None, None, None]
        for k in range(1, _BLUR_REACH + 1):
            pair = wide.narrow(axis, _BLUR_REACH - k, size) + wide.narrow(axis, _BLUR_REACH + k, size)
            pictures.addcmul_(pair, taps[:, k, None, None, None])
    return pictures


def jpeg(pictures: Float[Tensor, "n 3 h w"], quality: Float[Tensor, " n"]) -> Float[Tensor, "n 3 h w"]:
    """JPEG's 8 x 8 cosine transform and quantisation (ITU-T T.81) at `quality` 1..100; sides must be multiples of 8."""
    count, channels, height, width = pictures.shape
    k = torch.arange(8, device=pictures.device, dtype=pictures.dtype)
    basis = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) * 0.5
    basis[0] = math.sqrt(1 / 8)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50).clamp(min=0.02)
    table = torch.tensor(_QUANTISATION, device=pictures.device, dtype=pictures.dtype)
    steps = (table * scale[:, None, None]).clamp(min=1)[:, None, :, None, :]
    # Columns of a block first, then its rows, without ever moving blocks in memory.
    strips, shape = count * channels * height // 8, (count, channels * height // 8, 8, width // 8, 8)
    spectrum = (basis @ (pictures * 255 - 128).reshape(strips, 8, width)).view(shape) @ basis.T
    spectrum = (spectrum / steps).round_().mul_(steps)
    blocks = basis.T @ (spectrum @ basis).view(strips, 8, width)
    return blocks.add_(128).div_(255).clamp_(0, 1).view_as(pictures)


def dim(pictures: Float[Tensor, "n 3 r r"], generator: Generator) -> Float[Tensor, "n 3 r r"]:
    """Some pictures taken in low light or out of focus: dark, noisy, blurred. For photos, before `degrade`.

    Not a part of `degrade`, because the benchmark's people go through that.
    """
    count = len(pictures)
    dark = chance(count, 0.1, generator)
    light = torch.where(dark, uniform((count,), math.log(0.2), math.log(0.6), generator).exp(), 1.0)
    grain = torch.where(dark, uniform((count,), 0.0, 0.05, generator), 0.0)
    sigma = chance(count, 0.1, generator) * uniform((count,), 1.0, 3.0, generator)
    noise = torch.randn(pictures.shape, generator=generator, device=generator.device)
    return (blur(pictures, sigma) * _each(light) + noise * _each(grain)).clamp(0, 1)


def _each(values: Float[Tensor, " n"]) -> Float[Tensor, "n 1 1 1"]:
    return values[:, None, None, None]


def degrade(pictures: Float[Tensor, "n 3 r r"], generator: Generator) -> Float[Tensor, "n 3 r r"]:
    """A random photograph's flaws on each picture; always some blur, which also softens the renderer's hard edges."""
    count, _, side, _ = pictures.shape
    sigma = uniform((count,), 0.45, 0.9, generator) + chance(count, 0.25, generator) * uniform(
        (count,), 0.0, 2.0, generator
    )
    pictures = blur(pictures, sigma)
    small = chance(count, 0.12, generator).nonzero()[:, 0]
    if len(small):
        coarse = F.interpolate(pictures[small], scale_factor=0.4, mode="area")
        pictures[small] = F.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)
    gamma = normal((count, 1, 1, 1), 0.15, generator).exp()
    pictures = pictures.clamp_(1e-4, 1).pow_(gamma)
    mean = pictures.mean((1, 2, 3), keepdim=True)
    pictures = pictures.sub_(mean).mul_(uniform((count, 1, 1, 1), 0.75, 1.3, generator)).add_(mean)
    gray = pictures.mean(1, keepdim=True)
    saturation = uniform((count, 1, 1, 1), 0.6, 1.3, generator) * (~chance(count, 0.04, generator))[:, None, None, None]
    tint = 1 + normal((count, 3, 1, 1), 0.04, generator)
    pictures = pictures.sub_(gray).mul_(saturation).add_(gray).mul_(tint)
    noise = torch.randn(pictures.shape, generator=generator, device=generator.device)
    pictures = torch.addcmul(pictures, noise, uniform((count, 1, 1, 1), 0.0, 0.03, generator)).clamp_(0, 1)
    packed = chance(count, 0.7, generator).nonzero()[:, 0]
    pictures[packed] = jpeg(pictures[packed], uniform((len(packed),), 35, 95, generator))
    return pictures
