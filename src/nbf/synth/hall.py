"""A tilted camera above a floor, and the hall that it sees behind the people who stand there.

People are placed in the *level* frame: the camera's own before it is tilted, x right, y down, z away from the camera
along the floor, the camera at the origin.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from nbf.geometry.camera import Camera
from nbf.geometry.rotations import matrix_from_axis_angle
from nbf.synth.background import Backgrounds
from nbf.synth.room import SHADOW, SKIRTING, paint, shadow
from nbf.synth.view import chance, normal, uniform

SIZES = ((480, 360), (560, 420), (640, 480), (360, 480))
"""Width and height of the pictures, pixels; every size as likely."""
LENS = (0.6, 1.6)
"""Focal length in diagonals of the picture, log-uniform: 26 to 69 mm as on 35 mm film, where a guess is 43."""
ABOVE = (0.9, 2.6)
"""Height of the camera above the floor, metres, uniform."""
TILT_DEG, ROLL_DEG = 4.0, 2.0
"""Standard deviations, degrees: of the tilt about the one that aims at the people, and of the roll."""


@dataclass(frozen=True)
class Outlook:
    """One camera above a floor."""

    width: int
    height: int
    camera: Camera
    """Pixels."""
    cam_from_level: Float[Tensor, "3 3"]
    above: float
    """Metres from the floor up to the camera."""

    @property
    def up(self) -> Float[Tensor, "3"]:
        """The floor's normal in the camera frame; points p of the floor have up . p = -above."""
        return -self.cam_from_level[:, 1]

    @classmethod
    def draw(cls, generator: Generator, size: tuple[int, int], focal: float, above: float, middle: float) -> "Outlook":
        """A camera of that lens at that height, aimed at the pelvis of somebody `middle` metres away, more or less."""
        tilt = math.atan((above - 0.9) / middle) + math.radians(float(normal((), TILT_DEG, generator)))
        roll = math.radians(float(normal((), ROLL_DEG, generator)))
        turns = matrix_from_axis_angle(torch.tensor([[0.0, 0.0, roll], [tilt, 0.0, 0.0]]))
        camera = Camera(torch.tensor(focal), torch.tensor(size) / 2)
        return cls(*size, camera, turns[0] @ turns[1], above)


def draw_hall(
    outlook: Outlook, vertices: Float[Tensor, "p v 3"], far: float, scenes: Backgrounds, side: int, generator: Generator
) -> Float[Tensor, "3 {side} {side}"]:
    """Floor and wall, in the square of `side` pixels whose upper left corner is the picture's.

    The floor is tiled or plain and a little darker under everybody, the wall painted or papered with a scene.

    Args:
        outlook: who looks.
        vertices: of the people, level frame, metres.
        far: distance of the wall, metres.
        scenes: what walls are papered with.
        side: pixels.
        generator: draws the colours.
    """
    middle = torch.arange(side) + 0.5
    x, y = (middle - outlook.camera.center[:, None]) / outlook.camera.focal
    rays = torch.stack([x.expand(side, side), y[:, None].expand(side, side), torch.ones(side, side)], -1)
    across, down, ahead = (rays @ outlook.cam_from_level).unbind(-1)
    to_floor = torch.where(down > 1e-3, outlook.above / down.clamp(min=1e-3), torch.inf)
    to_wall = far / ahead.clamp(min=1e-3)
    on_floor = to_floor < to_wall
    on_skirting = ~on_floor & (down * to_wall > outlook.above - SKIRTING)
    wall, floor, skirting = (paint(1, *tones, generator)[0] for tones in ((0.4, 0.95), (0.2, 0.75), (0.2, 0.95)))
    slope = normal((), 0.06, generator)
    wall = wall * (1 + slope * (across * to_wall).clamp(-5, 5))
    papered, tiled = chance(2, 0.5, generator).tolist()
    scene = scenes.sample(1, side, generator)[0]
    if papered:
        wall = scene
    reach = torch.where(on_floor, to_floor, 0.0)
    at_x, at_z = across * reach, ahead * reach
    tile = float(uniform((), 0.3, 1.0, generator))
    contrast = float(uniform((), 0.03, 0.2, generator)) * tiled
    dark = ((at_x / tile).floor() + (at_z / tile).floor()).remainder(2)
    light = (1.1 - 0.03 * at_z).clamp(min=0.5) * (1 - contrast * dark)
    for person in vertices:
        light = light * (1 - SHADOW * shadow(person[None], outlook.above, at_x[None], at_z[None])[0])
    return torch.where(on_floor, floor * light, torch.where(on_skirting, skirting, wall)).clamp(0, 1)
