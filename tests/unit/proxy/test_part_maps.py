"""Part maps survive the way to a paint program and back; what is not a part map is refused by name and place."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.nn.functional import one_hot

from nbf.body.parts import COLORS
from nbf.errors import InputError
from nbf.geometry import Crop
from nbf.proxy.part_files import connected_to, part_shares, read_part_map, write_part_map
from nbf.render.parts import part_labels

WIDTH, HEIGHT = 60, 50


@pytest.fixture
def labels() -> np.ndarray:
    """All 25 labels, in blocks."""
    return np.kron(np.random.default_rng(0).permutation(25).reshape(5, 5), np.ones((10, 12))).astype(np.uint8)


def colored(labels: np.ndarray) -> np.ndarray:
    return COLORS.numpy()[labels]


def reordered(labels: np.ndarray) -> Image.Image:
    """As paint programs save palettes: only the used colours, in an order of their own."""
    return Image.fromarray(colored(labels)).quantize(32, dither=Image.Dither.NONE)


def foreign(labels: np.ndarray) -> Image.Image:
    """Indices are labels, with colours of somebody else's."""
    image = Image.fromarray(labels)
    image.putpalette(np.random.default_rng(1).integers(0, 256, 75, np.uint8).tolist())
    return image


SAVED = {
    "grey": Image.fromarray,
    "deep grey": lambda labels: Image.fromarray(labels.astype(np.uint16)),
    "grey as RGB": lambda labels: Image.fromarray(labels).convert("RGB"),
    "colours": lambda labels: Image.fromarray(colored(labels)),
    "opaque": lambda labels: Image.fromarray(colored(labels)).convert("RGBA"),
    "colours a little off": lambda labels: Image.fromarray((colored(labels) * 0.98).round().astype(np.uint8)),
    "another palette order": reordered,
    "another palette": foreign,
    "a palette of greys": lambda labels: Image.fromarray(labels + np.uint8(0)).quantize(32, dither=Image.Dither.NONE),
}


@pytest.mark.parametrize("how", SAVED)
def test_labels_come_back_however_they_were_saved(labels, tmp_path, how):
    SAVED[how](labels).save(tmp_path / "map.png")
    np.testing.assert_array_equal(read_part_map(tmp_path / "map.png", WIDTH, HEIGHT), labels)


@given(st.integers(0, 2**32 - 1), st.integers(1, 25))
def test_write_then_read_gives_the_labels(tmp_path_factory, seed, count):
    path = tmp_path_factory.mktemp("maps") / "map.png"
    labels = np.random.default_rng(seed).integers(0, count, (7, 9), np.uint8)
    write_part_map(labels, path)
    np.testing.assert_array_equal(read_part_map(path, 9, 7), labels)
    np.testing.assert_array_equal(np.asarray(Image.open(path).convert("RGB")), colored(labels))


def test_what_was_erased_is_background(labels, tmp_path):
    rgba = np.concatenate([colored(labels), np.full((HEIGHT, WIDTH, 1), 255, np.uint8)], axis=-1)
    rgba[:20, :, 3] = 0
    rgba[:20, :, :3] = 200
    Image.fromarray(rgba).save(tmp_path / "map.png")
    expected = labels.copy()
    expected[:20] = 0
    np.testing.assert_array_equal(read_part_map(tmp_path / "map.png", WIDTH, HEIGHT), expected)


def _bad_files(folder, labels):
    colors = colored(labels)
    Image.fromarray(colors[1:]).save(folder / "small.png")
    colors[13, 7] = (200, 200, 255)
    colors[40, 2] = (200, 200, 255)
    Image.fromarray(colors).save(folder / "strange.png")
    palette = reordered(labels)
    palette.putpalette([*palette.getpalette()[:9], 255, 255, 255, *palette.getpalette()[12:]])  # pyright: ignore[reportOptionalSubscript]
    palette.save(folder / "palette.png")
    Image.fromarray(np.where(labels == 0, 255, 0).astype(np.uint8)).save(folder / "mask.png")
    Image.fromarray(labels == 0).save(folder / "bits.png")
    Image.fromarray(np.full((HEIGHT, WIDTH), 25, np.uint8)).save(folder / "label.png")
    Image.fromarray(labels).save(folder / "lossy.jpg")
    (folder / "words.png").write_text("words")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone.png", "no such file"),
        ("words.png", "cannot be read as PNG"),
        ("lossy.jpg", "saved as PNG"),
        ("small.png", "60 x 50, got 60 x 49"),
        ("strange.png", r"got \(200, 200, 255\) at x 7, y 13 .*and 1 such pixels more; paint with a hard pencil"),
        ("palette.png", r"got \(255, 255, 255\) at"),
        ("mask.png", "got the value 255 at"),
        ("bits.png", "got the value 255 at"),
        ("label.png", "got the value 25 at x 0, y 0"),
    ],
)
def test_other_pictures_are_refused(labels, tmp_path, name, words):
    _bad_files(tmp_path, labels)
    with pytest.raises(InputError, match=words) as caught:
        read_part_map(tmp_path / name, WIDTH, HEIGHT)
    assert name in str(caught.value)


