"""Turned, mirrored square windows of pictures: where augmented crops come from. Batched, on any device."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import grid_sample


@dataclass(frozen=True)
class Window:
    """n square windows; coordinates are pixels of the picture they are cut from."""

    center: Float[Tensor, "n 2"]
    side: Float[Tensor, " n"]
    angle: Float[Tensor, " n"]
    """Radians; the window is turned clockwise as seen on the picture, so its content turns the other way."""
    mirrored: Bool[Tensor, " n"]

    def to_photo(self, unit: Float[Tensor, "*n h w 2"]) -> Float[Tensor, "n h w 2"]:
        """Window coordinates in [-1, 1] to picture pixels."""
        half = self.side[:, None, None, None] / 2
        turned = torch.einsum("nij,nhwj->nhwi", self.turn(), unit * self.flip()[:, None, None])
        return self.center[:, None, None] + half * turned

    def to_unit(self, points: Float[Tensor, "n k 2"]) -> Float[Tensor, "n k 2"]:
        """Picture pixels to window coordinates in [-1, 1]; inverse of `to_photo`."""
        turned = torch.einsum("nji,nkj->nki", self.turn(), points - self.center[:, None])
        return turned / (self.side[:, None, None] / 2) * self.flip()[:, None]

    def frames(self, boxes: Float[Tensor, "n k 4"]) -> Float[Tensor, "n k 4"]:
        """Boxes (x0, y0, x1, y1) of the picture as boxes in window coordinates in [-1, 1].

        Exact for windows turned by quarters. Otherwise around the ellipse that fits into the box: people seldom reach
        into the corners of their boxes, and the box around a turned box would be too large.
        """
        center = self.to_unit((boxes[..., :2] + boxes[..., 2:]) / 2)
        across = self.turn().square()[:, None] * (boxes[..., 2:] - boxes[..., :2])[..., None].square()
        half = across.sum(-2).sqrt() / self.side[:, None, None]
        return torch.cat([center - half, center + half], dim=-1)

    def turn(self) -> Float[Tensor, "n 2 2"]:
        """photo_from_window for directions of windows that are not mirrored."""
        cos, sin = self.angle.cos(), self.angle.sin()
        return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)

    def flip(self) -> Float[Tensor, "n 2"]:
        """Signs of x and y in the window: (-1, 1) where it is mirrored."""
        return torch.stack([1 - 2 * self.mirrored.to(self.side.dtype), torch.ones_like(self.side)], -1)


def pixel_grid(size: int, device: torch.device) -> Float[Tensor, "size size 2"]:
    """Pixel centres (x, y) of a square picture, in [-1, 1]."""
    axis = (torch.arange(size, device=device) + 0.5) / size * 2 - 1
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)


def read(images: Float[Tensor, "n c h w"], points: Float[Tensor, "n r r 2"]) -> Float[Tensor, "n c r r"]:
    """Bilinear values at pixel positions; zero outside."""
    size = torch.tensor([images.shape[-1], images.shape[-2]], device=images.device)
    return grid_sample(images, points / size * 2 - 1, align_corners=False)


def within(points: Float[Tensor, "n *grid 2"], boxes: Float[Tensor, "n 4"]) -> Bool[Tensor, "n *grid"]:
    """Whether points lie in their box (x0, y0, x1, y1)."""
    boxes = boxes.view(len(boxes), *[1] * (points.ndim - 2), 4)
    return ((points >= boxes[..., :2]) & (points < boxes[..., 2:])).all(-1)


def clip(boxes: Float[Tensor, "n 4"], frame: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
    """The part of each box inside its frame."""
    return torch.minimum(torch.maximum(boxes, frame[:, :2].repeat(1, 2)), frame[:, 2:].repeat(1, 2))
