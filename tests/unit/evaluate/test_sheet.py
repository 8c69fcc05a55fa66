from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from nbf.body.model import BodyModel
from nbf.evaluate.sheet import Entry, comparison_sheet, sheet, spread
from nbf.geometry import Camera, Crop


@pytest.mark.parametrize(("people", "shown"), [(1, 1), (7, 7), (30, 30), (1000, 30)])
def test_spread_is_even_from_worst_to_best(people: int, shown: int) -> None:
    scores = torch.randn(people, generator=torch.Generator().manual_seed(0)).tolist()
    picked = spread(scores)
    assert len(set(picked)) == shown
    values = [scores[index] for index in picked]
    assert values == sorted(values, reverse=True)
    assert values[0] == max(scores)
    assert values[-1] == min(scores)
    ranks = np.array([sorted(scores, reverse=True).index(value) for value in values])
    assert np.ptp(np.diff(ranks, prepend=-1)[1:]) <= 1 if shown > 1 else True


def entry(body: BodyModel, *, true: bool) -> Entry:
    rotations = torch.eye(3).repeat(1, 24, 1, 1)
    rotations[:, 0] = torch.diag(torch.tensor([1.0, -1, -1]))
    vertices = body(torch.zeros(1, body.shape_count), rotations, torch.tensor([[0.0, 0, 4]])).vertices
    parts = torch.zeros(25, 64, 64)
    parts[13, :, :32], parts[0, :, 32:] = 1, 1
    crop = Crop(torch.tensor([128.0, 128.0]), torch.tensor(256.0), 256)
    camera = Camera(torch.tensor(400.0), torch.tensor([128.0, 128.0]))
    picture = Image.new("RGB", (256, 256), (200, 30, 30))
    return Entry(picture, [(parts, crop)], vertices, camera, "someone: 12 mm", vertices if true else None)


def test_a_sheet_has_four_panels_for_each_person(body: BodyModel) -> None:
    picture = sheet([entry(body, true=True), entry(body, true=False)], body.faces, "title")
    pixels = np.asarray(picture).astype(int)
    tile = (picture.width - 30) // 2 // 4
    photo, parts, mesh, side = (pixels[80:200, 10 + k * tile : 8 + (k + 1) * tile] for k in range(4))
    assert (photo[40, 20:60] == [200, 30, 30]).all()
    # Left half green, the torso's colour; right half the pale photo.
    assert (parts[40, 20] - parts[40, -20])[1] > 60
    assert (mesh != photo).any()
    assert (side != side[0, 0]).any()


def test_the_true_body_is_drawn_blue_beside_the_found_one(body: BodyModel) -> None:
    with_true, without = (
        np.asarray(sheet([entry(body, true=flag)], body.faces, "")).astype(int) for flag in (True, False)
    )
    changed = (with_true != without).any(-1)
    assert changed.any()
    found = without[changed].mean(0)
    assert (with_true[changed].mean(0) - found)[2] > (with_true[changed].mean(0) - found)[0]


def test_methods_stand_side_by_side(body: BodyModel) -> None:
    """Each row has its photo once, then mesh and side view of each method."""
    here, nobody = entry(body, true=False), replace(entry(body, true=False), vertices=torch.zeros(0, 0, 3))
    farther = replace(here, vertices=here.vertices + torch.tensor([0.0, 0.0, 4.0]))
    picture = comparison_sheet([[here, farther], [nobody, here]], ["near", "far"], body.faces, "title")
    pixels = np.asarray(picture).astype(int)
    tile = (picture.width - 44) // 5

    def cell(row: int, left: int) -> np.ndarray:
        top = picture.height - 10 - tile - (1 - row) * (tile + 32)
        return pixels[top : top + tile, left : left + tile]

    first, second = 20 + tile, 32 + 3 * tile
    for row in range(2):
        assert (cell(row, 10) == [200, 30, 30]).all()
    covered = [(cell(0, left) != [200, 30, 30]).any(-1).sum() for left in (first, second)]
    assert covered[0] > 2 * covered[1] > 0
    assert (cell(1, first) == [200, 30, 30]).all()
    np.testing.assert_array_equal(cell(1, second), cell(0, first))
    assert (cell(0, first + tile + 2) != cell(0, first + tile + 2)[0, 0]).any()
    with pytest.raises(ValueError, match="zip"):
        comparison_sheet([[here]], ["near", "far"], body.faces, "")
