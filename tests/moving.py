"""People who move as we say, and what would be seen of them."""

import math

import torch

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.film.sighting import BINS, GROUPS, Sightings
from nbf.geometry import matrix_from_axis_angle

RATE = 25.0
BODY = load_body("anny24", "small")


def swinging(frames: int, seed: int = 0, aside: float = 0.0, depth: float = 4.0, step: float = 0.02) -> Bodies:
    """Somebody upright whose limbs swing, and who goes to the right by `step` metres a frame."""
    generator = torch.Generator().manual_seed(seed)
    size = 0.3 * torch.rand(24, 3, generator=generator)
    size[0] = 0
    phase, pace = 6 * torch.rand(24, 1, generator=generator), 1 + torch.rand(24, 1, generator=generator)
    time = torch.arange(frames)[:, None, None] / RATE
    vectors = size * torch.sin(2 * math.pi * pace * time + phase)
    rotations = matrix_from_axis_angle(vectors)
    rotations[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    x = aside + step * torch.arange(frames)
    pelvis = torch.stack([x, torch.zeros(frames), torch.full((frames,), depth)], 1)
    return Bodies(torch.zeros(frames, BODY.shape_count), rotations, pelvis)


SIGMAS = 0.1, 0.01, 0.05
"""Of noise: turns in radians, place across, log of depth."""


def seen(bodies: Bodies, seed: int = 0, color: int = 0, noise: float = 1.0) -> Sightings:
    """Noisy fits to somebody, which know how noisy they are; dressed in one of 64 colours."""
    generator = torch.Generator().manual_seed(seed)
    count = len(bodies.betas)
    turn, place, depth = SIGMAS
    sigma = torch.cat(
        [torch.full((72,), turn), torch.tensor([place, place, depth]), torch.full((BODY.shape_count,), 0.5)]
    )
    step = noise * sigma * torch.randn(count, len(sigma), generator=generator)
    fits = bodies.moved(step)
    colors = torch.zeros(count, len(GROUPS), BINS**3)
    colors[..., color] = 1
    pixels = 500 * fits.pelvis[:, :2] / fits.pelvis[:, 2:] + 250
    boxes = torch.cat([pixels - 50, pixels + 50], 1)
    keypoints = torch.cat([pixels, torch.ones(count, 1)], 1)[:, None].expand(-1, 17, -1)
    root = torch.diag(1 / sigma).expand(count, -1, -1)
    return Sightings(boxes, torch.ones(count), keypoints.clone(), colors, fits, root)


def together(people: list[Sightings | None], frame: int) -> Sightings:
    """Everybody who is there, in one frame."""
    rows = [each[frame : frame + 1] for each in people if each is not None]
    return Sightings.joined(rows) if rows else Sightings.none(BODY.shape_count)
