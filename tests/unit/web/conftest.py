"""A server whose predictor makes people up, so that none of its tests waits for networks."""

import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from nbf.body.model import BodyModel
from nbf.corrections import corrected
from nbf.people import People
from nbf.pictures import Picture
from nbf.predictor import Predictor
from nbf.web.app import create_app
from nbf.web.limits import Limits


class PretendedPredictor(Predictor):
    """Two people in every picture, or one for each box. Waits for `go` before each answer."""

    def __init__(self, make: Callable[..., People], body: BodyModel) -> None:
        self._make, self.body = make, body
        self.go = threading.Event()
        self.go.set()
        self.asked: list[dict[str, Any]] = []

    def predict(self, picture: Picture, **options: Any) -> People:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.asked.append(options)
        assert self.go.wait(10)
        count = 2 if options.get("boxes") is None else len(options["boxes"])
        made = self._make(count, width=picture.width, height=picture.height)
        persons = tuple(replace(person, picture=picture) for person in made[: options.get("max_people")])
        return People(persons, picture, made.camera)

    def refit(self, people: People, **told: Any) -> People:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.asked.append(told)
        return corrected(people, told["corrections"])[0] if "corrections" in told else people


@pytest.fixture
def predictor(make_people: Callable[..., People], small_body: BodyModel) -> PretendedPredictor:
    return PretendedPredictor(make_people, small_body)


@pytest.fixture
def serve(predictor: PretendedPredictor) -> Iterator[Callable[..., TestClient]]:
    """serve(token=None, local=True, **limits) -> a client of a new server."""
    clients = []

    def made(token: str | None = None, local: bool = True, **limits: Any) -> TestClient:
        app = create_app(predictor, Limits(**limits), token, local=local)
        clients.append(client := TestClient(app, "http://localhost", raise_server_exceptions=False))
        client.__enter__()
        return client

    yield made
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture(scope="session")
def photo() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (96, 128), (200, 180, 160)).save(data, "PNG")
    return data.getvalue()
