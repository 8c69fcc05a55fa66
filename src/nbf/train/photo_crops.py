"""Training crops of real people: what the segmenter sees, with part and keypoint labels, augmented on the device."""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d, one_hot

from nbf.body.joints import MIRROR_COCO17
from nbf.body.parts import MIRROR24
from nbf.data.fits import FittedBodies
from nbf.data.labelled import IGNORE, UNKNOWN
from nbf.data.pack import Photos
from nbf.geometry.window import Window, clip, pixel_grid, read, within
from nbf.synth.background import Backgrounds
from nbf.synth.degrade import degrade, dim
from nbf.synth.occluders import sample_masks
from nbf.synth.view import chance, normal, uniform

RESOLUTION = 256
STRIDE = 4
MARGIN = 1.2
"""Crop side over box side, as at prediction."""
LEAST_KEYPOINTS = 5
"""Trusted keypoints with which a person is worth learning from without a part map."""
_SUBSAMPLES = 2  # labels are read at so many points of an output pixel along each axis, for soft borders
_TOUCHING = 3.0  # pixels between box and border of the photo, below which the border may cut the person off
_FAR = 1e6
TURN_DEG = 12.0
"""Standard deviation of the rotation; 25 degrees at most."""
ANY_TURN = 0.25
"""Share turned by any angle instead."""
HALF_LENGTH = 0.3
"""Share cut off below: the pack shows mostly whole people, pictures often do not."""
HEADLESS = 0.05
"""Share cut off above."""
OCCLUDED = 0.3
"""Share with something in front."""
OTHER_BACKGROUND = 0.5
"""Share, of the people with a sharp mask, that get another background."""


