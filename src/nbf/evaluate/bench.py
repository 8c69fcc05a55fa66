"""nbf-bench: two tracks of synthetic people, which come with the repository as pictures and the truth about them.

*studio*: one level camera in a plain room, one person, fully seen. *wild*: free views, clutter, bystanders, things in
front and pictures that end inside the person. `tools/draw_benchmark.py` draws them. A track is a folder of two files:

- `people.npz`, one row a person: `betas (n,s)`, `poses (n,72)` axis-angle cam_from_body, `trans (n,3)` camera metres,
  `focal (n,)` and `center (n,2)` of the crop's camera, `joints (n,24,3)` camera metres. All float32.
- `pictures.zip`, two files a person: `0000.webp`, the crop, and `0000_labels.webp`, without loss, whose every channel
  is the part (0 to 24) of the person that the pixel sees.
"""

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray
from PIL import Image
from torch import Tensor

from nbf.body.files import load_body
from nbf.body.model import BodyModel
from nbf.data import blobs
from nbf.data.sets.nbf_bench import (
    ANEW,
    DAMAGED,
    NUMBERS,
    PICTURES,
    SHAPES,
    crop_name,
    labels_name,
    member,
    read_numbers,
)
from nbf.errors import DataError
from nbf.files import replacing
from nbf.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from nbf.nets.segmenter import INPUT_SIZE
from nbf.reading import Damaged
from nbf.synth.labels import PARTS, soft_one_hot
from nbf.synth.sampler import STRIDE
from nbf.synth.tracks import Track

FOLDER = Path("benchmarks/people")
"""Of the two tracks, in the repository."""
GROUP = 20
"""People are handed out, and drawn, so many at a time."""
QUALITY = 85
"""Of the crops, as WebP counts: 0 to 100."""


@dataclass(frozen=True)
class Group:
    """Some people as a batch, on the CPU: `image (n,3,256,256)` in [0,1], `labels (n,256,256)` the part that each pixel
    sees, `parts (n,25,64,64)` their shares in cells of 4 x 4 pixels, `ignore (n,64,64)` (nothing is), `betas`,
    `rotations` cam_from_body, `translation` and `joints_3d` camera metres, `focal` and `center` crop pixels."""

    batch: dict[str, Tensor]


@dataclass(frozen=True)
class Benchmark:
    """The people of one track; use `load`."""

    folder: Path
    body: BodyModel
    """The body model whose parameters the people carry."""
    numbers: dict[str, Tensor]
    """The arrays of `people.npz`."""

    @classmethod
    def load(cls, track: Track, folder: Path = FOLDER) -> "Benchmark":
        """The people of a track. `folder` has a folder for each track.

        Raises:
            DataError: the track is not there, or is damaged, or is about another body model.
        """
        folder = folder / track
        if not all((folder / name).is_file() for name in (NUMBERS, PICTURES)):
            raise DataError(
                f"{folder}: expected {NUMBERS} and {PICTURES} of nbf-bench. They come with the repository, not with "
                f"the installed package: clone it and run there, or name its benchmarks/people with --people DIR"
            )
        numbers = {name: torch.from_numpy(array) for name, array in read_numbers(folder).items()}
        try:
            with zipfile.ZipFile(folder / PICTURES) as file:
                pictures = len(file.namelist())
        except DAMAGED as error:
            raise DataError(f"{folder}: cannot be read ({error}); {ANEW}") from error
        count, body = len(numbers["focal"]), load_body("anny24", "full")
        if (shapes := numbers["betas"].shape[1]) != body.shape_count:
            raise DataError(f"{folder / NUMBERS}: expected {body.shape_count} betas a person, got {shapes}; {ANEW}")
        if pictures != 2 * count:
            raise DataError(f"{folder / PICTURES}: expected {2 * count} pictures, got {pictures}; {ANEW}")
        return cls(folder, body, numbers)

    def __len__(self) -> int:
        return len(self.numbers["focal"])

    def groups(self, count: int) -> Iterator[Group]:
        """The first `count` people, at most as many as there are; the last group may be short.

        Raises:
            DataError: a picture is damaged.
        """
        with zipfile.ZipFile(self.folder / PICTURES) as pictures:
            for first in range(0, count, GROUP):
                yield Group(self._batch(pictures, range(first, min(first + GROUP, count))))

    def _batch(self, pictures: zipfile.ZipFile, people: range) -> dict[str, Tensor]:
        try:
            crops = np.stack([blobs.decode(member(pictures, crop_name(i))) for i in people])
            labels = np.stack([blobs.decode_labels(member(pictures, labels_name(i))) for i in people])
            if (
                crops.shape[1:] != (INPUT_SIZE, INPUT_SIZE, 3)
                or labels.shape[1:] != (INPUT_SIZE, INPUT_SIZE)
                or labels.max() >= PARTS
            ):
                raise Damaged(
                    f"expected crops of {INPUT_SIZE} x {INPUT_SIZE} with labels below {PARTS}, got {crops.shape[1:]}"
                )
        except DAMAGED as error:
            raise DataError(f"{self.folder / PICTURES}: cannot be read ({error}); {ANEW}") from error
        parts = soft_one_hot(torch.from_numpy(labels).long(), STRIDE)
        numbers = {name: value[people.start : people.stop] for name, value in self.numbers.items()}
        return {
            "image": torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255,
            "labels": torch.from_numpy(labels),
            "parts": parts,
            "ignore": torch.zeros(len(people), *parts.shape[-2:], dtype=torch.bool),
            "betas": numbers["betas"],
            "rotations": matrix_from_axis_angle(numbers["poses"].unflatten(-1, (24, 3))),
            "translation": numbers["trans"],
            "joints_3d": numbers["joints"],
            "focal": numbers["focal"],
            "center": numbers["center"],
        }


def save(batches: Iterable[dict[str, Tensor]], folder: Path) -> None:
    """Write people as one track: batches of `nbf.synth.sampler.Sampler`, or of a `Group`, into the track's folder."""
    rows: list[dict[str, ndarray]] = []
    count = 0
    with (
        replacing(folder / NUMBERS) as numbers,
        replacing(folder / PICTURES) as pictures,
        zipfile.ZipFile(pictures, "w") as file,
    ):
        for batch in batches:
            rows.append({name: value.numpy() for name, value in _numbers(batch).items()})
            crops = (batch["image"] * 255).round().byte().permute(0, 2, 3, 1).numpy()
            for crop, labels in zip(crops, batch["labels"].numpy(), strict=True):
                add(file, crop_name(count), blobs.encode(Image.fromarray(crop), "WEBP", quality=QUALITY, method=6))
                add(file, labels_name(count), blobs.encode_labels(Image.fromarray(labels)))
                count += 1
        np.savez_compressed(
            numbers, allow_pickle=False, **{name: np.concatenate([row[name] for row in rows]) for name in SHAPES}
        )


def _numbers(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        "betas": batch["betas"],
        # In float64: of the way there and back again only the rounding of the result is left.
        "poses": axis_angle_from_matrix(batch["rotations"].double()).float().flatten(1),
        "trans": batch["translation"],
        "focal": batch["focal"],
        "center": batch["center"],
        "joints": batch["joints_3d"],
    }


def add(file: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Put a file into a track's archive."""
    # Without the hour, so that the same people make the same file.
    file.writestr(zipfile.ZipInfo(name), content)
