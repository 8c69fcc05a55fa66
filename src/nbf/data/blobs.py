"""Many small encoded pictures in one npz file: one run of bytes and the offsets where each picture starts."""

import io
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from jaxtyping import Int64, UInt8
from numpy import ndarray
from PIL import Image

from nbf.reading import Damaged

_FORMATS = ("JPEG", "WEBP", "PNG")
_LONGEST_SIDE = 4096
"""Pixels; pictures of packs have a few hundred."""


def join(blobs: list[bytes]) -> tuple[UInt8[ndarray, " bytes"], Int64[ndarray, " blobs_plus_1"]]:
    """Concatenate; blob i is `run[offsets[i]:offsets[i + 1]]`."""
    offsets = np.concatenate([[0], np.cumsum([len(blob) for blob in blobs])]).astype(np.int64)
    return np.frombuffer(b"".join(blobs), np.uint8), offsets


def cut(run: UInt8[ndarray, " bytes"], offsets: Int64[ndarray, " blobs_plus_1"]) -> list[bytes]:
    """Inverse of `join`. Raises Damaged where the offsets are none."""
    if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(run) or (np.diff(offsets) < 0).any():
        raise Damaged("expected offsets that rise from 0 to the number of bytes")
    return [run[start:stop].tobytes() for start, stop in pairwise(offsets)]


def encode(image: Image.Image, kind: str, **options: int | bool) -> bytes:
    """Encode as `kind` ("JPEG", "WEBP", "PNG") with Pillow's options."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decode(blob: bytes) -> UInt8[ndarray, "h w *c"]:
    """(h, w, 3) for colour, (h, w) for grey pictures. Raises Damaged where it is no picture that `encode` made."""
    pixels = _decoded(blob, lambda image: image.convert("RGB") if image.mode == "RGBA" else image)
    if pixels.dtype != np.uint8 or pixels.shape[2:] not in ((), (3,)):
        raise Damaged("expected a picture in colours or grey")
    return pixels


def encode_labels(image: Image.Image) -> bytes:
    """A grey picture of labels, without loss: as WebP, 0.6 times the size of the smallest PNG."""
    # Harder tries (quality 100) take sixty times as long for files of the same size.
    return encode(image.convert("RGB"), "WEBP", lossless=True, quality=75, method=5)


def decode_labels(blob: bytes) -> UInt8[ndarray, "h w"]:
    """Inverse of `encode_labels`; reads grey PNG as well. Raises Damaged where it is no such picture."""
    return _decoded(blob, lambda image: image.getchannel(0))


def _decoded(blob: bytes, take: Callable[[Image.Image], Image.Image]) -> ndarray:
    try:
        with Image.open(io.BytesIO(blob), formats=_FORMATS) as image:
            if max(image.size) > _LONGEST_SIDE:
                raise Damaged(f"a picture of {image.width} x {image.height}, of at most {_LONGEST_SIDE} a side")
            return np.asarray(take(image))
    except Damaged:
        raise
    # Decoders of damaged files raise whatever their parsers happen to meet.
    except Exception as error:
        raise Damaged(f"a picture that cannot be decoded: {error}"[:200]) from error


def shrink(image: Image.Image, side: int, *, labels: bool = False) -> Image.Image:
    """At most `side` px on the long side; label pictures take the nearest value, others are antialiased."""
    scale = min(1.0, side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST if labels else Image.Resampling.LANCZOS)
