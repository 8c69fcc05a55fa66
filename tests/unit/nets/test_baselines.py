"""The networks of the baselines: shapes, means, files, and what they know of their errors."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from nbf.body.joints import local_rotations, world_rotations
from nbf.nets.hmr import PASSES, Hmr
from nbf.nets.mean_body import Baseline
from nbf.nets.pavlakos import Pavlakos
from nbf.nets.regressor import Regressor
from nbf.nets.unet import UNet
from nbf.nets.weights import load_network, save_network

SHAPES = 5


def baseline(kind: str) -> tuple[Baseline, tuple[Tensor, ...]]:
    """A small network, and what two people might look like to it."""
    torch.manual_seed(0)
    return {
        "hmr": lambda: (Hmr(SHAPES, width=16, thin=8), (torch.rand(2, 320, 4, 4),)),
        "pavlakos": lambda: (
            Pavlakos(SHAPES, width=16, blocks=1, hidden=8),
            (torch.rand(2, 17, 3) * 2 - 1, torch.rand(2, 64, 64)),
        ),
        "regressor": lambda: (Regressor(3, SHAPES, width=8), (torch.rand(2, 3, 64, 64),)),
    }[kind]()


KINDS = pytest.mark.parametrize("kind", ["hmr", "pavlakos", "regressor"])


@KINDS
def test_it_starts_at_its_mean(kind: str) -> None:
    network, inputs = baseline(kind)
    mean = torch.linalg.qr(torch.randn(23, 3, 3))[0]
    mean = mean * torch.linalg.det(mean)[:, None, None]
    network.set_mean(torch.full((SHAPES,), 0.3), mean, torch.tensor(0.5).log(), torch.tensor([0.1, -0.1]))
    output = network.eval()(*inputs)
    torch.testing.assert_close(output.betas, torch.full((2, SHAPES), 0.3), atol=0.2, rtol=0)
    torch.testing.assert_close(output.rotations[:, 1:], mean.expand(2, -1, -1, -1), atol=0.2, rtol=0)
    torch.testing.assert_close(output.offset, torch.tensor([[0.1, -0.1]]).expand(2, 2), atol=0.2, rtol=0)


@KINDS
def test_rotations_are_proper_wherever_it_goes(kind: str) -> None:
    network, inputs = baseline(kind)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    rotations = network.eval()(*inputs).rotations
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(2, 24), atol=1e-4, rtol=0)
    world = world_rotations(rotations)
    torch.testing.assert_close(local_rotations(world), rotations, atol=1e-4, rtol=0)


@KINDS
def test_every_weight_learns(kind: str) -> None:
    network, inputs = baseline(kind)
    output = network(*inputs)
    (output.rotations.sum() + output.betas.sum() + output.scale.sum() + output.offset.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@KINDS
def test_file_round_trip_keeps_what_it_knows_of_its_errors(kind: str, tmp_path: Path) -> None:
    network, inputs = baseline(kind)
    network.set_errors(torch.linspace(0, 0.2, 24), torch.full((SHAPES,), 0.7))
    save_network(network, tmp_path / "weights", {})  # pyright: ignore[reportArgumentType]
    again = load_network(tmp_path / "weights.safetensors")
    assert isinstance(again, Baseline)
    torch.testing.assert_close(again.joint_error, torch.linspace(0, 0.2, 24), atol=1e-3, rtol=0)
    before, after = network.eval()(*inputs), again(*inputs)
    torch.testing.assert_close(before.rotations, after.rotations, atol=0.01, rtol=0)


def test_hmr_corrects_its_answer() -> None:
    """Each pass sees the answer of the one before it and adds to it; blind to it, three add up to three times one."""
    network, inputs = baseline("hmr")
    assert isinstance(network, Hmr)
    torch.nn.init.normal_(network.head.weight, std=0.5)
    whole = network.eval()(*inputs).betas
    torch.nn.init.zeros_(network.of_answer.weight)
    apart = network(*inputs).betas
    assert (whole - apart).abs().max() > 1e-3
    seen = network.of_features(network.thin(*inputs).flatten(1))
    once = network.head(network.second(seen.relu()).relu())[:, :SHAPES]
    torch.testing.assert_close(apart, PASSES * once, atol=1e-4, rtol=1e-4)


def test_pavlakos_takes_shape_from_the_silhouette_alone() -> None:
    network, (joints, silhouette) = baseline("pavlakos")
    assert isinstance(network, Pavlakos)
    for head in (network.pose[-1], network.shape[-1]):
        assert isinstance(head, torch.nn.Linear)
        torch.nn.init.normal_(head.weight, std=0.5)
    here, there = network.eval()(joints, silhouette), network(joints.flip(0), silhouette)
    torch.testing.assert_close(here.betas, there.betas)
    assert (here.rotations - there.rotations).abs().max() > 1e-3
    hollow = network(joints, torch.zeros_like(silhouette))
    torch.testing.assert_close(here.rotations, hollow.rotations)
    assert (here.betas - hollow.betas).abs().max() > 1e-4


def test_unet_maps_cells_of_two_pixels() -> None:
    network = UNet(3, 25, 4).eval()
    assert network(torch.rand(2, 3, 128, 128)).shape == (2, 25, 64, 64)
