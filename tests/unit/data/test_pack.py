from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nbf.data import blobs
from nbf.data.backgrounds import BackgroundPack, is_test, pack_backgrounds
from nbf.data.pack import PhotoPack, pack_photos
from nbf.data.sets.street import street_photos
from nbf.errors import DataError


def test_blobs_come_apart_as_they_went_in():
    pictures = [b"one", b"", b"three"]
    assert blobs.cut(*blobs.join(pictures)) == pictures


def test_labels_lose_nothing():
    labels = np.random.default_rng(0).integers(0, 27, (40, 30), dtype=np.uint8)
    image = Image.fromarray(labels)
    np.testing.assert_array_equal(blobs.decode_labels(blobs.encode_labels(image)), labels)
    np.testing.assert_array_equal(blobs.decode_labels(blobs.encode(image, "PNG")), labels)


def test_pack_survives_the_disk(shared: Path, tmp_path: Path):
    pack = pack_photos(street_photos(shared, "train"), side=100)
    pack.save(tmp_path / "train.npz")
    again = PhotoPack.load(tmp_path / "train.npz")
    assert again.names == pack.names
    assert again.images == pack.images
    np.testing.assert_array_equal(again.keypoints, pack.keypoints)
    np.testing.assert_array_equal(again.photo, [0, 1, 2, 3, 3])


def test_coordinates_shrink_with_the_picture(shared: Path):
    pack = pack_photos(street_photos(shared, "train"), side=100)  # 120 x 200 becomes 60 x 100
    np.testing.assert_allclose(pack.boxes[0], [10, 9, 50, 91])
    np.testing.assert_allclose(pack.keypoints[0, 9], [44.25, 50.25, 0.9])


def test_decoded_labels_lie_under_their_keypoints(shared: Path):
    photos = pack_photos(street_photos(shared, "train"), side=100).decode(100)
    x, y = photos.keypoints[:, 10, :2].long().unbind(-1)
    assert (photos.labels[photos.photo, y, x] == 12).all()
    assert photos.size.tolist()[0] == [60, 100]


def test_backgrounds_split_by_name_alone(shared: Path, tmp_path: Path):
    pack = pack_backgrounds(shared, side=64)
    pack.save(tmp_path / "backgrounds.npz")
    again = BackgroundPack.load(tmp_path / "backgrounds.npz")
    assert again.test.tolist() == [is_test(name) for name in pack.names]
    squares = again.squares("train", 32)
    assert squares.shape == (int((~again.test).sum()), 3, 32, 32)
    assert squares.dtype == torch.uint8


@pytest.mark.parametrize("kind", [PhotoPack, BackgroundPack])
def test_wrong_files_are_named(kind: type, tmp_path: Path):
    with pytest.raises(DataError, match=r"pack_training"):
        kind.load(tmp_path / "missing.npz")
    np.savez(tmp_path / "other.npz", something=np.zeros(1))
    with pytest.raises(DataError, match="something"):
        kind.load(tmp_path / "other.npz")
