"""Random views of posed people: where the camera stands, and the crop through which it looks.

The crop is described by a camera in crop pixels. A person is placed off the optical axis by a random angle and at a
random distance; focal length and principal point then follow from the wish that the crop frames the person as
`nbf.geometry.Crop.from_boxes` would frame a detected box, with the jitter of a real detector.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from nbf.geometry.camera import Camera

CROP_MARGIN = 1.2
"""Crop side over the longer side of the person's box: the default of `Crop.from_boxes`, which prediction uses."""

# Upper share of the body that is kept when a person is cut off by the picture's lower edge, and the other way round.
_TRUNCATION = (0.35, 0.85)


@dataclass(frozen=True)
class ViewConfig:
    """How the camera looks at a person."""

    elevation_deg: float = 12.0
    """Standard deviation of the camera's elevation; one view in ten has three times as much."""
    roll_deg: float = 7.0
    """Standard deviation of the camera's roll."""
    distance_m: tuple[float, float] = (2.0, 14.0)
    """Distance range, log-uniform."""
    off_axis: float = 0.12
    """Standard deviation of the tangent of the angle between person and optical axis, per axis."""
    zoom: tuple[float, float] = (0.85, 1.25)
    """Range of the crop side over its nominal size."""
    shift: float = 0.06
    """Standard deviation of the crop centre's displacement, in crop sides."""
    truncated: float = 0.2
    """Probability that the picture ends inside the person, as in portraits."""


def uniform(shape: tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    """Uniform numbers of `shape` on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device) * (high - low) + low


def normal(shape: tuple[int, ...], std: float, generator: Generator) -> Tensor:
    """Normal numbers of `shape` with mean zero on the generator's device."""
    return torch.randn(shape, generator=generator, device=generator.device) * std


def chance(count: int, probability: float, generator: Generator) -> Bool[Tensor, " count"]:
    """True with the given probability, `count` times."""
    return torch.rand(count, generator=generator, device=generator.device) < probability


def _axis_rotation(angle: Float[Tensor, " n"], axis: int) -> Float[Tensor, "n 3 3"]:
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.eye(3, device=angle.device).repeat(len(angle), 1, 1)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix[:, i, i], matrix[:, j, j], matrix[:, i, j], matrix[:, j, i] = cos, cos, -sin, sin
    return matrix


def sample_headings(count: int, generator: Generator) -> Float[Tensor, "count 3 3"]:
    """Uniform turns about the world's vertical (y)."""
    return _axis_rotation(uniform((count,), -math.pi, math.pi, generator), 1)


def sample_view_rotations(count: int, config: ViewConfig, generator: Generator) -> Float[Tensor, "count 3 3"]:
    """Rotations cam_from_world by elevation and roll (world: y up, +z towards the camera; camera: y down)."""
    steep = 1.0 + 2.0 * chance(count, 0.1, generator)
    elevation = normal((count,), math.radians(config.elevation_deg), generator) * steep
    roll = normal((count,), math.radians(config.roll_deg), generator)
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0], device=generator.device))
    return _axis_rotation(roll, 2) @ _axis_rotation(elevation, 0) @ flip


def sample_translations(height: Float[Tensor, " n"], config: ViewConfig, generator: Generator) -> Float[Tensor, "n 3"]:
    """Pelvis positions in camera metres; distance scales with height: a child is photographed from nearer."""
    near, far = (math.log(d) for d in config.distance_m)
    depth = uniform((len(height),), near, far, generator).exp() * (height / 1.7).clamp(0.5, 1.2)
    tangents = normal((len(height), 2), config.off_axis, generator).clamp(-0.4, 0.4)
    return torch.cat([tangents * depth[:, None], depth[:, None]], -1)


def frame_person(
    vertices: Float[Tensor, "n v 3"], resolution: int, config: ViewConfig, generator: Generator
) -> tuple[Camera, Float[Tensor, "n 4"]]:
    """Crop cameras that frame each person, and the rectangle (x0, y0, x1, y1, crop pixels) that the photo covers.

    Outside that rectangle there is no picture (a crop that reaches over the photo's border is black there); a person
    is truncated where the rectangle ends inside the body.
    """
    count = len(vertices)
    tangents = vertices[..., :2] / vertices[..., 2:].clamp(min=0.05)
    low, high = tangents.amin(1), tangents.amax(1)
    cut = chance(count, config.truncated, generator)
    keep = uniform((count,), *_TRUNCATION, generator)
    # Photos cut people off below (portraits) four times as often as at another edge.
    edge = torch.multinomial(
        torch.tensor([4.0, 0.5, 1.0, 1.0], device=generator.device), count, True, generator=generator
    )
    span = high - low
    photo_low, photo_high = low - 10 * span, high + 10 * span
    for side, (axis, upper) in enumerate([(1, True), (1, False), (0, True), (0, False)]):
        here = cut & (edge == side)
        end = low[:, axis] + keep * span[:, axis] if upper else high[:, axis] - keep * span[:, axis]
        bound, box = (photo_high, high) if upper else (photo_low, low)
        bound[:, axis] = torch.where(here, end, bound[:, axis])
        box[:, axis] = torch.where(here, end, box[:, axis])
    size = (high - low).amax(-1) * CROP_MARGIN * uniform((count,), *config.zoom, generator)
    middle = (low + high) / 2 + normal((count, 2), config.shift, generator) * size[:, None]
    focal = resolution / size
    center = resolution / 2 - focal[:, None] * middle
    camera = Camera(focal, center)
    photo = torch.cat([photo_low * focal[:, None] + center, photo_high * focal[:, None] + center], -1)
    return camera, photo
