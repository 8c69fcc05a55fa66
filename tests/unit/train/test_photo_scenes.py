from pathlib import Path

import pytest
import torch
from torch import Generator

from nbf.data.pack import pack_photos
from nbf.data.sets.street import street_photos
from nbf.synth.background import Backgrounds
from nbf.train.photo_scenes import RealScenes, mask_boxes


@pytest.fixture
def scenes(shared: Path) -> RealScenes:
    return RealScenes(
        pack_photos(street_photos(shared, "train"), side=200).decode(240), Backgrounds.load(None, "train")
    )


def test_boxes_are_boxes_inside_the_picture(scenes: RealScenes):
    batch = scenes.sample(32, Generator().manual_seed(0))
    boxes = batch["boxes"][batch["valid"]]
    assert batch["image"].shape == (32, 3, 256, 256)
    assert ((boxes >= 0) & (boxes <= 1)).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert set(batch["valid"].sum(1).tolist()) >= {0, 1, 2}


def test_photos_with_unlabelled_people_are_not_shown_whole(scenes: RealScenes):
    assert scenes.photos.photo[scenes._shown].unique().tolist() == [1, 2, 3]


def test_the_same_seed_draws_the_same_scenes(scenes: RealScenes):
    first, second = (scenes.sample(3, Generator().manual_seed(5)) for _ in range(2))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=0)


def test_tight_boxes():
    masks = torch.zeros(1, 2, 8, 16, dtype=torch.bool)
    masks[0, 0, 2:5, 4:12] = True
    assert mask_boxes(masks).tolist() == [[[0.25, 0.25, 0.75, 0.625], [0, 0, 0, 0]]]
