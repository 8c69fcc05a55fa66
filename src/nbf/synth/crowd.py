"""Whole pictures with none to several synthetic people and their visible boxes: what the locator learns from."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbf.geometry.camera import Camera
from nbf.raster.zbuffer import Fragments
from nbf.synth import degrade, light, occluders, view
from nbf.synth.sampler import Sampler
from nbf.synth.scene import Soup, draw, look_at, pose_crowd, shade

RESOLUTION = 256
"""Side of the square picture in pixels."""
MOST_PEOPLE = 4
"""People per picture: uniform from none to this many."""
HEIGHT = (0.12, 1.4)
"""Standing height of a person in picture sides, log-uniform; above 1 the person does not fit."""
LEAST_PIXELS = 60
"""People of whom less is seen are not labelled."""


@dataclass(frozen=True)
class CrowdSampler:
    """Draws batches with `image (n,3,r,r)`, `boxes (n,m,4)` (x0,y0,x1,y1 in picture sides) and `valid (n,m)`."""

    people: Sampler

    def sample(self, count: int) -> dict[str, Tensor]:
        """A batch of `count` pictures."""
        sampler, generator = self.people, self.people.generator
        side, most = RESOLUTION, MOST_PEOPLE
        device = generator.device
        present = torch.randint(most + 1, (count, 1), generator=generator, device=device)
        image = (torch.arange(most, device=device) < present).nonzero()[:, 0]
        betas, info = sampler.draw_shapes(len(image))
        focal = view.uniform((count,), math.log(0.8), math.log(2.5), generator).exp() * side
        center = torch.full((count, 2), side / 2, device=device)
        rotations = sampler.draw_rotations(image, count)
        low, high = (math.log(h) for h in HEIGHT)
        size = view.uniform((len(image),), low, high, generator).exp()
        depth = focal[image] * info[:, 2] / (size * side)
        # Somewhere in the picture, lower when large, as feet stand on the ground and heads seldom leave the frame.
        place = torch.stack(
            [
                view.uniform((len(image),), 0.03, 0.97, generator),
                0.5 + view.normal((len(image),), 0.12, generator) + 0.4 * (size - 0.7).clamp(min=0) * 0.8,
            ],
            -1,
        )
        pelvis = torch.cat([(place - 0.5) * side * (depth / focal[image])[:, None], depth[:, None]], -1)
        translation = pelvis - sampler.body.rest_joints(betas)[:, 0]
        crowd = sampler.body(betas, rotations, translation)
        wearing, bare = sampler.closet.dress(info[:, 1], generator)
        paint = sampler.closet.paint(bare, generator)
        soup = look_at(pose_crowd(wearing, betas, crowd), image, focal, center, side)
        fragments = draw(soup, count, side, paint.textures)
        hidden = occluders.sample_masks(count, side, 0.2, generator)
        boxes, seen = visible_boxes(soup, fragments, hidden, len(image), LEAST_PIXELS)
        lights = light.sample_lights(count, generator)
        gloss = view.uniform((count,), 0.0, 0.25, generator)
        shaded = shade(soup, fragments, Camera(focal, center), paint, lights, gloss)
        picture = torch.where(
            fragments.mask[:, None], shaded.permute(0, 3, 1, 2), sampler.backgrounds.sample(count, side, generator)
        )
        picture = torch.where(hidden[:, None], sampler.backgrounds.sample(count, side, generator), picture)
        return {"image": degrade.degrade(picture, generator)} | _by_picture(boxes / side, seen, image, count, most)


def visible_boxes(
    soup: Soup, fragments: Fragments, hidden: Bool[Tensor, "n r r"], people: int, least_pixels: int
) -> tuple[Float[Tensor, "p 4"], Bool[Tensor, " p"]]:
    """Bounding box in pixels of what is seen of each person, and whether that is at least `least_pixels` pixels."""
    pixels = (fragments.mask & ~hidden).nonzero()
    person = soup.person[fragments.face[tuple(pixels.T)]]
    position = pixels[:, [2, 1]].float()
    index = person[:, None].expand(-1, 2)
    low = torch.full((people, 2), torch.inf, device=person.device).scatter_reduce(0, index, position, "amin")
    high = torch.full((people, 2), -torch.inf, device=person.device).scatter_reduce(0, index, position + 1, "amax")
    seen = torch.bincount(person, minlength=people) >= least_pixels
    return torch.where(seen[:, None], torch.cat([low, high], -1), 0.0), seen


def _by_picture(
    boxes: Float[Tensor, "p 4"], seen: Bool[Tensor, " p"], image: Int[Tensor, " p"], count: int, most: int
) -> dict[str, Tensor]:
    """Spread people (sorted by picture) over the padded rows of their pictures."""
    first = torch.searchsorted(image, torch.arange(count, device=image.device))
    row = torch.arange(len(image), device=image.device) - first[image]
    padded = torch.zeros(count, most, 4, device=image.device)
    valid = torch.zeros(count, most, dtype=torch.bool, device=image.device)
    padded[image, row], valid[image, row] = boxes, seen
    return {"boxes": padded, "valid": valid}
