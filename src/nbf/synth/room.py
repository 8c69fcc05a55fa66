"""A plain room before one fixed camera: where the people of the benchmark's studio track stand."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from nbf.body.model import BodyOutput
from nbf.geometry.camera import Camera
from nbf.synth.view import normal, uniform

SKIRTING = 0.09
"""Height of the strip along the foot of the wall, metres."""
SHADOW = 0.45
"""How much darker the floor is under a person."""


@dataclass(frozen=True)
class Room:
    """A floor, a wall that faces the camera, and a level camera that never moves."""

    camera_height: float = 1.4
    """Of the camera above the floor, metres."""
    distance: tuple[float, float] = (4.0, 5.0)
    """Of the pelvis from the camera, metres, uniform."""
    beside: float = 0.4
    """Standard deviation of the pelvis to the left and right, metres."""
    wall: float = 7.0
    """Distance of the wall, metres."""

    def stand(
        self, crowd: BodyOutput, translation: Float[Tensor, "n 3"], generator: Generator
    ) -> tuple[BodyOutput, Float[Tensor, "n 3"]]:
        """The bodies, and their translations, moved to random places with the lowest vertex on the floor."""
        count = len(translation)
        pelvis = crowd.joints[:, 0]
        x = normal((count,), self.beside, generator) - pelvis[:, 0]
        y = self.camera_height - crowd.vertices[..., 1].amax(1)
        z = uniform((count,), *self.distance, generator) - pelvis[:, 2]
        shift = torch.stack([x, y, z], -1)
        transforms = crowd.transforms.clone()
        transforms[..., 3] += shift[:, None]
        moved = BodyOutput(crowd.vertices + shift[:, None], crowd.joints + shift[:, None], transforms)
        return moved, translation + shift

    def draw(
        self, camera: Camera, vertices: Float[Tensor, "n v 3"], side: int, generator: Generator
    ) -> Float[Tensor, "n 3 {side} {side}"]:
        """The room behind each person, in colours of its own, with a soft shadow where the person is near the floor.

        Args:
            camera: of n pictures of `side` x `side` pixels.
            vertices: of the person in each, camera metres.
            side: pixels.
            generator: draws the colours.
        """
        count, device = len(vertices), vertices.device
        middle = torch.arange(side, device=device) + 0.5
        across = ((middle - camera.center[:, :1]) / camera.focal[:, None])[:, None]
        down = ((middle - camera.center[:, 1:]) / camera.focal[:, None])[:, :, None]
        depth = (self.camera_height / down.clamp(min=1e-3)).clamp(max=self.wall)
        on_floor = depth < self.wall
        on_skirting = ~on_floor & (down * self.wall > self.camera_height - SKIRTING)
        wall, floor, skirting = (paint(count, *tones, generator) for tones in ((0.4, 0.95), (0.2, 0.75), (0.2, 0.95)))
        # Lamps stand on one side: the wall is lit unevenly, the floor less and less towards the wall.
        slope = normal((count, 1, 1), 0.06, generator)
        wall = wall * (1 + slope * across * self.wall)[:, None]
        floor = floor * (1.1 - 0.03 * depth)[:, None]
        light = 1 - SHADOW * shadow(vertices, self.camera_height, across * depth, depth)
        colors = torch.where(
            on_floor[:, None], floor * light[:, None], torch.where(on_skirting[:, None], skirting, wall)
        )
        return colors.clamp(0, 1)


def shadow(
    vertices: Float[Tensor, "n v 3"], floor: float, x: Float[Tensor, "n h w"], z: Float[Tensor, "n h #w"]
) -> Float[Tensor, "n h w"]:
    """From 0 to 1 at points of the floor, at y = `floor`: a bell around the vertices that are within a hand of it."""
    near = (vertices[..., 1] > floor - 0.15).float()
    weight = near / near.sum(1, keepdim=True)
    middle = (weight[..., None] * vertices).sum(1)
    spread = (weight[..., None] * (vertices - middle[:, None]) ** 2).sum(1) + 0.12**2
    dx, dz = x - middle[:, 0, None, None], z - middle[:, 2, None, None]
    return torch.exp(-0.5 * (dx**2 / spread[:, 0, None, None] + dz**2 / spread[:, 2, None, None]))


def paint(count: int, darkest: float, lightest: float, generator: Generator) -> Float[Tensor, "count 3 1 1"]:
    """Muted colours: a grey with a little tint."""
    gray = uniform((count, 1, 1, 1), darkest, lightest, generator)
    return (gray * (1 + normal((count, 3, 1, 1), 0.08, generator))).clamp(0.05, 1)
