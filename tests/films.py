"""Films of which each frame says its number, and files that are damaged at random."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

# Either half of a frame is a digit of its number to the base 8, as a level of grey that survives lossy coding.
_HIGH, _LOW, _DARKEST = 16, 32, 8


def write_film(path: Path, count: int, codec: str = "libx264", b_frames: int = 2, gop: int = 12) -> Path:
    """A film of up to 120 frames, 64 x 48."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = gop, b_frames
        for k in range(count):
            picture = np.zeros((48, 64, 3), np.uint8)
            picture[:, :32], picture[:, 32:] = k // 8 * _HIGH + _DARKEST, k % 8 * _LOW + _DARKEST
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        film.mux(stream.encode())
    return path


def number(picture: np.ndarray) -> int:
    """Which frame it is."""
    high, low = picture[:, 4:28].mean(), picture[:, 36:60].mean()
    return round((high - _DARKEST) / _HIGH) * 8 + round((low - _DARKEST) / _LOW)


def damaged(path: Path, rounds: int, seed: int = 0) -> Iterator[Path]:
    """The file, cut short in every third round and with bytes changed in the others; whole again afterwards."""
    whole = path.read_bytes()
    generator = np.random.default_rng(seed)
    try:
        for round_ in range(rounds):
            data = bytearray(whole)
            if round_ % 3 == 0:
                del data[generator.integers(len(data)) :]
            for place in generator.integers(0, max(len(data), 1), 8 if round_ % 3 else 0):
                data[place] = generator.integers(256)
            path.write_bytes(data)
            yield path
    finally:
        path.write_bytes(whole)


def forget(*caches: Any) -> None:
    """What was read of files that have changed since."""
    for cache in caches:
        cache.cache_clear()
