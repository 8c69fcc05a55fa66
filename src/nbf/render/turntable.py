"""People turned once around before a camera that stands still: the frames of a short film."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from nbf.geometry import Camera
from nbf.motion import Motion, grounded
from nbf.render.studio import in_studio

TURN = 5.0
"""Seconds that a turn takes."""
# Share of the picture's width and height that the people take; least and greatest width by height; how far the camera
# is, by the people's extent.
_FILL, _SLIMMEST, _WIDEST, _DISTANCE = 0.9, 0.5, 1.5, 4.0
# Frames posed together when people are measured.
_CHUNK = 64


class Turntable:
    """People on a turntable, in motion if they move; a still person turns once.

    `size` is (width, height), pixels, both even; `len` is the number of frames.
    """

    def __init__(self, motions: Sequence[Motion], height: int, frame_rate: float) -> None:
        """
        Args:
            motions: at least one; of one body model, and in the frame of one camera.
            height: of the frames, pixels; even.
            frame_rate: frames a second of what is drawn, whatever that of the motions is.
        """
        self._motions, self._frame_rate = motions, frame_rate
        self._first = min(motion.start for motion in motions)
        self._count = max(motion.start + len(motion) for motion in motions) - self._first
        self._motion_rate = motions[0].frame_rate or 1.0
        seconds = max(self._count / self._motion_rate, TURN)
        self._frames, self._turns = round(seconds * frame_rate), round(seconds / TURN)
        self._world_from_camera = grounded(motions)
        low, high, self._reach = self._measured()
        self._middle, tall = (low + high) / 2, high - low
        width = height * min(max(2 * self._reach / tall, _SLIMMEST), _WIDEST)
        self.size = 2 * round(width / 2), height
        self._distance = _DISTANCE * max(2 * self._reach, tall)
        # The widest that is ever seen is where rays touch the cylinder around everybody, the tallest its near side.
        across = self.size[0] / 2 * math.sqrt(self._distance**2 - self._reach**2) / self._reach
        down = height / tall * (self._distance - self._reach)
        self._camera = Camera(torch.tensor(_FILL * min(across, down)), torch.tensor([self.size[0] / 2, height / 2]))

    def __len__(self) -> int:
        return self._frames

    def draw(self, index: int) -> Image.Image:
        """One frame; the first is seen from the front, as `nbf.motion.grounded` has it."""
        at = self._first + int(index * self._motion_rate / self._frame_rate) % self._count
        present = [motion for motion in self._motions if 0 <= at - motion.start < len(motion)]
        faces = self._motions[0].body.faces
        if not present:
            return in_studio(torch.zeros(0, 0, 3), faces, self._camera, *self.size)
        points = torch.cat([self._world(motion, slice(at - motion.start, at - motion.start + 1)) for motion in present])
        angle = 2 * math.pi * self._turns * index / self._frames
        sine, cosine = math.sin(angle), math.cos(angle)
        x, y, z = points.unbind(-1)
        # Half a turn about x from the world, y up and z towards the camera, to the camera's frame.
        turned = torch.stack(
            [cosine * x + sine * z, self._middle - y, self._distance - (cosine * z - sine * x)], dim=-1
        )
        return in_studio(turned, faces, self._camera, *self.size)

    def _world(self, motion: Motion, frames: slice) -> Float[Tensor, "t v 3"]:
        return motion.posed(frames).vertices @ self._world_from_camera[:3, :3].T + self._world_from_camera[:3, 3]

    def _measured(self) -> tuple[float, float, float]:
        """The lowest and highest point of everybody at any time, and the greatest distance from the axis; metres."""
        low, high, reach = math.inf, -math.inf, 0.0
        for motion in self._motions:
            for start in range(0, len(motion), _CHUNK):
                points = self._world(motion, slice(start, start + _CHUNK))
                low, high = min(low, float(points[..., 1].min())), max(high, float(points[..., 1].max()))
                reach = max(reach, float(points[..., ::2].norm(dim=-1).max()))
        return low, high, reach