class RealCrops:
    """Draws batches of augmented person crops from a decoded pack.

    Pixels outside the picture are black and labelled background, as the predictor's crops have them. Other people of
    the same picture are background outside the person's own box and ignored inside it.
    """

    def __init__(self, photos: Photos, backgrounds: Backgrounds, bodies: FittedBodies | None = None) -> None:
        """`backgrounds` and `bodies` must lie on the device of the photos.

        `people` are the rows of the pack that `sample` draws from: those who have labels to learn from.
        """
        self.photos, self.backgrounds, self.bodies = photos, backgrounds, bodies
        self.people = labelled_people(photos)
        self._others = _other_boxes(photos)
        self._mirror_parts = torch.tensor(MIRROR24, device=photos.images.device)
        self._mirror_keypoints = torch.tensor(MIRROR_COCO17, device=photos.images.device)

    def sample(self, count: int, generator: Generator) -> dict[str, Tensor]:
        """`count` random ones of `people`, augmented. The generator must be on the photos' device.

        Returns the keys of the synthetic sampler that real photos have labels for:
            image (n, 3, 256, 256) in [0, 1]; parts (n, 25, 64, 64) share of each part among the labelled points of a
            pixel; ignore (n, 64, 64) bool; keypoints (n, 17, 3) COCO-17 (x, y, weight) in crop pixels; real (n,) True;
            with bodies also what `FittedBodies.labels` returns.
        """
        person = self.people[torch.randint(len(self.people), (count,), generator=generator, device=generator.device)]
        photo = self.photos.photo[person]
        replaced = self.photos.clean_mask[photo] & chance(count, OTHER_BACKGROUND, generator)
        window, frame = self._random_window(person, replaced, generator)
        batch, points = self._labelled(person, window, frame)

        image = self._read_image(photo, points)
        image = torch.where(
            replaced[:, None, None, None], self._replace_background(image, photo, points, generator), image
        )
        hidden = sample_masks(count, RESOLUTION, OCCLUDED, generator)
        image = torch.where(hidden[:, None], self.backgrounds.sample(count, RESOLUTION, generator), image)
        batch["image"] = degrade(dim(image, generator), generator) * within(points, frame)[:, None]
        return self._hide(batch, hidden)

    def plain(self, person: Int64[Tensor, " n"]) -> dict[str, Tensor]:
        """The given people as the predictor would crop them, without augmentation; keys as `sample`."""
        frame = self._frame(person)
        box = clip(self.photos.boxes[person], frame)
        zero = torch.zeros(len(person), device=box.device)
        center, side = (box[:, :2] + box[:, 2:]) / 2, (box[:, 2:] - box[:, :2]).amax(1) * MARGIN
        batch, points = self._labelled(person, Window(center, side, zero, zero > 0), frame)
        batch["image"] = self._read_image(self.photos.photo[person], points) * within(points, frame)[:, None]
        return batch

    def _frame(self, person: Int64[Tensor, " n"]) -> Float[Tensor, "n 4"]:
        size = self.photos.size[self.photos.photo[person]]
        return torch.cat([torch.zeros_like(size), size], dim=1)

    def _random_window(
        self, person: Int64[Tensor, " n"], replaced: Bool[Tensor, " n"], generator: Generator
    ) -> tuple[Window, Float[Tensor, "n 4"]]:
        """Which window of the photo becomes the crop, and the frame outside of which nothing is seen."""
        count, frame = len(person), self._frame(person)
        box = clip(self.photos.boxes[person], frame)
        # Another background reaches as far as one likes, but not past a border of the photo that cuts the person off.
        touching = (box - frame).abs() < _TOUCHING
        frame = torch.where(replaced[:, None] & ~touching, frame.new_tensor([-_FAR, -_FAR, _FAR, _FAR]), frame)
        height = box[:, 3] - box[:, 1]
        cut_bottom = chance(count, HALF_LENGTH, generator)
        cut_top = ~cut_bottom & chance(count, HEADLESS, generator)
        bottom = box[:, 1] + height * uniform((count,), 0.3, 0.9, generator)
        top = box[:, 1] + height * uniform((count,), 0.05, 0.4, generator)
        frame[:, 1] = torch.where(cut_top, top, frame[:, 1])
        frame[:, 3] = torch.where(cut_bottom, bottom, frame[:, 3])
        box = clip(box, frame)

        limit = math.radians(25)
        angle = normal((count,), math.radians(TURN_DEG), generator).clamp(-limit, limit)
        anyhow = uniform((count,), -math.pi, math.pi, generator)
        angle = torch.where(chance(count, ANY_TURN, generator), anyhow, angle)
        scale = torch.exp(uniform((count,), math.log(0.85), math.log(1.25), generator))
        # What is turned has another box, which the crop fits.
        middle, turned = (box[:, :2] + box[:, 2:]) / 2, Window(box[:, :2], torch.ones_like(angle), angle, cut_top)
        seen = turned.frames(box[:, None])[:, 0]
        side = (seen[:, 2:] - seen[:, :2]).amax(1) / 2 * MARGIN
        center = middle + uniform((count, 2), -0.08, 0.08, generator) * side[:, None]
        return Window(center, side * scale, angle, chance(count, 0.5, generator)), frame

    def _labelled(
        self, person: Int64[Tensor, " n"], window: Window, frame: Float[Tensor, "n 4"]
    ) -> tuple[dict[str, Tensor], Float[Tensor, "n r r 2"]]:
        """Everything but the image, and the photo pixel under each crop pixel."""
        device = person.device
        fine = window.to_photo(pixel_grid(RESOLUTION // STRIDE * _SUBSAMPLES, device)[None])
        labels = self._read_labels(person, fine, frame)
        swapped = torch.where(labels < UNKNOWN, self._mirror_parts[labels.clamp(max=UNKNOWN - 1)], labels)
        shares, ignore = soften(torch.where(window.mirrored[:, None, None], swapped, labels))

        keypoints = self.photos.keypoints[person]
        in_frame = within(keypoints[..., :2], frame)[..., None]
        mirrored = window.mirrored[:, None, None]
        keypoints = torch.where(mirrored, keypoints[:, self._mirror_keypoints], keypoints)
        in_frame = torch.where(mirrored, in_frame[:, self._mirror_keypoints], in_frame)
        unit = window.to_unit(keypoints[..., :2])
        in_frame = in_frame & (unit.abs() < 1).all(-1, keepdim=True)
        batch = {
            "parts": shares,
            "ignore": ignore,
            "keypoints": torch.cat([(unit + 1) / 2 * RESOLUTION, keypoints[..., 2:] * in_frame], dim=-1),
            "real": torch.ones(len(person), dtype=torch.bool, device=device),
        }
        if self.bodies is not None:
            batch |= self.bodies.labels(person, window, RESOLUTION)
        return batch, window.to_photo(pixel_grid(RESOLUTION, device)[None])

    def _read_image(self, photo: Int64[Tensor, " n"], points: Float[Tensor, "n r r 2"]) -> Float[Tensor, "n 3 r r"]:
        return read(self.photos.images[photo].float() / 255, points)

    def _read_labels(
        self, person: Int64[Tensor, " n"], points: Float[Tensor, "n h w 2"], frame: Float[Tensor, "n 4"]
    ) -> Int64[Tensor, "n h w"]:
        """The label under each point: 0 outside the frame and on other people, IGNORE where people's boxes overlap."""
        x, y = points.long().clamp(0, self.photos.labels.shape[-1] - 1).unbind(-1)
        labels = self.photos.labels[self.photos.photo[person][:, None, None], y, x].long()
        others = torch.zeros_like(labels, dtype=torch.bool)
        boxes = self._others[person]
        for box in boxes[:, boxes[..., 2].any(0)].unbind(1):
            others |= within(points, box)
        own = within(points, self.photos.boxes[person])
        labels = torch.where(others & (labels > 0), torch.where(own, IGNORE, 0), labels)
        return torch.where(within(points, frame) & within(points, self._frame(person)), labels, 0)

    def _replace_background(
        self,
        image: Float[Tensor, "n 3 r r"],
        photo: Int64[Tensor, " n"],
        points: Float[Tensor, "n r r 2"],
        generator: Generator,
    ) -> Float[Tensor, "n 3 r r"]:
        labels = self.photos.labels[photo][:, None]
        alpha = read(((labels > 0) & (labels != IGNORE)).float(), points)
        return torch.lerp(self.backgrounds.sample(len(image), RESOLUTION, generator), image, alpha)

    @staticmethod
    def _hide(batch: dict[str, Tensor], hidden: Bool[Tensor, "n r r"]) -> dict[str, Tensor]:
        """Background labels where something stands in front of the person."""
        seen = 1 - avg_pool2d(hidden[:, None].float(), STRIDE)
        parts = batch["parts"] * seen
        parts[:, 0] += 1 - seen[:, 0]
        return batch | {"parts": parts, "ignore": batch["ignore"] & (seen[:, 0] >= 0.5)}


def soften(labels: Int64[Tensor, "n h w"]) -> tuple[Float[Tensor, "n 25 h2 w2"], Bool[Tensor, "n h2 w2"]]:
    """Shares of the parts among the labelled points of each output pixel, and where to ignore it.

    A pixel is ignored when half of its points or more have no label; its shares are then background.
    """
    known = labels < UNKNOWN
    shares = one_hot(torch.where(known, labels, 0), 25).movedim(-1, 1).float() * known[:, None]
    shares, sure = avg_pool2d(shares, _SUBSAMPLES), avg_pool2d(known[:, None].float(), _SUBSAMPLES)
    ignore = sure[:, 0] <= 0.5
    background = one_hot(torch.zeros_like(ignore, dtype=torch.long), 25).movedim(-1, 1).float()
    return torch.where(ignore[:, None], background, shares / sure.clamp_min(1e-6)), ignore


def labelled_people(photos: Photos) -> Int64[Tensor, " k"]:
    """Rows of the people with at least LEAST_KEYPOINTS trusted keypoints, or with one and a part map."""
    trusted = (photos.keypoints[..., 2] > 0).sum(1)
    enough = (trusted >= LEAST_KEYPOINTS) | ((trusted > 0) & photos.mapped()[photos.photo])
    return (enough & ~photos.ignore).nonzero()[:, 0]


def _other_boxes(photos: Photos) -> Float[Tensor, "n most 4"]:
    """Boxes of the other people in each person's photo, padded with empty ones."""
    rows, listed = photos.people_by_photo(int(torch.bincount(photos.photo[~photos.ignore]).max()))
    rows, listed = rows[photos.photo], listed[photos.photo]
    other = listed & ~photos.ignore[rows] & (rows != torch.arange(len(rows), device=rows.device)[:, None])
    return photos.boxes[rows] * other[..., None]
