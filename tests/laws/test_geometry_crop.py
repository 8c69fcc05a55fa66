"""The resampled crop sits where its map of coordinates says: to a twentieth of a pixel, shrinking or enlarging."""

import pytest
import torch

from nbf.geometry import Crop

WIDTH, HEIGHT = 240, 180


def ramp() -> torch.Tensor:
    """A picture whose two channels hold the coordinates (x, y) of each pixel centre."""
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    return torch.stack([x, y]).double()


def crop_pixels(crop: Crop) -> torch.Tensor:
    """Where the centres of the crop's pixels lie in the picture (b, r, r, 2)."""
    side = torch.arange(crop.resolution, dtype=torch.float64) + 0.5
    centers = torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1).reshape(1, -1, 2)
    return crop.to_image(centers).reshape(-1, crop.resolution, crop.resolution, 2)


# Crops much smaller, a little smaller, as large as and (much) larger than their 32 pixels; some reach out of the frame.
CASES = [
    (x, y, size)
    for size in (7.3, 31.0, 32.0, 33.7, 47.9, 64.0, 101.3, 150.1, 170.0)
    for x, y in ((120.0, 90.0), (113.37, 91.81), (5.2, 170.6), (236.4, 3.0))
]


@pytest.mark.parametrize("case", CASES)
def test_ramp_lands_where_the_map_says(case: tuple[float, float, float]) -> None:
    crop = Crop(torch.tensor([case[:2]]).double(), torch.tensor([case[2]]).double(), 32)
    sampled = crop.sample(ramp()).permute(0, 2, 3, 1)
    expected = crop_pixels(crop)
    step = case[2] / 32
    # Near the border zeros from outside of the picture mix in: by how much, the next test says.
    border = 2.0 * max(step, 1.0)
    inside = (expected > border).all(dim=-1)
    inside &= (expected < torch.tensor([WIDTH - border, HEIGHT - border])).all(dim=-1)
    assert inside.any()
    # In pixels of the picture where it is enlarged, of the crop where it is shrunk: whichever is the coarser.
    assert ((sampled - expected)[inside].abs() / max(step, 1.0)).max() < 0.05


@pytest.mark.parametrize("case", CASES)
def test_outside_is_zero_and_inside_is_whole(case: tuple[float, float, float]) -> None:
    crop = Crop(torch.tensor([case[:2]]).double(), torch.tensor([case[2]]).double(), 32)
    coverage = crop.sample(torch.ones(1, HEIGHT, WIDTH, dtype=torch.float64))[:, 0]
    at, border = crop_pixels(crop), 2.0 * max(case[2] / 32, 1.0)
    frame = torch.tensor([WIDTH, HEIGHT])
    inside = (at > border).all(dim=-1) & (at < frame - border).all(dim=-1)
    outside = (at < -border).any(dim=-1) | (at > frame + border).any(dim=-1)
    assert torch.allclose(coverage[inside], torch.ones((), dtype=torch.float64))
    assert (coverage[outside] == 0).all()
    assert ((coverage >= 0) & (coverage <= 1 + 1e-9)).all()


def test_the_whole_picture_at_its_own_size_is_unchanged() -> None:
    image = torch.rand(3, 50, 50)
    crop = Crop(torch.tensor([25.0, 25.0]), torch.tensor(50.0), 50)
    assert torch.allclose(crop.sample(image)[0], image, atol=1e-6)


def test_back_and_forth_finds_the_same_place() -> None:
    """Crop, then crop back out of the crop: a smooth picture comes back."""
    x = torch.linspace(0, 3, 120)
    image = (torch.sin(x)[:, None] * torch.cos(x))[None]
    into = Crop(torch.tensor([60.3, 57.9]), torch.tensor(71.7), 90)
    small = into.sample(image)
    corner = into.to_crop(torch.tensor([[30.0, 30.0], [90.0, 90.0]]))
    back = Crop(corner.mean(dim=0), corner[1, 0] - corner[0, 0], 60)
    assert (back.sample(small)[0, :, 2:-2, 2:-2] - image[:, 32:88, 32:88]).abs().max() < 2e-3


def test_shrinking_is_antialiased() -> None:
    checks = ((torch.arange(512)[:, None] + torch.arange(512)) % 2).float()[None]
    for size in (80.0, 200.0, 400.0):
        sampled = Crop(torch.tensor([256.0, 256.0]), torch.tensor(size), 32).sample(checks)
        assert (sampled - 0.5).abs().max() < 0.08


def test_bytes_floats_batches_and_singles_agree() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 3, 90, 120), generator=generator, dtype=torch.uint8)
    crop = Crop(torch.tensor([[50.0, 40], [10, 80], [400, 400]]), torch.tensor([200.0, 22.5, 30]), 24)
    batch = crop.sample(images)
    assert torch.allclose(batch, crop.sample(images / 255.0), atol=1e-6)
    for k in range(3):
        single = Crop(crop.center[k], crop.size[k], 24)
        assert torch.equal(single.sample(images[k])[0], batch[k])
        assert torch.equal(crop.sample(images[k])[k], batch[k])
    assert (batch[2] == 0).all()
    assert Crop(torch.zeros(0, 2), torch.zeros(0), 24).sample(images[0]).shape == (0, 3, 24, 24)


def test_the_picture_gets_gradients() -> None:
    crop = Crop(torch.tensor([6.2, 5.1]).double(), torch.tensor(15.3).double(), 4)
    image = torch.rand(2, 11, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(crop.sample, image)
