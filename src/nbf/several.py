"""Several pictures of any kinds, one after the other, and how each is read."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from nbf.arguments import path as checked_path
from nbf.arguments import shown
from nbf.errors import InputError
from nbf.files import real_path
from nbf.pictures import PATHS, Picture, PictureLike, find_photos, is_one_picture, read_picture


def several(pictures: PictureLike | Iterable[PictureLike]) -> Iterator[tuple[Any, Callable[[], Picture]]]:
    """Each picture as it was given, files as paths and each once; and what reads it, in whatever thread.

    Pictures in memory are copied as they are taken: whoever gives them may use their memory again.

    Raises:
        InputError: it is neither a picture nor several.
    """
    if is_one_picture(pictures) or callable(pictures):
        pictures = [pictures]
    try:
        every = iter(pictures)
    except TypeError:
        raise InputError(
            f"pictures: expected a picture, a folder, a pattern or a sequence of them, got {shown(pictures)}"
        ) from None
    done: set[str] = set()
    for picture in every:
        if not isinstance(picture, PATHS):
            yield picture, partial(_called, picture) if callable(picture) else _copied(picture)
            continue
        try:
            pattern = checked_path(picture, "picture")
        except InputError:
            yield picture, partial(read_picture, picture)  # to be refused in its turn
            continue
        for path in find_photos([pattern]):
            if (real := real_path(path)) not in done:
                done.add(real)
                yield path, partial(read_picture, path)


def _called(picture: Callable[[], PictureLike]) -> Picture:
    return read_picture(picture())


def _copied(picture: PictureLike) -> Callable[[], Picture]:
    try:
        read = read_picture(picture)
    except InputError as error:
        return partial(_raise, error)
    return partial(replace, read, pixels=read.pixels.copy())


def _raise(error: InputError) -> Picture:
    raise error
