"""Things in front of people: furniture-like boxes, rounded blobs and the frame of the picture itself."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from nbf.synth.view import chance, uniform


def sample_masks(count: int, resolution: int, probability: float, generator: Generator) -> Bool[Tensor, "count r r"]:
    """Where an occluder covers each picture: one or two turned boxes or ellipses with the given probability.

    A box whose middle lies low and wide is what a table or a wall does; a thin one is a pole or another limb.
    """
    device = generator.device
    axis = (torch.arange(resolution, device=device) + 0.5) / resolution
    covered = torch.zeros(count, resolution, resolution, dtype=torch.bool, device=device)
    some = chance(count, probability, generator).nonzero()[:, 0]
    count = len(some)
    for second in (False, True):
        middle = uniform((count, 2), 0.05, 0.95, generator)
        half = uniform((count, 2), 0.03, 0.2, generator)
        angle = uniform((count,), -math.pi / 2, math.pi / 2, generator) * 0.5
        dx, dy = axis - middle[:, :1], axis - middle[:, 1:]
        cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
        u = (cos * dx[:, None, :] + sin * dy[:, :, None]) / half[:, 0, None, None]
        v = (-sin * dx[:, None, :] + cos * dy[:, :, None]) / half[:, 1, None, None]
        box = (u.abs() < 1) & (v.abs() < 1)
        round_ = u * u + v * v < 1
        shape = torch.where(chance(count, 0.5, generator)[:, None, None], box, round_)
        here = chance(count, 0.4 if second else 1.0, generator)
        covered[some] |= shape & here[:, None, None]
    return covered


def outside(photo: Float[Tensor, "count 4"], resolution: int) -> Bool[Tensor, "count r r"]:
    """Pixels beyond the photo's rectangle (x0, y0, x1, y1 in crop pixels)."""
    axis = torch.arange(resolution, device=photo.device) + 0.5
    x = (axis < photo[:, :1]) | (axis > photo[:, 2:3])
    y = (axis < photo[:, 1:2]) | (axis > photo[:, 3:])
    return x[:, None, :] | y[:, :, None]
