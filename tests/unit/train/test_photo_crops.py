from pathlib import Path

import pytest
import torch
from torch import Generator

from nbf.data.labelled import IGNORE, UNKNOWN
from nbf.data.pack import pack_photos
from nbf.data.sets.street import street_photos
from nbf.synth.background import Backgrounds
from nbf.train.photo_crops import RealCrops, soften

# The hands and feet of both sides, which the drawn photos mark with a disc of the matching part.
PART_OF_KEYPOINT = {9: 11, 10: 12, 15: 23, 16: 24}


@pytest.fixture
def crops(shared: Path) -> RealCrops:
    photos = pack_photos(street_photos(shared, "train"), side=200).decode(240)
    return RealCrops(photos, Backgrounds.load(None, "train"))


def part_under(batch: dict, i: int, joint: int) -> int:
    x, y = (batch["keypoints"][i, joint, :2] / 4).long().tolist()
    return int(batch["parts"][i, :, y, x].argmax())


def test_plain_crops_put_the_person_in_the_middle(crops: RealCrops):
    batch = crops.plain(torch.arange(5))
    assert batch["image"].shape == (5, 3, 256, 256)
    for i in range(5):
        for joint, part in PART_OF_KEYPOINT.items():
            if batch["keypoints"][i, joint, 2] > 0:
                assert part_under(batch, i, joint) == part
    eyes = batch["keypoints"][:, 1:3, :2].mean(1)
    torch.testing.assert_close(eyes[:, 0], torch.full((5,), 128.0), atol=2, rtol=0)


def test_labels_follow_the_person_through_every_augmentation(crops: RealCrops):
    batch = crops.sample(64, Generator().manual_seed(0))
    assert batch["image"].min() >= 0
    assert batch["image"].max() <= 1
    agreed = total = 0
    for i in range(64):
        for joint, part in PART_OF_KEYPOINT.items():
            if batch["keypoints"][i, joint, 2] > 0:
                found = part_under(batch, i, joint)
                assert found in (part, 0), "a part of the other side, or of somebody else"  # 0: occluded
                agreed, total = agreed + (found == part), total + 1
    assert total > 100
    assert agreed > 0.8 * total


def test_shares_sum_to_one(crops: RealCrops):
    parts = crops.sample(16, Generator().manual_seed(1))["parts"]
    torch.testing.assert_close(parts.sum(1), torch.ones(16, 64, 64))
    assert (parts >= 0).all()


def test_the_same_seed_draws_the_same_batch(crops: RealCrops):
    first, second = (crops.sample(4, Generator().manual_seed(7)) for _ in range(2))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=0)


def test_other_people_are_background(crops: RealCrops):
    both = crops.plain(torch.tensor([3, 4]))
    for i, other in ((0, 4), (1, 3)):
        box = crops.photos.boxes[3 + i]
        side = (box[2:] - box[:2]).max() * 1.2
        corner = (box[:2] + box[2:]) / 2 - side / 2
        x, y = ((crops.photos.keypoints[other, 10 - i, :2] - corner) / side * 64).long().tolist()
        if 0 <= x < 64:
            assert both["parts"][i, 0, y, x] == 1


def test_pixels_without_labels_are_ignored():
    labels = torch.tensor([[[UNKNOWN, IGNORE, 3, 3], [IGNORE, 5, 3, 4]]])
    shares, ignore = soften(labels)
    assert ignore.tolist() == [[[True, False]]]
    assert shares[0, 3, 0, 1] == 0.75
    assert shares[0, 0, 0, 0] == 1
