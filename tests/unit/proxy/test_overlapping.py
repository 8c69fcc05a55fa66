"""People whose crops overlap: laws of painting over and of sharing pixels."""

import pytest
import torch
from torch import Tensor

from nbf.geometry import Camera, Crop
from nbf.proxy import overlapping
from nbf.proxy.overlapping import carried, competing, covered, without
from nbf.proxy.proxy import Proxy

CROPS = Crop(torch.tensor([[40.0, 50.0], [70.0, 50.0], [300.0, 50.0]]), torch.tensor([64.0, 80.0, 64.0]), 256)


def proxy(seed: int = 0) -> Proxy:
    """Part maps of people in the middle of their crops."""
    noise = torch.randn(3, 25, 64, 64, generator=torch.Generator().manual_seed(seed))
    noise[:, 0] += 8
    noise[:, 1:, 8:56, 16:48] += 6
    return Proxy(Camera(torch.ones(3), torch.zeros(3, 2)), parts=noise.softmax(1))


def parts(seen: Proxy) -> Tensor:
    assert seen.parts is not None
    return seen.parts


def test_a_map_in_its_own_crop_is_itself() -> None:
    maps = parts(proxy())
    own = carried(maps, CROPS, Crop(CROPS.center, CROPS.size, 64))
    torch.testing.assert_close(own, maps, atol=1e-5, rtol=1e-5)


def test_pixels_are_shared_and_what_nobody_else_claims_stays() -> None:
    before = proxy()
    after = competing(before, CROPS)
    torch.testing.assert_close(parts(after).sum(1), torch.ones(3, 64, 64), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after.silhouette, 1 - parts(after)[:, 0])
    assert torch.equal(parts(after)[2], parts(before)[2]), "far from the others"
    assert torch.equal(parts(after)[0, :, :, :8], parts(before)[0, :, :, :8]), "left of the other's crop"
    assert (parts(after)[:, 0] >= parts(before)[:, 0] - 1e-6).all()
    assert parts(after)[0, 0, 32, 44] > parts(before)[0, 0, 32, 44] + 0.2, "where both are"


def test_two_who_claim_the_same_alike_share_it_and_the_surer_wins() -> None:
    same = Crop(CROPS.center[:1].repeat(2, 1), CROPS.size[:1].repeat(2), 256)
    alike = competing(proxy()[torch.tensor([0, 0])], same)
    before = parts(proxy())[0, 1:]
    torch.testing.assert_close(parts(alike)[0, 1:], before / 2, atol=1e-3, rtol=1e-2)
    unsure = parts(proxy())[:1] * 0.5
    unsure[:, 0] += 0.5
    sure = Proxy(proxy().camera[:2], parts=torch.cat([parts(proxy())[:1], unsure]))
    assert (parts(competing(sure, same))[0, 0] - parts(sure)[0, 0]).max() < 0.01


def test_order_does_not_matter_and_one_stays() -> None:
    shuffle = torch.tensor([2, 0, 1])
    crops = Crop(CROPS.center[shuffle], CROPS.size[shuffle], 256)
    torch.testing.assert_close(parts(competing(proxy()[shuffle], crops)), parts(competing(proxy(), CROPS))[shuffle])
    alone = proxy()[:1]
    assert competing(alone, Crop(CROPS.center[:1], CROPS.size[:1], 256)) is alone


def test_only_the_person_is_painted_over() -> None:
    image = torch.full((3, 100, 120), 10, dtype=torch.uint8)
    image[:, 35:65, 30:50] = 200
    seen = torch.zeros(1, 25, 64, 64)
    # The same block in cells of the first crop, which begins at x 8, y 18.
    seen[:, 1, 17:47, 22:42] = 1
    seen[:, 0] = 1 - seen[:, 1]
    crop = Crop(CROPS.center[:1], CROPS.size[:1], 256)
    mask = covered(image, seen, crop)
    assert (mask[:, 35:65, 30:50] == 255).all()
    assert (mask > 0).sum() <= 32 * 22
    assert (without(image, mask, crop) == 10).all()
    assert (without(image / 255, mask, crop) - 10 / 255).abs().max() < 1e-6
    assert torch.equal(without(image, covered(image, seen[:0], crop), crop), image)
    assert int(image.max()) == 200
    beyond = Crop(torch.tensor([[400.0, 50.0]]), torch.tensor([64.0]), 256)
    assert not covered(image, seen, beyond).any()
    assert torch.equal(without(image, mask, beyond), image)


def test_paint_goes_smoothly_over_into_what_is_around() -> None:
    across = torch.linspace(0, 1, 120)[None, None].expand(3, 100, 120)
    mask = torch.zeros(1, 100, 120, dtype=torch.uint8)
    mask[:, 35:65, 30:50] = 255
    painted = without(across, mask, Crop(CROPS.center[:1], CROPS.size[:1], 256))
    assert (painted - across).abs().max() < 0.05


def test_large_pictures_are_painted_square_by_square_as_small_ones_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.rand(3, 100, 120, generator=torch.Generator().manual_seed(0))
    seen = parts(proxy())
    mask = covered(image, seen, CROPS)
    painted = without(image, mask, CROPS)
    assert (painted != image).any()
    monkeypatch.setattr(overlapping, "TILE", 17)
    assert torch.equal(covered(image, seen, CROPS), mask)
    torch.testing.assert_close(without(image, mask, CROPS), painted, atol=1e-5, rtol=0)
