"""Photos without people, to put behind people."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from nbf.data import blobs
from nbf.errors import DataError
from nbf.reading import Array, Damaged, read_npz, refusing

SIDE = 320
QUALITY = 80
TEST_SHARE = 10
"""One background in so many is kept from training."""
_ARRAYS = {
    "names": Array("U", ("n",)),
    "images": Array(np.uint8, ("bytes",)),
    "offsets": Array(np.int64, ("n_plus_1",)),
    "test": Array(bool, ("n",)),
}


@dataclass(frozen=True)
class BackgroundPack:
    """Encoded photos without people."""

    names: list[str]
    images: list[bytes]
    test: Bool[ndarray, " n"]
    """Kept from training."""

    def save(self, path: Path) -> None:
        run, offsets = blobs.join(self.images)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, names=np.array(self.names), images=run, offsets=offsets, test=self.test)

    @staticmethod
    def load(path: Path) -> "BackgroundPack":
        """Read a pack.

        Raises:
            DataError: the file is missing or is no pack.
        """
        if not path.is_file():
            raise DataError(f"no backgrounds at {path}: make them with `python tools/pack_training.py`")
        with refusing(DataError, path, "a pack of backgrounds", "make it with `python tools/pack_training.py`"):
            held = read_npz(path, _ARRAYS)
            images = blobs.cut(held["images"], held["offsets"])
            if len(images) != len(held["names"]):
                raise Damaged(f"expected a picture for each of {len(held['names'])} names, got {len(images)}")
            return BackgroundPack(held["names"].tolist(), images, held["test"])

    def squares(self, split: str, side: int) -> UInt8[Tensor, "n 3 side side"]:
        """The middle square of each picture of one split ("train" or "test"), resized to `side`.

        Raises DataError where one is damaged.
        """
        wanted = self.test if split == "test" else ~self.test
        used = [(name, blob) for name, blob, use in zip(self.names, self.images, wanted, strict=True) if use]
        if not used:
            raise DataError(f"expected a background or more of the split {split}, got none; pack more of them")
        squares = []
        for name, blob in used:
            with refusing(DataError, name[:80], "a background", "make the pack anew"):
                squares.append(_square(blob, side))
        return torch.stack(squares)


def is_test(name: str) -> bool:
    """Whether a background belongs to the test split: by the hash of its name, so that no list needs keeping."""
    return int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(), 16) % TEST_SHARE == 0


def background_files(shared: Path) -> list[Path]:
    """The shared folder's photos without people, by name."""
    return sorted((shared / "real" / "backgrounds").glob("*.jpg"))


def pack_backgrounds(shared: Path, side: int = SIDE, quality: int = QUALITY) -> BackgroundPack:
    """Shrink and encode the shared folder's photos without people.

    Raises:
        DataError: there are none.
    """
    files = background_files(shared)
    if not files:
        raise DataError(f"no backgrounds: expected JPEG files in {shared / 'real' / 'backgrounds'}")
    images = [
        blobs.encode(blobs.shrink(Image.open(file).convert("RGB"), side), "JPEG", quality=quality, optimize=True)
        for file in files
    ]
    names = [file.stem for file in files]
    return BackgroundPack(names, images, np.array([is_test(name) for name in names]))


def _square(blob: bytes, side: int) -> UInt8[Tensor, "3 side side"]:
    picture = Image.fromarray(blobs.decode(blob)).convert("RGB")
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    box = (left, top, left + edge, top + edge)
    square = np.array(picture.resize((side, side), Image.Resampling.LANCZOS, box=box))
    return torch.from_numpy(square).permute(2, 0, 1)
