"""The track *crowd* of nbf-bench: whole pictures of several people on one floor, and the truth about all of them.

`nbf.synth.gathering` draws them, `tools/draw_benchmark.py` writes them. A folder of two files:

- `crowd.npz`, float32 but for `picture`. One row a person: `picture (p,)` the row of the picture, ascending, `betas
  (p,s)`, `poses (p,72)` axis-angle cam_from_body, `trans (p,3)` camera metres, `joints (p,24,3)` camera metres, `seen
  (p,)` and `joints_seen (p,24)` shares, `sex`, `age` years, `height` metres, `mass` kilograms (p,). One row a picture:
  `focal (n,)` and `center (n,2)` pixels, `up (n,3)` and `above (n,)` metres, the floor.
- `pictures.zip`, two files a picture: `0000.webp`, and `0000_labels.webp`, without loss, whose red is the part (0 to
  24) and whose green is the person (0 nobody, else counted from 1 within the picture) that the pixel sees.
"""

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.body.model import BodyModel
from nbf.data import blobs
from nbf.data.sets.nbf_bench import ANEW, DAMAGED, PICTURES, crop_name, labels_name, member
from nbf.errors import DataError
from nbf.evaluate.bench import FOLDER, add
from nbf.files import replacing
from nbf.geometry.camera import Camera
from nbf.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from nbf.reading import Array, read_npz, refusing
from nbf.synth.gathering import Gathering

NAME = "crowd"
QUALITY = 80
"""Of the pictures, as WebP counts: 0 to 100."""
_NUMBERS = "crowd.npz"
_OF_PERSON: dict[str, tuple[int | str, ...]] = {
    "betas": ("s",), "poses": (72,), "trans": (3,), "joints": (24, 3), "seen": (), "joints_seen": (24,), "sex": (),
    "age": (), "height": (), "mass": (),
}  # fmt: skip
_OF_PICTURE: dict[str, tuple[int | str, ...]] = {"focal": (), "center": (2,), "up": (3,), "above": ()}


