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
_BLUR_TAPS = 9


def blur(pictures: Float[Tensor, "n c h w"], sigma: Float[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
    """Gaussian blur with one standard deviation (pixels) per picture, nine taps wide."""
    count, channels, height, width = pictures.shape
    offsets = torch.arange(_BLUR_TAPS, device=pictures.device) - _BLUR_TAPS // 2
    taps = torch.exp(-0.5 * (offsets / sigma[:, None].clamp(min=1e-3)) ** 2)
    taps = (taps / taps.sum(-1, keepdim=True)).repeat_interleave(channels, 0)[:, None]
    flat = pictures.reshape(1, count * channels, height, width)
    pad = _BLUR_TAPS // 2
    flat = F.conv2d(F.pad(flat, (0, 0, pad, pad), mode="replicate"), taps[..., None], groups=count * channels)
    flat = F.conv2d(F.pad(flat, (pad, pad, 0, 0), mode="replicate"), taps[:, :, None], groups=count * channels)
    return flat.view_as(pictures)


def jpeg(pictures: Float[Tensor, "n 3 h w"], quality: Float[Tensor, " n"]) -> Float[Tensor, "n 3 h w"]:
    """JPEG's 8 x 8 cosine transform and quantisation (ITU-T T.81) at `quality` 1..100; sides must be multiples of 8."""
    count, channels, height, width = pictures.shape
    k = torch.arange(8, device=pictures.device, dtype=pictures.dtype)
    basis = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) * 0.5
    basis[0] = math.sqrt(1 / 8)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50).clamp(min=0.02)
    table = torch.tensor(_QUANTISATION, device=pictures.device, dtype=pictures.dtype)
    steps = (table * scale[:, None, None]).clamp(min=1)[:, None, None, None]
    blocks = (pictures * 255 - 128).view(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    spectrum = ((basis @ blocks @ basis.T) / steps).round() * steps
    blocks = (basis.T @ spectrum @ basis).transpose(3, 4)
    return ((blocks.reshape_as(pictures) + 128) / 255).clamp(0, 1)


def degrade(pictures: Float[Tensor, "n 3 r r"], generator: Generator) -> Float[Tensor, "n 3 r r"]:
    """A random photograph's flaws on each picture; always some blur, which also softens the renderer's hard edges."""
    count, _, side, _ = pictures.shape
    sigma = uniform((count,), 0.45, 0.9, generator) + chance(count, 0.25, generator) * uniform(
        (count,), 0.0, 2.0, generator
    )
    pictures = blur(pictures, sigma)
    coarse = F.interpolate(pictures, scale_factor=0.4, mode="area")
    coarse = F.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)
    pictures = torch.where(chance(count, 0.12, generator)[:, None, None, None], coarse, pictures)
    gamma = normal((count, 1, 1, 1), 0.15, generator).exp()
    pictures = pictures.clamp(1e-4, 1) ** gamma
    mean = pictures.mean((1, 2, 3), keepdim=True)
    pictures = mean + (pictures - mean) * uniform((count, 1, 1, 1), 0.75, 1.3, generator)
    gray = pictures.mean(1, keepdim=True)
    saturation = uniform((count, 1, 1, 1), 0.6, 1.3, generator) * (~chance(count, 0.04, generator))[:, None, None, None]
    pictures = (gray + (pictures - gray) * saturation) * (1 + normal((count, 3, 1, 1), 0.04, generator))
    noise = normal(tuple(pictures.shape), 1.0, generator) * uniform((count, 1, 1, 1), 0.0, 0.03, generator)
    pictures = (pictures + noise).clamp(0, 1)
    compressed = jpeg(pictures, uniform((count,), 35, 95, generator))
    return torch.where(chance(count, 0.7, generator)[:, None, None, None], compressed, pictures)
