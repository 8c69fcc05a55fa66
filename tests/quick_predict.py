"""`nbf predict` without networks: as many people as a photo is red, and result files that are a line of text."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nbf import predictor as predictor_module
from nbf.cli import _results
from nbf.cli._results import Kinds
from nbf.errors import NbfError
from nbf.export import FORMATS
from nbf.given import picture_camera
from nbf.people import People, Person
from nbf.pictures import Picture

ASKED: list[str] = []
"""Names of the photos that were predicted."""


class QuickPredictor:
    """Sees as many people as a photo is red."""

    def predict(self, picture: Picture, *, max_people: int | None, **others: Any) -> People:
        ASKED.append(Path(picture.name).name)
        count = min(int(picture.pixels[0, 0, 0]), 9 if max_people is None else max_people)
        people = tuple(object.__new__(Person) for _ in range(count))
        return People(people, picture, picture_camera(picture, others["focal"], others["center"]))

    def predict_many(self, pictures: Iterable[Callable[[], Picture]], **options: Any) -> Iterator[tuple[Any, Any]]:
        return one_by_one(self, pictures, options)


def one_by_one(
    predictor: Any, pictures: Iterable[Callable[[], Picture]], options: dict[str, Any]
) -> Iterator[tuple[Any, Any]]:
    """As `Predictor.predict_many`, of pictures that are yet to be read, by a `predict` that is quick."""
    for read in pictures:
        try:
            yield read, predictor.predict(read(), **options)
        except NbfError as error:
            yield read, error


def write_lines(people: People, folder: Path, name: str, kinds: Kinds) -> None:
    """As `write_results`, but fast."""
    endings = [f"_{index}{FORMATS[format].ending}" for index in range(len(people)) for format in kinds.people]
    endings += [FORMATS[format].ending for format in kinds.scenes]
    endings += [".json"] * kinds.json + ["_parts.png"] * kinds.parts + [".png"] * kinds.summary
    for ending in endings:
        (folder / f"{name}{ending}").write_text(f"{people.picture.pixels[0, 0]} {len(people)} {ending}")


@contextmanager
def quick_predict() -> Iterator[None]:
    """Meanwhile `nbf predict` is quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictor_module, "load", lambda *names: QuickPredictor())
        patch.setattr(_results, "write_results", write_lines)
        yield


def photo(path: Path, people: int = 1, green: int = 0) -> Path:
    """A small photo of some people."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), (people, green, 0)).save(path, "PNG")
    return path
