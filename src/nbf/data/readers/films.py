"""Single pictures out of films, by their number."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any

from jaxtyping import UInt8
from numpy import ndarray

from nbf.errors import DataError

# Frames that are decoded and thrown away rather than sought: seeking goes back to a key frame anyway.
_SKIP = 60
# Films kept open: as many as one take has cameras.
_OPEN = 4


@dataclass(frozen=True)
class VideoFrame:
    """One picture of a film."""

    path: Path
    index: int
    """From 0, in the order in which the film is shown."""

    def read(self) -> UInt8[ndarray, "h w 3"]:
        """RGB; pictures in their order are read fastest.

        Raises:
            DataError: the film is missing, damaged or shorter, or PyAV is not installed.
        """
        return _film(self.path).read(self.index)


class _Film:
    """An open film, and where in it we are.

    Frames are counted, not calculated from a rate: those of films that skip times would get wrong numbers.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self._times: list[int] | None = None
        self._container: Any = None
        self._rewind()

    def read(self, index: int) -> UInt8[ndarray, "h w 3"]:
        with self._lock:
            try:
                return self._read(index).to_ndarray(format="rgb24")
            except DataError:
                raise
            # Decoders of damaged films raise whatever they meet; what is left of the film is read from its start.
            except Exception as error:
                self._rewind()
                raise self._unreadable(error) from error

    def _read(self, index: int) -> Any:
        if not self._next <= index <= self._next + _SKIP:
            self._seek(index)
        for frame in self._frames:
            self._next += 1
            if self._next == index + 1:
                return frame
        raise DataError(f"{self._path}: expected a frame {index}, got a film of {self._next}; get the data set anew")

    def _seek(self, index: int) -> None:
        if self._times is None:
            self._rewind()
            self._times = self._shown()
            self._rewind()
        if index < len(self._times):
            self._container.seek(self._times[index], stream=self._stream)
            frames = self._container.decode(self._stream)
            first = next(frames, None)
            if first is not None and first.pts in self._times[: index + 1]:
                self._frames, self._next = _chained(first, frames), self._times.index(first.pts)
                return
        self._rewind()

    def _shown(self) -> list[int]:
        """When each frame is shown, in the film's own ticks; nothing where the film does not say."""
        packets = [packet for packet in self._container.demux(self._stream) if packet.size and not packet.is_discard]
        times = [packet.pts for packet in packets]
        if None in times or len(set(times)) < len(times):
            return []
        # AVI tells in which order frames are stored: of codecs that store them in another order that says nothing.
        if self._stream.codec_context.has_b_frames and all(a < b for a, b in pairwise(times)):
            return []
        return sorted(times)

    def _rewind(self) -> None:
        try:
            import av
        except ImportError as error:
            raise DataError(
                f"{self._path}: reading films needs PyAV; install it with: pip install 'neural-body-fitting[datasets]'"
            ) from error
        if self._container is not None:
            self._container.close()
        try:
            self._container = av.open(str(self._path))
            self._stream = self._container.streams.video[0]
            self._frames: Iterator[Any] = iter(self._container.decode(self._stream))
        except Exception as error:
            raise self._unreadable(error) from error
        self._next = 0

    def _unreadable(self, error: Exception) -> DataError:
        return DataError(f"{self._path}: cannot be read as a film ({error}); get the data set anew")


def _chained(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from others


@lru_cache(maxsize=_OPEN)
def _film(path: Path) -> _Film:
    return _Film(path)
