"""Everything a user may call a film -> upright frames, one after the other.

A film is a video file, which PyAV decodes, or a folder of pictures in the order of their names.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from nbf.arguments import path as checked_path
from nbf.errors import InputError
from nbf.pictures import Picture, check_file, check_size, find_photos, read_picture

RATE = 30.0
"""Frames a second of folders of pictures, and of files that do not say."""
_FASTEST = 1000.0
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg,gif"
# Of what FFmpeg could open besides, some are lists of other files, or of addresses.
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}


@dataclass(frozen=True)
class Film:
    """Where frames come from; use `open_film`."""

    path: Path
    rate: float
    """Frames a second."""
    count: int | None
    """How many there are; None where only reading tells."""
    pictures: tuple[Path, ...] | None
    """Of a folder."""

    def frames(self, start: int = 0) -> Iterator[Picture]:
        """Frames from number `start` on, each once, in the order in which they are shown.

        Raises:
            InputError: a frame is damaged or has another size than the first; what is wrong with the file's end ends
                the film, as players do.
        """
        if self.pictures is not None:
            size = _size(read_picture(self.pictures[0]))
            for path in self.pictures[start:]:
                picture = read_picture(path)
                if _size(picture) != size:
                    raise InputError(f"{path}: expected a frame of {size}, got {_size(picture)}; make all of one size")
                yield picture
            return
        with _opened(self.path) as file:
            yield from _decoded(self.path, file, start)


def open_film(source: str | Path, rate: float | None = None) -> Film:
    """A film. `rate`, frames a second, is believed instead of what the file says.

    Raises:
        InputError: there is no such film, it cannot be read, PyAV is not installed, or the rate makes no sense.
    """
    path = checked_path(source, "film")
    if rate is not None and not 0 < rate <= _FASTEST:
        raise InputError(f"rate: expected more than 0 and at most {_FASTEST:.0f} frames a second, got {rate:g}")
    if path.is_dir():
        pictures = tuple(sorted(find_photos([path]), key=_in_order))
        if pictures == (path,):
            raise InputError(f"{path}: expected a folder with the frames of a film, got one without pictures")
        return Film(path, rate or RATE, len(pictures), pictures)
    check_file(path)
    with _opened(path) as file:
        if not file.streams.video:
            raise InputError(f"{path}: expected a film, got a file without pictures that move")
        stream = file.streams.video[0]
        check_size(stream.width, stream.height, str(path))
        said = float(stream.average_rate or stream.guessed_rate or Fraction(0))
        seconds = stream.duration * stream.time_base if stream.duration else None
        rate = rate or (said if 0 < said <= _FASTEST else RATE)
        count = stream.frames or (round(seconds * rate) if seconds else None)
    return Film(path, rate, count, None)


def _opened(path: Path) -> Any:
    try:
        import av
    except ImportError as error:
        raise InputError(
            f"{path}: films are read by PyAV; install it with: pip install 'neural-body-fitting[video]'"
        ) from error
    try:
        return av.open(str(path), options=_OPTIONS)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as a film ({error}); convert it to MP4, or get a fresh copy"
        ) from error


def _decoded(path: Path, file: Any, start: int) -> Iterator[Picture]:
    from av.error import FFmpegError

    stream, number, size = file.streams.video[0], 0, ""
    stream.thread_type = "AUTO"
    packets = file.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            frames = [] if packet is None else packet.decode()
        except FFmpegError as error:
            if number == 0:
                raise InputError(f"{path}: no frame can be decoded ({error}); get a fresh copy") from error
            continue  # a packet that is damaged: decoders go on with the next one
        if packet is None:
            return
        for frame in frames:
            if number >= start:
                picture = _upright(frame, f"{path}#{number}")
                size = size or _size(picture)
                if _size(picture) != size:
                    raise InputError(f"{path}: expected frames of {size} throughout, got one of {_size(picture)}")
                yield picture
            number += 1


def _upright(frame: Any, name: str) -> Picture:
    pixels = frame.to_ndarray(format="rgb24")
    # Phones film sideways and say by how much to turn, counter-clockwise.
    return Picture(np.rot90(pixels, round(frame.rotation / 90) % 4), name)


def _size(picture: Picture) -> str:
    return f"{picture.width} x {picture.height}"


def _in_order(path: Path) -> tuple[list[int | str], str]:
    """As people count: frame_2 before frame_10."""
    pieces = re.split(r"(\d+)", path.stem)
    return [int(piece) if k % 2 else piece for k, piece in enumerate(pieces)], path.name
