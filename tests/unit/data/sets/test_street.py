from pathlib import Path

import numpy as np
import pytest

from nbf.data.labelled import IGNORE, UNKNOWN
from nbf.data.sets.street import street_photos
from nbf.errors import DataError


def test_splits_and_people(shared: Path):
    train, val = street_photos(shared, "train"), street_photos(shared, "val")
    assert [photo.name for photo in train] == ["ccp/0000", "ccp/0001", "ccp/0002", "ccp/0003"]
    assert [photo.name for photo in val] == ["ccp/0004"]
    assert [len(photo.people) for photo in train] == [1, 1, 1, 2]
    assert [photo.complete for photo in train] == [False, True, True, True]


def test_conventions_change_to_ours(shared: Path):
    person = street_photos(shared, "train")[0].people[0]
    assert person.box is not None
    np.testing.assert_allclose(person.box, [20, 18, 100, 182])
    np.testing.assert_allclose(person.keypoints()[9], [88.5, 100.5, 0.9])  # pixel centres move to half-integers


def test_unsafe_and_disputed_keypoints_have_no_weight(shared: Path):
    photos = street_photos(shared, "train")
    assert photos[0].people[0].keypoints()[5, 2] == 0
    assert photos[1].people[0].keypoints()[9, 2] == 0
    assert photos[1].people[0].keypoints()[10, 2] > 0


def test_labels_join_parts_and_mask(shared: Path):
    labels = street_photos(shared, "train")[2].labels()
    assert labels[0, 0] == IGNORE
    assert labels[100, 60] == UNKNOWN
    assert labels[100, 88] == 11
    assert labels[0, 60] == 0


def test_missing_photos_say_how_to_get_them(tmp_path: Path):
    with pytest.raises(DataError, match="NBF_SHARED"):
        street_photos(tmp_path, "train")
