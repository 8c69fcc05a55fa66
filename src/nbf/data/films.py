"""Single pictures out of films, by their number."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
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
    """From 0."""

    def read(self) -> UInt8[ndarray, "h w 3"]:
        """RGB; pictures in their order are read fastest.

        Raises:
            DataError: the film is missing, damaged or shorter, or PyAV is not installed.
        """
        return _film(self.path).read(self.index)


class _Film:
    """An open film of constant frame rate, and where in it we are."""

    def __init__(self, path: Path) -> None:
        try:
            import av
            from av.error import FFmpegError
        except ImportError as error:
            raise DataError(
                f"{path}: reading films needs PyAV; install it with: pip install 'neural-body-fitting[datasets]'"
            ) from error
        self._path, self._fault = path, FFmpegError
        try:
            self._container: Any = av.open(str(path))
            self._stream: Any = self._container.streams.video[0]
            self._rate = float(self._stream.average_rate)
        except (OSError, self._fault, IndexError, TypeError) as error:
            raise self._unreadable(error) from error
        self._next, self._frames = 0, iter(self._container.decode(self._stream))

    def read(self, index: int) -> UInt8[ndarray, "h w 3"]:
        try:
            if not self._next <= index <= self._next + _SKIP:
                self._seek(index)
            for number, frame in self._numbered():
                if number >= index:
                    return frame.to_ndarray(format="rgb24")
        except (OSError, self._fault) as error:
            raise self._unreadable(error) from error
        raise DataError(f"{self._path}: expected a frame {index}, got a film of {self._next}; get the data set anew")

    def _numbered(self) -> Iterator[tuple[int, Any]]:
        for frame in self._frames:
            number, self._next = self._next, self._next + 1
            yield number, frame

    def _seek(self, index: int) -> None:
        start = self._stream.start_time or 0
        self._container.seek(start + int(index / self._rate / self._stream.time_base), stream=self._stream)
        self._frames = iter(self._container.decode(self._stream))
        first = next(self._frames)
        self._next = round(float((first.pts - start) * self._stream.time_base) * self._rate)
        self._frames = _chained(first, self._frames)

    def _unreadable(self, error: Exception) -> DataError:
        return DataError(f"{self._path}: cannot be read as a film ({error}); get the data set anew")


def _chained(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from others


@lru_cache(maxsize=_OPEN)
def _film(path: Path) -> _Film:
    return _Film(path)
