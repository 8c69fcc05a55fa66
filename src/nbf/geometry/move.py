"""Moves of square crops: turned, zoomed and shifted pictures, maps and points."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class CropMove:
    """A similarity: moves points q of n crops, -1 to 1 across each, to `zoom * R(angle) q + shift`.

    `angle` is in radians, clockwise as one looks at the picture (x right, y down); `shift` in half crop sides.
    """

    angle: Float[Tensor, " n"]
    zoom: Float[Tensor, " n"]
    shift: Float[Tensor, "n 2"]

    def to(self, device: torch.device | str) -> "CropMove":
        """The same on a device."""
        return CropMove(self.angle.to(device), self.zoom.to(device), self.shift.to(device))

    def rotation(self) -> Float[Tensor, "n 2 2"]:
        """R(angle)."""
        cos, sin = self.angle.cos(), self.angle.sin()
        return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)

    def inverse(self) -> "CropMove":
        """What moves everything back."""
        back = CropMove(-self.angle, 1 / self.zoom, torch.zeros_like(self.shift))
        return CropMove(back.angle, back.zoom, -back.points(self.shift[:, None])[:, 0])

    def points(self, points: Float[Tensor, "n k c"]) -> Float[Tensor, "n k c"]:
        """Where points (x, y, ...) go; further columns stay as they are."""
        turned = self.zoom[:, None, None] * points[..., :2] @ self.rotation().mT
        return torch.cat([turned + self.shift[:, None], points[..., 2:]], -1)

    def picture(self, picture: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The moved picture by bilinear samples; 0 where it shows what the first one did not."""
        back = self.inverse()
        affine = torch.cat([back.zoom[:, None, None] * back.rotation(), back.shift[..., None]], -1)
        grid = functional.affine_grid(affine, list(picture.shape), align_corners=False)
        return functional.grid_sample(picture, grid, align_corners=False)
