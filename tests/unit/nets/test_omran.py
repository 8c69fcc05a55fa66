"""The paper's own fitter: its size, its two cameras, what it answers before it has learnt anything."""

from pathlib import Path

import pytest
import torch

from nbf.body.joints import world_rotations
from nbf.geometry import Camera, translation_from_crop_camera
from nbf.nets.mean_body import UPRIGHT
from nbf.nets.omran import PLACE, Omran
from nbf.nets.weights import load_kind, save_network

SMALL = {"blocks": (1, 1), "width": 8}


def test_it_is_resnet50_with_226_numbers() -> None:
    network = Omran(10)
    # He et al. 2016: 25.6 million, of which the classifier's 1000 outputs take 2.0.
    trunk = sum(parameter.numel() for parameter in network.encoder.parameters())
    assert trunk == 23_508_032
    assert network.head.weight.shape == (226, 2048)


@pytest.mark.parametrize("camera", ["fixed", "perspective"])
def test_untrained_it_answers_with_the_mean(camera) -> None:
    network = Omran(10, camera, **SMALL).eval()
    output = network(torch.rand(2, 3, 224, 224))
    torch.testing.assert_close(world_rotations(output.rotations), UPRIGHT.expand(2, 24, 3, 3), atol=0.05, rtol=0)
    assert output.betas.abs().max() < 0.05


def test_before_the_fixed_camera_everybody_stands_at_one_place() -> None:
    network = Omran(10, "fixed", **SMALL).eval()
    output = network(torch.rand(3, 3, 64, 64))
    before = network.camera(Camera.default(640, 480), 256)
    torch.testing.assert_close(before.focal, torch.tensor(5000.0 / 2))
    pelvis = translation_from_crop_camera(output.scale, output.offset, before, 256)
    torch.testing.assert_close(pelvis, torch.tensor(PLACE).expand(3, 3))


def test_with_perspective_the_crops_camera_is_taken() -> None:
    network, crop = Omran(10, "perspective", **SMALL), Camera.default(640, 480)
    assert network.camera(crop, 256) is crop
    assert network.numbers == 229


def test_its_file_makes_it_again(tmp_path: Path) -> None:
    network = Omran(11, "perspective", **SMALL)
    again = load_kind(save_network(network, tmp_path / "omran", {}), Omran)
    assert again.arguments == network.arguments
    assert again.state_dict().keys() == network.state_dict().keys()
