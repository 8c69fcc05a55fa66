"""The real photos as one small file: what training carries to another machine.

Whole photos are stored, not crops: one copy then serves the segmenter (person crops) and the locator (scenes), and a
person keeps as many pixels as the file size allows. WebP at equal quality is a third smaller than JPEG.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from nbf.data import blobs
from nbf.data.labelled import IGNORE, UNKNOWN, LabelledPerson, LabelledPicture, Pictures
from nbf.errors import DataError
from nbf.files import replacing
from nbf.reading import Array, Damaged, read_npz, refusing

logger = logging.getLogger(__name__)

SIDE = 288
QUALITY = 78
_FAR = 1e6
_ARRAYS = {
    "names": Array("U", ("p",)),
    "images": Array(np.uint8, ("image_bytes",)),
    "image_offsets": Array(np.int64, ("p_plus_1",)),
    "labels": Array(np.uint8, ("label_bytes",)),
    "label_offsets": Array(np.int64, ("p_plus_1",)),
    "photo": Array(np.int64, ("n",), low=0),
    "boxes": Array(np.float32, ("n", 4), low=-_FAR, high=_FAR),
    "keypoints": Array(np.float32, ("n", 17, 3), low=-_FAR, high=_FAR),
    "ignore": Array(bool, ("n",)),
    "complete": Array(bool, ("p",)),
    "clean_mask": Array(bool, ("p",)),
}


@dataclass(frozen=True)
class PhotoPack:
    """P photos, encoded, with N labelled people; coordinates in stored pixels."""

    names: list[str]
    images: list[bytes]
    labels: list[bytes]
    """0 background, 1..24 parts, 25 person of unknown part, 26 neither."""
    photo: Int64[ndarray, " n"]
    """The photo of each person."""
    boxes: Float32[ndarray, "n 4"]
    """(x0, y0, x1, y1)."""
    keypoints: Float32[ndarray, "n 17 3"]
    """COCO-17 (x, y, weight)."""
    ignore: Bool[ndarray, " n"]
    """Boxes of which nobody knows whether they hold a person: neither that nor background."""
    complete: Bool[ndarray, " p"]
    """Everybody in the photo is labelled; of some, nobody is in it."""
    clean_mask: Bool[ndarray, " p"]
    """People may be cut out along their mask."""

    def save(self, path: Path) -> None:
        image_run, image_offsets = blobs.join(self.images)
        label_run, label_offsets = blobs.join(self.labels)
        with replacing(path) as draft:
            np.savez_compressed(
                draft,
                names=np.array(self.names),
                images=image_run,
                image_offsets=image_offsets,
                labels=label_run,
                label_offsets=label_offsets,
                photo=self.photo,
                boxes=self.boxes,
                keypoints=self.keypoints,
                ignore=self.ignore,
                complete=self.complete,
                clean_mask=self.clean_mask,
            )

    @staticmethod
    def load(path: Path) -> "PhotoPack":
        """Read a pack.

        Raises:
            DataError: the file is missing, is no pack or is one of an earlier version.
        """
        if not path.is_file():
            raise DataError(f"no pack of real photos at {path}: make it with `python tools/pack_training.py`")
        anew = f"make it anew with `python tools/pack_training.py --again {path.name}`"
        with refusing(DataError, path, "a pack of real photos", anew):
            held = read_npz(path, _ARRAYS)
            images = blobs.cut(held.pop("images"), held.pop("image_offsets"))
            labels = blobs.cut(held.pop("labels"), held.pop("label_offsets"))
            names = held.pop("names").tolist()
            if not len(images) == len(labels) == len(names):
                raise Damaged(f"expected {len(names)} pictures and as many of labels, got {len(images)}, {len(labels)}")
            if held["photo"].max(initial=-1) >= len(names):
                raise Damaged(f"expected photos 0 to {len(names) - 1} in photo, got {held['photo'].max()}")
            return PhotoPack(names=names, images=images, labels=labels, **held)

    def decode(self, side: int = SIDE) -> "Photos":
        """Decode everything into square canvases, pictures in the upper left corner.

        Raises:
            DataError: a picture is damaged, or larger than its canvas.
        """
        count = len(self.images)
        images = np.zeros((count, 3, side, side), np.uint8)
        labels = np.zeros((count, side, side), np.uint8)
        size = np.zeros((count, 2), np.float32)

        def place(i: int) -> None:
            with refusing(DataError, self.names[i][:80], "a photo with labels", "make the pack anew"):
                pixels, seen = blobs.decode(self.images[i]), blobs.decode_labels(self.labels[i])
                height, width = seen.shape
                if pixels.shape != (height, width, 3) or max(height, width) > side or seen.max() > IGNORE:
                    raise Damaged(
                        f"expected {width} x {height} pixels, at most {side} a side, with labels up to {IGNORE}, got "
                        f"{pixels.shape[1]} x {pixels.shape[0]} with labels up to {seen.max()}"
                    )
            images[i, :, :height, :width] = pixels.transpose(2, 0, 1)
            labels[i, :height, :width] = seen
            size[i] = width, height

        with ThreadPoolExecutor() as pool:  # Pillow decodes without Python's lock
            list(pool.map(place, range(count)))
        return Photos(
            images=torch.from_numpy(images),
            labels=torch.from_numpy(labels),
            size=torch.from_numpy(size),
            photo=torch.from_numpy(self.photo),
            boxes=torch.from_numpy(self.boxes),
            keypoints=torch.from_numpy(self.keypoints),
            ignore=torch.from_numpy(self.ignore),
            complete=torch.from_numpy(self.complete),
            clean_mask=torch.from_numpy(self.clean_mask),
        )


@dataclass(frozen=True)
class Photos:
    """A decoded pack on one device."""

    images: UInt8[Tensor, "p 3 side side"]
    labels: UInt8[Tensor, "p side side"]
    size: Float32[Tensor, "p 2"]
    """Width and height of the picture inside its canvas."""
    photo: Int64[Tensor, " n"]
    boxes: Float32[Tensor, "n 4"]
    keypoints: Float32[Tensor, "n 17 3"]
    ignore: Bool[Tensor, " n"]
    complete: Bool[Tensor, " p"]
    clean_mask: Bool[Tensor, " p"]

    def to(self, device: torch.device | str) -> "Photos":
        return Photos(**{name: value.to(device) for name, value in vars(self).items()})

    def mapped(self) -> Bool[Tensor, " p"]:
        """Which photos have a part map."""
        return torch.stack([((labels > 0) & (labels < UNKNOWN)).any() for labels in self.labels])

    def people_by_photo(self, most: int) -> tuple[Int64[Tensor, "p {most}"], Bool[Tensor, "p {most}"]]:
        """The first `most` people of each photo, those to ignore last; and which entries are people, not padding."""
        order = (2 * self.photo + self.ignore).argsort(stable=True)
        owner, count = self.photo[order], torch.bincount(self.photo, minlength=len(self.images))
        place = torch.arange(len(order), device=order.device) - (count.cumsum(0) - count)[owner]
        fits = place < most
        rows = order.new_zeros(len(self.images), most)
        rows[owner[fits], place[fits]] = order[fits]
        return rows, torch.arange(most, device=order.device) < count[:, None]


def pack_photos(photos: Sequence[LabelledPicture], side: int = SIDE, quality: int = QUALITY) -> PhotoPack:
    """Shrink photos to at most `side` pixels, scale their coordinates likewise, and encode them.

    Without a map of our parts, a mask says where people are; without one, all pixels are unsure. Raises DataError where
    somebody has neither box nor joints, or nobody is there at all.
    """
    if not any(photo.people for photo in photos):
        raise DataError("photos: expected some with people, got none")
    images, labels, owner, people, scales = [], [], [], [], []
    for i, photo in enumerate(photos):
        original = Image.fromarray(photo.pixels())
        small = blobs.shrink(original, side)
        images.append(blobs.encode(small, "WEBP", quality=quality, method=6))
        labels.append(blobs.encode_labels(blobs.shrink(Image.fromarray(_labels(photo, original)), side, labels=True)))
        people += photo.people
        owner += [i] * len(photo.people)
        scales += [[small.width / original.width, small.height / original.height]] * len(photo.people)
    scale = np.array(scales, np.float32)
    return PhotoPack(
        names=[photo.name for photo in photos],
        images=images,
        labels=labels,
        photo=np.array(owner, np.int64),
        boxes=np.stack([_box(person) for person in people]) * np.tile(scale, 2),
        keypoints=np.stack([person.keypoints() for person in people]) * np.insert(scale, 2, 1, axis=1)[:, None],
        ignore=np.array([person.ignore for person in people]),
        complete=np.array([photo.complete for photo in photos]),
        clean_mask=np.array([photo.clean_mask for photo in photos]),
    )


def packable(pictures: Pictures, row: int) -> LabelledPicture | None:
    """A picture that can be packed, of those of its people who have boxes or joints; None, and a warning, otherwise."""
    try:
        picture = pictures[row]
        picture.pixels()
        people = tuple(person for person in picture.people if person.bounds() is not None)
        complete = picture.complete and len(people) == len(picture.people)
        return replace(picture, people=people, complete=complete)
    except DataError as error:
        logger.warning("left out: %s", error)
        return None


def _labels(photo: LabelledPicture, original: Image.Image) -> UInt8[ndarray, "h w"]:
    schemes = [each.scheme for each in photo.maps]
    if "parts24" in schemes:
        return photo.labels()
    nothing = np.zeros((original.height, original.width), np.uint8)
    if "mask" not in schemes:
        return nothing + np.uint8(IGNORE)
    mask = photo.labels("mask")
    return np.where(mask == 1, UNKNOWN, mask).astype(np.uint8)


def _box(person: LabelledPerson) -> Float32[ndarray, " 4"]:
    bounds = person.bounds()
    if bounds is None:
        raise DataError("photos: expected a box or joints of everybody, got somebody without")
    return bounds


def load_photos(cache: Path, split: str) -> Photos | None:
    """The decoded pack of real photos of a split; None, and a warning, where there is none."""
    path = cache / f"real_{split}.npz"
    if path.is_file():
        return PhotoPack.load(path).decode()
    logger.warning("no real photos at %s: training on synthetic people alone", path)
    return None
