"""Real photos, public domain or free, that scikit-image ships in its package: who is there, and that nobody else is."""

from pathlib import Path

import pytest
import skimage.data
import torch
from PIL import Image

import nbf
from nbf.certainty import PARTS14
from nbf.nets.locator import box_iou

PICTURES = Path(skimage.data.__file__).parent
# Around the astronaut as an eye sees her: hair to the lower edge of the photo, sleeve to sleeve. Not the model shuttle,
# nor the helmet, in whose visor two people are mirrored.
HER = torch.tensor([[20.0, 12.0, 365.0, 512.0]])
BELOW = ("left_upper_leg", "right_upper_leg", "left_lower_leg", "right_lower_leg", "left_foot", "right_foot")


@pytest.fixture(scope="module")
def predictor() -> nbf.Predictor:
    return nbf.load()


def photo(name: str) -> Image.Image:
    """The file itself: `skimage.data`'s functions would fetch what the package lacks."""
    return Image.open(next(PICTURES.glob(f"{name}.*"))).convert("RGB")


def test_the_astronaut_is_one_person_cut_at_the_chest(predictor: nbf.Predictor) -> None:
    people = predictor.predict(photo("astronaut"))
    assert len(people) == 1
    her = people[0]
    assert float(box_iou(her.box[None], HER)) > 0.8
    height, width = people.picture.pixels.shape[:2]
    guessed = dict(zip(PARTS14, her.certainty.guessed.tolist()))
    assert all(guessed[name] for name in BELOW)
    assert not guessed["head"]
    assert not guessed["torso"]
    nose, *_ = points = her.joints_2d("coco17")
    assert 190 < nose[0] < 260
    assert 90 < nose[1] < 170
    # Knees and ankles lie below the photo, shoulders in it.
    assert (points[13:, 1] > height).all()
    assert ((points[5:7] > 0) & (points[5:7] < torch.tensor([width, height]))).all()


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket"])
def test_a_cat_a_cup_and_a_rocket_are_nobody(predictor: nbf.Predictor, name: str) -> None:
    people = predictor.predict(photo(name))
    assert [round(person.score, 2) for person in people] == []
