"""Training scenes for the locator: whole pictures with none to several real people and a box around each."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from nbf.data.pack import Photos
from nbf.data.real import IGNORE
from nbf.data.window import Window, clip, pixel_grid, read
from nbf.synth.background import Backgrounds
from nbf.synth.degrade import degrade
from nbf.synth.view import chance, normal, uniform

RESOLUTION = 256
MOST_PEOPLE = 4
WHOLE_PHOTOS = 0.35
"""Share of scenes that are windows of a real photo; the rest are people pasted on backgrounds."""
COUNTS = (0.25, 0.3, 0.22, 0.13, 0.1)
"""Shares of pasted scenes with 0..4 people."""
LEAST_SEEN = 0.3
"""A pasted person less visible than this share of its pixels within the picture gets no box."""
LEAST_PIXELS = 150.0


class RealScenes:
    """Draws scenes from a decoded pack. Photos with unlabelled people serve only to cut the labelled ones out."""

    def __init__(self, photos: Photos, backgrounds: Backgrounds) -> None:
        """`backgrounds` must lie on the device of the photos."""
        self.photos, self.backgrounds = photos, backgrounds
        self._whole = photos.complete.nonzero()[:, 0]
        self._cutouts = photos.clean_mask[photos.photo].nonzero()[:, 0]

    def sample(self, count: int, generator: Generator) -> dict[str, Tensor]:
        """`count` random scenes. The generator must be on the photos' device.

        Returns:
            image (n, 3, 256, 256) in [0, 1]; boxes (n, 4, 4) as (x0, y0, x1, y1) in [0, 1] of the image; valid (n, 4)
            which of the boxes hold; real (n,) all True.
        """
        photo_image, photo_boxes, photo_valid = self._photo_windows(count, generator)
        image, boxes, valid = self._pasted(count, generator)
        whole = chance(count, WHOLE_PHOTOS, generator)
        image = torch.where(whole[:, None, None, None], photo_image, image)
        return {
            "image": degrade(image, generator),
            "boxes": torch.where(whole[:, None, None], photo_boxes, boxes),
            "valid": torch.where(whole[:, None], photo_valid, valid),
            "real": torch.ones(count, dtype=torch.bool, device=image.device),
        }

    def _photo_windows(self, count: int, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Upright windows of complete photos, from the whole letterboxed picture down to a part of one person."""
        photos, device = self.photos, generator.device
        photo = self._whole[torch.randint(len(self._whole), (count,), generator=generator, device=device)]
        size = photos.size[photo]
        zoom = torch.exp(uniform((count,), math.log(0.35), math.log(1.3), generator))
        side = size.amax(1) * torch.where(chance(count, 0.3, generator), 1.0, zoom)
        room = (size - side[:, None]).abs() / 2
        center = size / 2 + uniform((count, 2), -1, 1, generator) * room
        angle = torch.zeros(count, device=device)
        window = Window(center, side, angle, chance(count, 0.5, generator))
        points = window.to_photo(pixel_grid(RESOLUTION, device)[None])
        image = read(photos.images[photo].float() / 255, points)

        owner = photos.photo[None] == photo[:, None]
        order = owner.int().argsort(dim=1, descending=True, stable=True)[:, :MOST_PEOPLE]
        valid = torch.gather(owner, 1, order)
        corners = photos.boxes[order].reshape(count, -1, 2)
        boxes = window.to_unit(corners).reshape(count, MOST_PEOPLE, 2, 2) / 2 + 0.5
        boxes = torch.cat([boxes.amin(2), boxes.amax(2)], dim=-1)
        clipped = boxes.clamp(0, 1)
        share = _area(clipped) / _area(boxes).clamp_min(1e-9)
        return image, clipped, valid & (share > 0.1)

    def _pasted(self, count: int, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """People cut out along their masks on backgrounds, later ones in front of earlier ones."""
        device = generator.device
        shares = torch.tensor(COUNTS, device=device)
        people = torch.multinomial(shares, count, replacement=True, generator=generator)
        image = self.backgrounds.sample(count, RESOLUTION, generator)
        alphas = []
        for k in range(MOST_PEOPLE):
            color, alpha = self._cutout(count, generator)
            alpha = alpha * (people > k)[:, None, None]
            image = torch.lerp(image, color, alpha[:, None])
            alphas = [*alphas, alpha > 0.5]
        whole = torch.stack(alphas, dim=1)
        in_front = torch.zeros_like(whole)
        for k in range(MOST_PEOPLE - 1):
            in_front[:, k] = whole[:, k + 1 :].any(1)
        area = whole.sum((2, 3))
        seen = (whole & ~in_front).sum((2, 3))
        return image, mask_boxes(whole), (area >= LEAST_PIXELS) & (seen > LEAST_SEEN * area)

    def _cutout(self, count: int, generator: Generator) -> tuple[Float[Tensor, "n 3 r r"], Float[Tensor, "n r r"]]:
        """One person a scene, at random size and place: colours and coverage."""
        photos, device = self.photos, generator.device
        person = self._cutouts[torch.randint(len(self._cutouts), (count,), generator=generator, device=device)]
        photo = photos.photo[person]
        box = clip(photos.boxes[person], torch.cat([torch.zeros_like(photos.size), photos.size], 1)[photo])
        extent = (box[:, 2:] - box[:, :2]).amax(1)
        share = torch.exp(uniform((count,), math.log(0.15), math.log(1.8), generator))  # person's side in scene sides
        side = extent / share
        # The scene's middle, seen from the person: anywhere such that a good part of the person stays in the scene.
        reach = (0.5 * side[:, None] + 0.3 * (box[:, 2:] - box[:, :2])).clamp_min(1) - 0.2 * extent[:, None]
        center = (box[:, :2] + box[:, 2:]) / 2 + uniform((count, 2), -1, 1, generator) * reach
        angle = normal((count,), math.radians(8), generator)
        window = Window(center, side, angle, chance(count, 0.5, generator))
        points = window.to_photo(pixel_grid(RESOLUTION, device)[None])
        labels = photos.labels[photo][:, None]
        mask = ((labels > 0) & (labels != IGNORE)).float()
        gain = uniform((count, 1, 1, 1), 0.75, 1.2, generator)
        return (read(photos.images[photo].float() / 255, points) * gain).clamp(0, 1), read(mask, points)[:, 0]


def mask_boxes(masks: Bool[Tensor, "n m h w"]) -> Float[Tensor, "n m 4"]:
    """Tight boxes (x0, y0, x1, y1) around masks, in [0, 1] of the picture; zeros for an empty mask."""
    height, width = masks.shape[-2:]
    columns, rows = masks.any(2).float(), masks.any(3).float()
    x0, y0 = columns.argmax(-1), rows.argmax(-1)
    x1, y1 = width - columns.flip(-1).argmax(-1), height - rows.flip(-1).argmax(-1)
    boxes = torch.stack([x0 / width, y0 / height, x1 / width, y1 / height], dim=-1)
    return boxes * masks.flatten(2).any(-1, keepdim=True)


def _area(boxes: Float[Tensor, "n m 4"]) -> Float[Tensor, "n m"]:
    return (boxes[..., 2:] - boxes[..., :2]).clamp_min(0).prod(-1)
