"""Packed networks: the same functions."""

import pytest
import torch
from torch import Tensor, nn

from nbf.nets import Locator, Segmenter
from nbf.nets import packed as module
from nbf.nets.blocks import ConvNorm, for_inference, multiplies_bfloat16
from nbf.nets.packed import PackedConv, packed, packs
from nbf.nets.trunk import unit

NEEDS_PACKING = pytest.mark.skipif(not packs(), reason="this torch does not pack convolutions here")


def image(count: int) -> Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("network", [Segmenter(32, 32, 0.25), Locator(0.25)], ids=lambda value: type(value).__name__)
def test_they_answer_as_the_networks_do(network: nn.Module) -> None:
    plain, fast = network.eval(), packed(network)
    with torch.no_grad():
        for count in (3, 1):  # the first call packs
            for got, expected in zip(fast(image(count)), plain(image(count)), strict=True):
                torch.testing.assert_close(got, expected, atol=2e-4, rtol=1e-3)


@NEEDS_PACKING
def test_every_convolution_is_packed() -> None:
    kinds = [type(child) for child in packed(Segmenter(32, 32, 0.25)).modules()]
    assert PackedConv in kinds
    assert nn.Conv2d not in kinds
    assert ConvNorm not in kinds


@NEEDS_PACKING
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 8])
def test_units_of_all_kinds(kernel: int, stride: int, groups: int) -> None:
    """Those that halve pad more at the right and at the bottom."""
    torch.manual_seed(0)
    plain = for_inference(nn.Sequential(unit(8, 16, kernel, stride=stride, groups=groups)))
    x = 9 * torch.randn(2, 8, 12, 16)
    torch.testing.assert_close(packed(plain)(x), plain(x), atol=1e-5, rtol=1e-5)


@NEEDS_PACKING
@pytest.mark.skipif(not multiplies_bfloat16("cpu"), reason="this processor does not multiply bfloat16")
def test_bfloat16_where_it_is_fast_and_may_be() -> None:
    net = nn.Sequential(unit(3, 8, 3))
    assert packed(net, exact=False)(image(1)).dtype == torch.bfloat16
    assert packed(net, exact=True)(image(1)).dtype == torch.float32
    torch.testing.assert_close(packed(net, exact=False)(image(1)).float(), packed(net)(image(1)), atol=0.02, rtol=0.02)


def test_other_torches_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "packs", lambda: False)
    net = nn.Sequential(unit(3, 8, 3))
    torch.testing.assert_close(packed(net, exact=False)(image(1)), for_inference(net)(image(1)), rtol=0, atol=0)


def test_operators_that_are_missing_or_wrong_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> Tensor:
        raise NotImplementedError

    for forward in (missing, lambda _, x: x.sum() + torch.zeros(1, 4, 8, 8)):
        monkeypatch.setattr(PackedConv, "forward", forward)
        assert not packs.__wrapped__()
