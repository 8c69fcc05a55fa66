"""Training scenes for the locator: whole pictures with none to several real people and a box around each."""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor
from torch.nn.functional import pad

from nbf.data.labelled import IGNORE
from nbf.data.pack import Photos
from nbf.geometry.window import Window, clip, pixel_grid, read
from nbf.synth.background import Backgrounds
from nbf.synth.degrade import degrade, dim
from nbf.synth.view import chance, normal, uniform

RESOLUTION = 256
MOST_PEOPLE = 24
WHOLE_PHOTOS = 0.7
"""Share of scenes that are windows of a real photo; the rest are people pasted on backgrounds."""
NOBODY = 0.2
"""Share of those windows that show a photo without people, where there are such photos."""
TURNED = 0.1
"""Share of those windows that are turned: half of them by quarters, half by any angle."""
ZOOMS = (0.3, 0.35, 0.2, 0.15)
"""Shares of windows: the whole photo as the predictor sees it, a part of it, closer than a person, from afar."""
PASTED = 4
COUNTS = (0.25, 0.3, 0.22, 0.13, 0.1)
"""Shares of pasted scenes with 0..PASTED people."""
LEAST_SEEN = 0.3
"""A pasted person less visible than this share of its pixels within the picture is to be ignored."""
LEAST_PIXELS = 150.0
LEAST_SHARE, MUCH = 0.1, 0.2
"""A person in a window counts if this share of the box is inside, or if the inside fills that share of the window."""
LEAST_SIDE = 8 / RESOLUTION
"""Of a box's longer side, in sides of the scene: smaller people are to be ignored."""


