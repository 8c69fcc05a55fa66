"""Meshes over the photo."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from PIL import Image, ImageEnhance
from torch import Tensor

from nbf.geometry import Camera
from nbf.render.mesh import draw_mesh


def overlay(
    pixels: UInt8[np.ndarray, "h w 3"],
    vertices: Float[Tensor, "n v 3"],
    faces: Int64[Tensor, "f 3"],
    camera: Camera,
    max_side: int,
    guessed: Bool[Tensor, "n f"] | None = None,
) -> Image.Image:
    """The picture with n bodies (camera frame, metres) drawn over it; shrunk if its longer side exceeds `max_side`.

    Faces that are `guessed`, body by body, are hatched.
    """
    zoom = min(1.0, max_side / max(pixels.shape[:2]))
    photo = resized(pixels, zoom)
    if len(vertices) == 0:
        return photo
    return over(photo, draw_mesh(vertices, faces, camera.scaled(zoom), *photo.size, guessed))


def resized(pixels: UInt8[np.ndarray, "h w 3"], zoom: float) -> Image.Image:
    """The picture, `zoom` times its size."""
    height, width = pixels.shape[:2]
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    return Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def over(background: Image.Image, drawn: Float[Tensor, "h w 4"], opacity: float = 1.0) -> Image.Image:
    """`drawn` (RGBA, colours multiplied by alpha) over an RGB picture of the same size."""
    below = torch.from_numpy(np.array(background)).float() / 255
    mixed = below * (1 - opacity * drawn[..., 3:]) + opacity * drawn[..., :3]
    return Image.fromarray((mixed.clamp(0, 1) * 255).round().byte().numpy())


def faded(picture: Image.Image) -> Image.Image:
    """An RGB picture so grey and dark that colours laid over it stand out."""
    return ImageEnhance.Brightness(ImageEnhance.Color(picture).enhance(0.15)).enhance(0.65)