@given(st.floats(100, 500), st.floats(0, 1), st.floats(0, 1))
def test_part_probabilities_undo_part_labels(size, right, down):
    # Blocks of 16 x 16 cells; in the two cells, or pixels of the picture, on either side of a border both are right.
    parts = np.random.default_rng(0).integers(0, 25, (4, 4))
    blocks = torch.from_numpy(np.kron(parts, np.ones((16, 16), np.int64)))
    true = one_hot(blocks, 25).permute(2, 0, 1).float()
    center = size / 2 + torch.tensor([right, down]) * (600 - size)
    crop = Crop(center, torch.tensor(size), 256)
    found = part_shares(part_labels(true, crop, 600, 600), crop)
    margin = 2 * math.ceil(max(1, 64 / size))
    inner = torch.zeros(16, dtype=torch.bool)
    inner[margin:-margin] = True
    sure = inner.repeat(4)[:, None] & inner.repeat(4)
    torch.testing.assert_close(found[:, sure], true[:, sure])


@given(st.floats(30, 900), st.floats(-200, 500), st.floats(-200, 500))
def test_shares_sum_to_one_and_beyond_the_picture_is_background(size, x, y):
    labels = np.full((300, 300), 7, np.uint8)
    crop = Crop(torch.tensor([x, y]), torch.tensor(size), 256)
    found = part_shares(labels, crop)
    assert found.shape == (25, 64, 64)
    assert found.min() >= 0
    torch.testing.assert_close(found.sum(0), torch.ones(64, 64), atol=1e-5, rtol=0)
    cells = torch.stack(torch.meshgrid(torch.arange(64) + 0.5, torch.arange(64) + 0.5, indexing="xy"), -1)
    # How far each cell's centre is inside, in cells; pixels larger than a cell blur it by as much.
    inside = torch.minimum(crop.to_image(4 * cells), 300 - crop.to_image(4 * cells)).amin(-1) / (size / 64)
    blur = 1 + 64 / size
    assert (found[7][inside > blur] > 0.999).all()
    assert (found[0][inside < -blur] > 0.999).all()


def test_shares_are_areas():
    # Everything left of x = 103 is part 5: of the crop's cells of 4 pixels one is cut, at three quarters.
    labels = np.zeros((256, 256), np.uint8)
    labels[:, :103] = 5
    found = part_shares(labels, Crop(torch.tensor([128.0, 128.0]), torch.tensor(256.0), 256))
    expected = torch.cat([torch.ones(25), torch.tensor([0.75]), torch.zeros(38)]).expand(64, 64)
    torch.testing.assert_close(found[5], expected)
    torch.testing.assert_close(found[0], 1 - expected)


def test_only_regions_that_are_the_persons_own_are_kept():
    labels = torch.zeros(64, 64, dtype=torch.int64)
    labels[10:50, 10:20] = 13  # where the person was seen
    labels[12:16, 20:30] = 3  # an arm painted on
    labels[10:50, 40:50] = 14  # a neighbour
    parts = torch.nn.functional.one_hot(labels, 25).movedim(-1, 0).float()
    own = torch.zeros(64, 64, dtype=torch.bool)
    own[10:50, 8:22] = True
    own[10:20, 38:50] = True  # a little of the neighbour was taken for them
    kept = connected_to(parts, own)
    torch.testing.assert_close(kept.sum(0), torch.ones(64, 64))
    torch.testing.assert_close(kept[:, :, :35], parts[:, :, :35])
    assert kept[0, :, 35:].min() == 1
    assert connected_to(parts, ~own & False)[0].min() == 1