class RealScenes:
    """Draws scenes from a decoded pack. Photos with unlabelled people serve only to cut the labelled ones out."""

    def __init__(self, photos: Photos, backgrounds: Backgrounds) -> None:
        """`backgrounds` must lie on the device of the photos."""
        self.photos, self.backgrounds = photos, backgrounds
        self._rows, self._listed = photos.people_by_photo(MOST_PEOPLE)
        # Windows are drawn by person, not by photo: groups and crowds are rare.
        self._shown = (photos.complete[photos.photo] & ~photos.ignore).nonzero()[:, 0]
        self._empty = (photos.complete & ~self._listed.any(1)).nonzero()[:, 0]
        self._cutouts = (photos.clean_mask[photos.photo] & ~photos.ignore).nonzero()[:, 0]

    def sample(self, count: int, generator: Generator) -> dict[str, Tensor]:
        """`count` random scenes. The generator must be on the photos' device.

        Returns:
            image (n, 3, 256, 256) in [0, 1]; boxes (n, 24, 4) as (x0, y0, x1, y1) in [0, 1] of the image; valid (n, 24)
            which of the boxes hold a person; ignore (n, 24) which hold nobody knows what; real (n,) all True.
        """
        photos = self._photo_windows(count, generator)
        pasted = self._pasted(count, generator)
        whole = chance(count, WHOLE_PHOTOS, generator)
        image, boxes, valid, ignore = (
            torch.where(whole.view(-1, *[1] * (some.ndim - 1)), some, other)
            for some, other in zip(photos, pasted, strict=True)
        )
        return {
            "image": degrade(dim(image, generator), generator),
            "boxes": boxes,
            "valid": valid,
            "ignore": ignore,
            "real": torch.ones(count, dtype=torch.bool, device=image.device),
        }

    def _photo_windows(self, count: int, generator: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Windows of complete photos, from far around the picture down to a part of one person."""
        photos = self.photos
        photo, box = self._drawn(count, generator)
        window = _random_window(photos.size[photo], box, generator)
        points = window.to_photo(pixel_grid(RESOLUTION, generator.device)[None])
        image = read(photos.images[photo].float() / 255, points)

        rows = self._rows[photo]
        boxes = window.frames(photos.boxes[rows]) / 2 + 0.5
        clipped = boxes.clamp(0, 1)
        inside = _area(clipped)
        seen = (inside > LEAST_SHARE * _area(boxes)) | (inside > MUCH)
        valid = seen & ((clipped[..., 2:] - clipped[..., :2]).amax(-1) >= LEAST_SIDE) & ~photos.ignore[rows]
        present = self._listed[photo] & (inside > 0)
        return image, clipped, valid & present, ~valid & present

    def _drawn(self, count: int, generator: Generator) -> tuple[Int64[Tensor, " n"], Float[Tensor, "n 4"]]:
        """Photos, and in each the box of a person, or the whole photo where nobody is in it."""
        photos, device = self.photos, generator.device
        person = self._shown[torch.randint(len(self._shown), (count,), generator=generator, device=device)]
        photo, box = photos.photo[person], photos.boxes[person]
        if len(self._empty):
            empty = self._empty[torch.randint(len(self._empty), (count,), generator=generator, device=device)]
            nobody = chance(count, NOBODY, generator)
            photo = torch.where(nobody, empty, photo)
            frame = torch.cat([torch.zeros_like(photos.size), photos.size], 1)[photo]
            box = torch.where(nobody[:, None], frame, box)
        return photo, box

    def _pasted(self, count: int, generator: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """People cut out along their masks on backgrounds, later ones in front of earlier ones."""
        device = generator.device
        shares = torch.tensor(COUNTS, device=device)
        people = torch.multinomial(shares, count, replacement=True, generator=generator)
        image = self.backgrounds.sample(count, RESOLUTION, generator)
        alphas = []
        for k in range(PASTED):
            color, alpha = self._cutout(count, generator)
            alpha = alpha * (people > k)[:, None, None]
            image = torch.lerp(image, color, alpha[:, None])
            alphas = [*alphas, alpha > 0.5]
        whole = torch.stack(alphas, dim=1)
        in_front = torch.zeros_like(whole)
        for k in range(PASTED - 1):
            in_front[:, k] = whole[:, k + 1 :].any(1)
        area = whole.sum((2, 3))
        seen = (whole & ~in_front).sum((2, 3))
        valid = (area >= LEAST_PIXELS) & (seen > LEAST_SEEN * area)
        none = (0, MOST_PEOPLE - PASTED)
        return image, pad(mask_boxes(whole), (0, 0, *none)), pad(valid, none), pad((area > 0) & ~valid, none)

    def _cutout(self, count: int, generator: Generator) -> tuple[Float[Tensor, "n 3 r r"], Float[Tensor, "n r r"]]:
        """One person a scene, at random size and place: colours and coverage."""
        photos, device = self.photos, generator.device
        person = self._cutouts[torch.randint(len(self._cutouts), (count,), generator=generator, device=device)]
        photo = photos.photo[person]
        box = clip(photos.boxes[person], torch.cat([torch.zeros_like(photos.size), photos.size], 1)[photo])
        extent = (box[:, 2:] - box[:, :2]).amax(1)
        share = torch.exp(uniform((count,), math.log(0.06), math.log(1.8), generator))  # person's side in scene sides
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


def _random_window(size: Float[Tensor, "n 2"], box: Float[Tensor, "n 4"], generator: Generator) -> Window:
    """Some window of each photo (`size` is its width and height), as ZOOMS and TURNED say; `box` is a person's."""
    count, device = len(size), generator.device
    zoom = torch.multinomial(torch.tensor(ZOOMS, device=device), count, replacement=True, generator=generator)
    extent, place = box[:, 2:] - box[:, :2], uniform((count, 2), -1, 1, generator)
    whole, person = size.amax(1), extent.amax(1).clamp_min(1)
    sides = [
        whole,
        whole * torch.exp(uniform((count,), math.log(0.35), math.log(1.3), generator)),
        person * torch.exp(uniform((count,), math.log(0.25), 0.0, generator)),
        whole * torch.exp(uniform((count,), math.log(1.3), math.log(3.0), generator)),
    ]
    side = torch.stack(sides, 1).gather(1, zoom[:, None])[:, 0]
    center = torch.where(
        (zoom == 2)[:, None],
        (box[:, :2] + box[:, 2:]) / 2 + 0.35 * place * extent,
        size / 2 + place * (size - side[:, None]).abs() / 2 * (zoom > 0)[:, None],
    )
    quarters = torch.randint(1, 4, (count,), generator=generator, device=device) * (math.pi / 2)
    further = uniform((count,), -math.pi / 4, math.pi / 4, generator) * chance(count, 0.5, generator)
    angle = (quarters + further) * chance(count, TURNED, generator)
    return Window(center, side, angle, chance(count, 0.5, generator))


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