@dataclass(frozen=True)
class CrowdBenchmark:
    """The pictures of the track; use `load`."""

    folder: Path
    body: BodyModel
    """The body model whose parameters the people carry."""
    picture: Tensor
    """(p,) the picture of each person."""
    numbers: dict[str, Tensor]
    """The other arrays of `crowd.npz`."""

    @classmethod
    def load(cls, folder: Path = FOLDER) -> "CrowdBenchmark":
        """The track in a folder of tracks.

        Raises:
            DataError: the track is not there, or is damaged, or is about another body model.
        """
        folder = folder / NAME
        if not all((folder / name).is_file() for name in (_NUMBERS, PICTURES)):
            raise DataError(
                f"{folder}: expected {_NUMBERS} and {PICTURES} of nbf-bench. They come with the repository, not with "
                f"the installed package: clone it and run there, or name its benchmarks/people with --people DIR"
            )
        wanted = {name: Array(np.float32, ("n", *shape), -1e6, 1e6) for name, shape in _OF_PERSON.items()}
        wanted |= {name: Array(np.float32, ("p", *shape), -1e6, 1e6) for name, shape in _OF_PICTURE.items()}
        with refusing(DataError, folder / _NUMBERS, "people of nbf-bench", ANEW):
            arrays = read_npz(folder / _NUMBERS, wanted | {"picture": Array(np.int64, ("n",), 0)})
        picture = torch.from_numpy(arrays.pop("picture"))
        numbers = {name: torch.from_numpy(array) for name, array in arrays.items()}
        try:
            with zipfile.ZipFile(folder / PICTURES) as file:
                pictures = len(file.namelist())
        except DAMAGED as error:
            raise DataError(f"{folder}: cannot be read ({error}); {ANEW}") from error
        body, count = load_body("anny24", "full"), len(numbers["focal"])
        if (shapes := numbers["betas"].shape[1]) != body.shape_count:
            raise DataError(f"{folder / _NUMBERS}: expected {body.shape_count} betas a person, got {shapes}; {ANEW}")
        everywhere = torch.equal(picture.unique(), torch.arange(count)) and bool((picture.diff() >= 0).all())
        if not everywhere:
            raise DataError(f"{folder / _NUMBERS}: expected people in each picture, in their order; {ANEW}")
        if pictures != 2 * count:
            raise DataError(f"{folder / PICTURES}: expected {2 * count} pictures, got {pictures}; {ANEW}")
        return cls(folder, body, picture, numbers)

    def __len__(self) -> int:
        return len(self.numbers["focal"])

    def pictures(self, count: int) -> Iterator[Gathering]:
        """The first `count` pictures, at most as many as there are.

        Raises:
            DataError: a picture is damaged.
        """
        with zipfile.ZipFile(self.folder / PICTURES) as file:
            for index in range(count):
                yield self._gathering(index, *self._pixels(file, index))

    def _pixels(self, file: zipfile.ZipFile, index: int) -> tuple[UInt8[ndarray, "h w 3"], UInt8[ndarray, "h w 3"]]:
        people = int((self.picture == index).sum())
        try:
            image, labels = (blobs.decode(member(file, name(index))) for name in (crop_name, labels_name))
        except DAMAGED as error:
            raise DataError(f"{self.folder / PICTURES}: cannot be read ({error}); {ANEW}") from error
        alike = image.ndim == 3 and image.shape == labels.shape and image.shape[2] == 3
        if not alike or labels[..., 0].max() > 24 or labels[..., 1].max() > people:
            raise DataError(
                f"{self.folder / PICTURES}: expected labels of picture {index} of its size {image.shape}, of 24 parts "
                f"of {people} people, got {labels.shape} up to {labels.max()}; {ANEW}"
            )
        return image, labels

    def _gathering(self, index: int, image: UInt8[ndarray, "h w 3"], labels: UInt8[ndarray, "h w 3"]) -> Gathering:
        here = self.picture == index
        of = {name: self.numbers[name][here] for name in _OF_PERSON}
        rotations = matrix_from_axis_angle(of["poses"].unflatten(-1, (24, 3)))
        return Gathering(
            image=torch.from_numpy(image.copy()).permute(2, 0, 1).contiguous(),
            parts=torch.from_numpy(labels[..., 0].copy()),
            person=torch.from_numpy(labels[..., 1].copy()),
            camera=Camera(self.numbers["focal"][index], self.numbers["center"][index]),
            up=self.numbers["up"][index],
            above=self.numbers["above"][index],
            bodies=Bodies.placed(self.body, of["betas"], rotations, of["trans"]),
            **{name: of[name] for name in ("joints", "seen", "joints_seen", "sex", "age", "height", "mass")},
        )


def save(gatherings: Iterable[Gathering], body: BodyModel, folder: Path) -> None:
    """Write pictures as the track, into its own folder; `body` is the model whose parameters they carry."""
    rows: list[dict[str, ndarray]] = []
    with (
        replacing(folder / _NUMBERS) as numbers,
        replacing(folder / PICTURES) as pictures,
        zipfile.ZipFile(pictures, "w") as file,
    ):
        for index, each in enumerate(gatherings):
            rows.append({name: value.numpy() for name, value in _numbers(each, body, index).items()})
            image = Image.fromarray(each.image.permute(1, 2, 0).numpy())
            add(file, crop_name(index), blobs.encode(image, "WEBP", quality=QUALITY, method=6))
            labels = torch.stack([each.parts, each.person, torch.zeros_like(each.parts)], -1)
            add(file, labels_name(index), blobs.encode_labels(Image.fromarray(labels.numpy())))
        np.savez_compressed(
            numbers, allow_pickle=False, **{name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        )


def _numbers(each: Gathering, body: BodyModel, index: int) -> dict[str, Tensor]:
    bodies = each.bodies
    return {
        "picture": torch.full((len(each.seen),), index, dtype=torch.int32),
        "betas": bodies.betas,
        # In float64: of the way there and back again only the rounding of the result is left.
        "poses": axis_angle_from_matrix(bodies.rotations.double()).float().flatten(1),
        "trans": bodies.translation(body),
        **{name: getattr(each, name) for name in ("joints", "seen", "joints_seen", "sex", "age", "height", "mass")},
        "focal": each.camera.focal[None],
        "center": each.camera.center[None],
        "up": each.up[None],
        "above": each.above[None],
    }
