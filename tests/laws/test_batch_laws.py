"""Whoever is predicted beside others comes out as if alone: of a solver to the last bit, of photos to 0.003 mm."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import nbf
from nbf.geometry import Crop
from nbf.given import picture_camera
from nbf.known import NOTHING, Known
from nbf.pictures import Picture, read_picture
from nbf.proxy.proxy import Proxy, stacked
from nbf.questions import Look
from nbf.solve.fit import Fit

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.jpg"
PEOPLE = 17
"""Matrix products of so many rows take other code than those of few."""


@pytest.fixture(scope="module")
def predictor() -> nbf.Predictor:
    return nbf.load()


@pytest.fixture(scope="module")
def demo() -> Picture:
    return read_picture(DEMO)


@pytest.fixture(scope="module")
def proxy(predictor: nbf.Predictor, demo: Picture) -> Proxy:
    """Of many people: the two in the picture, their joints a bit elsewhere each time."""
    image = torch.from_numpy(demo.pixels).permute(2, 0, 1)
    boxes, _ = predictor.locate(image)
    seen = predictor.see(image, picture_camera(demo, None, None), Crop.from_boxes(boxes, 256))
    proxy = stacked(*[seen] * PEOPLE)[:PEOPLE]
    assert proxy.joints is not None
    shift = 0.01 * torch.randn(PEOPLE, 17, 2, generator=torch.Generator().manual_seed(0))
    proxy.joints[..., :2] += shift
    return proxy


def numbers(fit: Fit) -> Tensor:
    bodies, covariance = fit.bodies, fit.covariance
    assert covariance is not None
    return torch.cat([bodies.betas, bodies.rotations.flatten(1), bodies.pelvis, covariance.flatten(1)], 1)


@pytest.mark.parametrize("known", [NOTHING, Known(height=1.7, age=30.0)], ids=["nothing", "known"])
def test_people_are_solved_for_as_if_alone(predictor: nbf.Predictor, proxy: Proxy, known: Known) -> None:
    together = numbers(predictor.method.solve(proxy, known))
    for rows in (slice(3, 4), slice(8, 10)):
        assert torch.equal(numbers(predictor.method.solve(proxy[rows], known)), together[rows])


def test_looks_are_looked_at_as_if_alone(predictor: nbf.Predictor, demo: Picture) -> None:
    image = torch.from_numpy(demo.pixels).permute(2, 0, 1)
    looks = Crop(torch.tensor([[200.0, 300], [300, 600], [450, 500]]), torch.full((3,), 500.0), 256).sample(image)
    answer = predictor._answer
    for together, alone in zip(answer(Look(looks)), answer(Look(looks[1:2])), strict=True):
        assert torch.equal(together[1:2], alone)


def test_photos_are_predicted_as_if_alone(predictor: nbf.Predictor, demo: Picture) -> None:
    boxes = [[60.0, 120, 380, 940], [330, 200, 640, 950]]
    pictures = [demo.pixels, demo.pixels[:, ::-1]]
    together = [people for _, people in predictor.predict_many(pictures, boxes=boxes)]
    for picture, found in zip(pictures, together, strict=True):
        alone = predictor.predict(picture, boxes=boxes)
        assert isinstance(found, nbf.People)
        for one, other in zip(found, alone, strict=True):
            assert float((one.vertices - other.vertices).norm(dim=-1).max()) < 3e-6
            assert torch.equal(one.keypoints, other.keypoints)
