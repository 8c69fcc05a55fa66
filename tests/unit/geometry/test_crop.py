"""Crops from boxes."""

import torch

from nbf.geometry import Camera, Crop


def test_boxes_keep_their_centre_and_get_a_margin() -> None:
    crop = Crop.from_boxes(torch.tensor([10.0, 20.0, 50.0, 120.0]), 64, margin=1.5)
    assert crop.center.tolist() == [30.0, 70.0]
    assert float(crop.size) == 150.0
    assert crop.resolution == 64


def test_the_middle_of_the_crop_is_its_centre() -> None:
    crop = Crop(torch.tensor([30.0, 70.0]), torch.tensor(10.0), 64)
    assert crop.to_crop(torch.tensor([[30.0, 70.0]])).tolist() == [[32.0, 32.0]]
    assert crop.to_image(torch.tensor([[0.0, 64.0]])).tolist() == [[25.0, 75.0]]


def test_moving_to_a_device_keeps_everything() -> None:
    crop = Crop(torch.tensor([30.0, 70.0]), torch.tensor(10.0), 64).to("cpu")
    camera = Camera.default(30, 40).to("cpu")
    assert crop.camera(camera).focal.item() == 50.0 * 6.4
