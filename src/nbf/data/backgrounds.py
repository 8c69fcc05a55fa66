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

SIDE = 320
QUALITY = 80
TEST_SHARE = 10
"""One background in so many is kept from training."""


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
        with np.load(path) as file:
            if "test" not in file:
                raise DataError(f"{path} is not a pack of backgrounds; it holds {', '.join(file.files)}")
            names = [str(name) for name in file["names"]]
            return BackgroundPack(names, blobs.cut(file["images"], file["offsets"]), file["test"])

    def squares(self, split: str, side: int) -> UInt8[Tensor, "n 3 side side"]:
        """The middle square of each picture of one split ("train" or "test"), resized to `side`."""
        wanted = self.test if split == "test" else ~self.test
        return torch.stack([_square(blob, side) for blob, use in zip(self.images, wanted, strict=True) if use])


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
    picture = Image.fromarray(blobs.decode(blob))
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    box = (left, top, left + edge, top + edge)
    square = np.array(picture.resize((side, side), Image.Resampling.LANCZOS, box=box))
    return torch.from_numpy(square).permute(2, 0, 1)
