"""Who is found in the bundled picture: everybody in a crowd of it, and nobody where nobody is."""

from pathlib import Path

import pytest
import torch
from located import locates

import nbf
from nbf.nets.locator import box_iou
from nbf.pictures import read_picture

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.jpg"


@pytest.fixture(scope="module")
def predictor() -> nbf.Predictor:
    return nbf.load()


@pytest.fixture(scope="module")
def boxes(predictor: nbf.Predictor) -> torch.Tensor:
    """Around the two people of the picture."""
    return predictor.locate(torch.from_numpy(read_picture(DEMO).pixels).permute(2, 0, 1))[0]


def test_everybody_in_a_crowd_is_found(predictor: nbf.Predictor, boxes: torch.Tensor) -> None:
    picture = torch.from_numpy(read_picture(DEMO).pixels).permute(2, 0, 1)
    height, width = picture.shape[1:]
    crowd, _ = predictor.locate(picture.repeat(1, 4, 4))
    corners = torch.cartesian_prod(torch.arange(4) * width, torch.arange(4) * height)
    people = (boxes[None] + corners.repeat(1, 2)[:, None]).flatten(0, 1)
    assert (box_iou(people, crowd).amax(1) > 0.5).sum() >= 30
    assert len(crowd) <= 33


def test_nobody_is_where_the_part_map_shows_nobody(
    predictor: nbf.Predictor, boxes: torch.Tensor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = torch.tensor([[560.0, 20.0, 720.0, 260.0]])
    found = torch.cat([nobody, boxes]), torch.tensor([0.95, 0.94, 0.93])
    locates(monkeypatch, lambda image, min_score: found)
    with caplog.at_level("INFO", "nbf"):
        people = predictor.predict(DEMO)
    assert {tuple(person.box.tolist()) for person in people} == {tuple(box) for box in boxes.tolist()}
    assert len(predictor.predict(DEMO, boxes=nobody)) == 1  # whoever gives boxes knows better
