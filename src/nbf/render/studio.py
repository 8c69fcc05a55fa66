"""A plain light room to look at bodies in."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from nbf.geometry import Camera
from nbf.render.mesh import draw_mesh
from nbf.render.overlay import over

_TOP, _BOTTOM = (246, 247, 249), (222, 225, 230)
_SHADOW, _SHADOW_OPACITY = (70, 72, 80), 110
# Of a shadow, by the body's extent and by the room's: how far it reaches, how soft it is.
_REACH, _SOFT = 0.55, 1 / 80


def studio(width: int, height: int) -> Image.Image:
    """The empty room: a vertical gradient."""
    share = np.linspace(0, 1, height)[:, None]
    rows = np.asarray(_TOP) * (1 - share) + np.asarray(_BOTTOM) * share
    return Image.fromarray(np.repeat(rows[:, None].round().astype(np.uint8), width, axis=1))


def in_studio(
    vertices: Float[Tensor, "n v 3"], faces: Int64[Tensor, "f 3"], camera: Camera, width: int, height: int
) -> Image.Image:
    """n bodies in the room, as a level camera sees them: metres in its frame, a soft shadow under each."""
    room = studio(width, height)
    if len(vertices) == 0:
        return room
    return over(_with_shadows(room, vertices, camera), draw_mesh(vertices, faces, camera, width, height))


def _with_shadows(room: Image.Image, vertices: Tensor, camera: Camera) -> Image.Image:
    """Each on the level of its body's lowest point."""
    mask = Image.new("L", room.size, 0)
    pen = ImageDraw.Draw(mask)
    angle = torch.linspace(0, 2 * torch.pi, 48)
    for body in vertices:
        low, high = body.amin(dim=0), body.amax(dim=0)
        middle, reach = (low + high) / 2, (high - low) * _REACH
        ring = torch.stack(
            [middle[0] + reach[0] * angle.cos(), high[1].expand(48), middle[2] + reach[2] * angle.sin()], dim=-1
        )
        pen.polygon([tuple(point) for point in camera.project(ring).tolist()], fill=_SHADOW_OPACITY)
    mask = mask.filter(ImageFilter.GaussianBlur(max(room.size) * _SOFT))
    return Image.composite(Image.new("RGB", room.size, _SHADOW), room, mask)
