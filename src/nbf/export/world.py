"""Where the things in a file are: the frame that files of animators and scientists share, and the words that say so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from nbf import __version__
from nbf.motion import Motion, as_seen, grounded

UNIT = "metre"
CAMERA = "OpenCV camera: x right, y down, z forward, camera at the origin"


@dataclass(frozen=True, eq=False)
class World:
    """A frame, metres, right-handed."""

    from_camera: Float[Tensor, "4 4"]
    """world_from_camera: a rigid move out of the OpenCV camera frame."""
    words: str
    """What files say of it."""

    @classmethod
    def camera(cls) -> "World":
        """The camera's own frame, as SMPL tools for pictures have it."""
        return cls(torch.eye(4), CAMERA)

    @classmethod
    def as_seen(cls) -> "World":
        """y up, the camera where it is."""
        return cls(as_seen(), "y up, camera at the origin looking along -z")

    @classmethod
    def on_ground(cls, motions: Sequence[Motion]) -> "World":
        """y up, people on the ground."""
        return cls(grounded(motions), "y up, ground at y = 0, the first person facing +z")

    def z_up(self) -> "World":
        """The same, of one with y up, with z up: a quarter turn about x."""
        turn = torch.tensor([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
        words = self.words.replace("y up", "z up").replace("y = 0", "z = 0")
        return replace(self, from_camera=turn @ self.from_camera, words=words.replace("-z", "+y").replace("+z", "-y"))


def statement(motion: Motion, world: World) -> dict[str, str]:
    """What each file says of itself: who wrote it, unit and frame, and the body model that its shape belongs to."""
    return {"nbf": __version__, "body_model": motion.body_name, "unit": UNIT, "frame": world.words}


def sentence(motion: Motion, world: World) -> str:
    """`statement` on one line."""
    return f"Neural Body Fitting {__version__}; body model {motion.body_name}; {UNIT}; {world.words}"
