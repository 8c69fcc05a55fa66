"""People turned around before a camera that stands still: the frames of a short film."""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from nbf.geometry import Camera
from nbf.motion import Motion, grounded
from nbf.render.mesh import gathered
from nbf.render.studio import in_studio

TURN = 5.0
"""Seconds that a turn takes."""
# Share of the picture's width and height that the people take; least and greatest width by height; how far the camera
# is, by the people's extent.
_FILL, _SLIMMEST, _WIDEST, _DISTANCE = 0.9, 0.5, 1.5, 4.0
# Frames posed together when people are measured.
_CHUNK = 64


class Turntable:
    """People on a turntable: who is still turns once, who moves all along. People far from one another are drawn
    together.

    `size` is (width, height), pixels, both even; `len` is the number of frames.
    """

    def __init__(self, motions: Sequence[Motion], height: int, frame_rate: float) -> None:
        """
        Args:
            motions: at least one; of one body model and one frame rate, in the frame of one camera.
            height: of the frames, pixels; even.
            frame_rate: frames a second of what is drawn, whatever that of the motions is.
        """
        self._motions, self._frame_rate = motions, frame_rate
        self._first = min(motion.start for motion in motions)
        self._count = max(motion.start + len(motion) for motion in motions) - self._first
        self._motion_rate = motions[0].frame_rate or 1.0
        seconds = max(self._count / self._motion_rate, TURN)
        self._frames, self._turns = round(seconds * frame_rate), round(seconds / TURN)
        move = grounded(motions)
        self._turn, self._places = move[:3, :3], move[:3, 3].repeat(len(motions), 1)
        tall, self._reach = self._gather()
        self.size = 2 * round(height * min(max(2 * self._reach / tall, _SLIMMEST), _WIDEST) / 2), height
        self._distance = _DISTANCE * max(2 * self._reach, tall)
        # The widest that is ever seen is where rays touch the cylinder around everybody, the tallest its near side.
        across = self.size[0] / (2 * self._reach) * math.sqrt(self._distance**2 - self._reach**2)
        down = height / tall * (self._distance - self._reach)
        self._camera = Camera(torch.tensor(_FILL * min(across, down)), torch.tensor([self.size[0] / 2, height / 2]))

    def __len__(self) -> int:
        return self._frames

    def draw(self, index: int) -> Image.Image:
        """One frame; the first is seen from the front, as `nbf.motion.grounded` has it."""
        at = self._first + int(index * self._motion_rate / self._frame_rate) % self._count
        present = [
            self._points(who, slice(at - motion.start, at - motion.start + 1))
            for who, motion in enumerate(self._motions)
            if 0 <= at - motion.start < len(motion)
        ]
        faces = self._motions[0].body.faces
        if not present:
            return in_studio(torch.zeros(0, 0, 3), faces, self._camera, *self.size)
        angle = 2 * math.pi * self._turns * index / self._frames
        sine, cosine = math.sin(angle), math.cos(angle)
        x, y, z = torch.cat(present).unbind(-1)
        # About y, then half a turn about x: to the camera's frame from one with y up and z towards the camera.
        turned = torch.stack([cosine * x + sine * z, -y, self._distance - cosine * z + sine * x], dim=-1)
        return in_studio(turned, faces, self._camera, *self.size)

    def _gather(self) -> tuple[float, float]:
        """Put everybody around the origin; returns how tall all are together, and how far they reach from the axis,
        metres."""
        everybody = range(len(self._motions))
        low = torch.stack([torch.stack([each.amin((0, 1)) for each in self._all(who)]).amin(0) for who in everybody])
        high = torch.stack([torch.stack([each.amax((0, 1)) for each in self._all(who)]).amax(0) for who in everybody])
        moves = gathered(low, high)
        low, high = (low + moves).amin(0), (high + moves).amax(0)
        self._places += moves - (low + high) / 2
        reach = max(float(each[..., ::2].norm(dim=-1).max()) for who in everybody for each in self._all(who))
        return float((high - low)[1]), reach

    def _all(self, who: int) -> Iterator[Float[Tensor, "t v 3"]]:
        for start in range(0, len(self._motions[who]), _CHUNK):
            yield self._points(who, slice(start, start + _CHUNK))

    def _points(self, who: int, frames: slice) -> Float[Tensor, "t v 3"]:
        """Of somebody on the table: metres, y up."""
        return self._motions[who].posed(frames).vertices @ self._turn.T + self._places[who]
