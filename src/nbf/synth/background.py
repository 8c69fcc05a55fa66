"""Backgrounds: photographs without people where a bank of them is at hand, procedural textures otherwise."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor
from torch.nn import functional as F

from nbf.data.backgrounds import BackgroundPack
from nbf.synth.view import chance, normal, uniform

logger = logging.getLogger(__name__)

BANK_SIDE = 320
"""Side in pixels of the square photographs in a bank."""
PROCEDURAL_SHARE = 0.1
"""Share of procedural backgrounds although a bank is there: plain walls and studio sheets are rare among the photos."""


@dataclass(frozen=True)
class Backgrounds:
    """A bank of photographs on one device; empty when there is none."""

    photos: UInt8[Tensor, "n 3 side side"]

    @staticmethod
    def load(path: Path | None, split: str, device: torch.device | str = "cpu") -> "Backgrounds":
        """Photographs of `split` from a pack of `nbf.data.backgrounds`; none when `path` is None or absent."""
        if path is None or not path.is_file():
            logger.warning("no background photographs (%s): procedural backgrounds only", path)
            return Backgrounds(torch.empty(0, 3, BANK_SIDE, BANK_SIDE, dtype=torch.uint8, device=device))
        return Backgrounds(BackgroundPack.load(path).squares(split, BANK_SIDE).to(device))

    def sample(self, count: int, resolution: int, generator: Generator) -> Float[Tensor, "count 3 r r"]:
        """Random windows of the photographs, mirrored, recoloured and blurred at random, in [0, 1]."""
        made = chance(count, PROCEDURAL_SHARE if len(self.photos) else 1.0, generator)
        pictures = torch.empty(count, 3, resolution, resolution, device=generator.device)
        pictures[made] = procedural(int(made.sum()), resolution, generator)
        pictures[~made] = self._windows(int((~made).sum()), resolution, generator)
        gain = 1 + normal((count, 3, 1, 1), 0.08, generator)
        return pictures.mul_(gain * uniform((count, 1, 1, 1), 0.7, 1.2, generator)).clamp_(0, 1)

    def _windows(self, count: int, resolution: int, generator: Generator) -> Float[Tensor, "count 3 r r"]:
        device = generator.device
        if count == 0:
            return torch.empty(0, 3, resolution, resolution, device=device)
        index = torch.randint(len(self.photos), (count,), generator=generator, device=device)
        scale = uniform((count, 1), 0.35, 1.0, generator)
        flip = torch.where(chance(count, 0.5, generator), 1.0, -1.0)[:, None]
        shift = (1 - scale) * uniform((count, 2), -1.0, 1.0, generator)
        zero = torch.zeros_like(scale)
        affine = torch.cat([scale * flip, zero, shift[:, :1], zero, scale, shift[:, 1:]], 1).view(-1, 2, 3)
        grid = F.affine_grid(affine, [count, 3, resolution, resolution], align_corners=False)
        return F.grid_sample(self.photos[index].float() / 255, grid, align_corners=False, padding_mode="reflection")


def procedural(count: int, resolution: int, generator: Generator) -> Float[Tensor, "count 3 r r"]:
    """Coloured noise of several octaves over a gradient: walls, skies, gravel; never a picture of anything."""
    device = generator.device
    rows = torch.linspace(-1, 1, resolution, device=device)
    direction = normal((count, 2, 3), 0.15, generator)
    ramp = direction[:, 0, :, None, None] * rows[None, None, :, None] + direction[:, 1, :, None, None] * rows
    picture = uniform((count, 3, 1, 1), 0.1, 0.9, generator) + ramp
    for cells in (2, 5, 12, 40):
        noise = normal((count, 3, cells, cells), 1.0, generator)
        gray = normal((count, 1, cells, cells), 1.0, generator)
        strength = uniform((count, 1, 1, 1), 0.0, 0.12, generator)
        layer = F.interpolate(0.4 * noise + gray, size=(resolution, resolution), mode="bilinear", align_corners=False)
        picture = picture + strength * layer
    return picture.clamp(0, 1)
