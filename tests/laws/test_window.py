"""Windows of pictures: both directions agree, and reading is the inverse of drawing."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from nbf.geometry.window import Window, clip, pixel_grid, read, within


@given(st.floats(-50, 150), st.floats(1, 300), st.floats(-math.pi, math.pi), st.booleans(), st.integers(0, 1000))
def test_to_unit_inverts_to_photo(center: float, side: float, angle: float, mirrored: bool, seed: int):
    window = Window(
        torch.tensor([[center, center / 2]]), torch.tensor([side]), torch.tensor([angle]), torch.tensor([mirrored])
    )
    unit = torch.rand(1, 4, 5, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    back = window.to_unit(window.to_photo(unit).reshape(1, 20, 2)).reshape(unit.shape)
    torch.testing.assert_close(back, unit, atol=1e-3, rtol=0)


def test_untouched_window_reads_the_picture_itself():
    picture = torch.rand(2, 3, 16, 16)
    zero = torch.zeros(2)
    window = Window(torch.full((2, 2), 8.0), torch.full((2,), 16.0), zero, zero > 0)
    torch.testing.assert_close(read(picture, window.to_photo(pixel_grid(16, zero.device)[None])), picture)
    mirrored = Window(torch.full((2, 2), 8.0), torch.full((2,), 16.0), zero, zero == 0)
    torch.testing.assert_close(read(picture, mirrored.to_photo(pixel_grid(16, zero.device)[None])), picture.flip(-1))


def test_clipped_boxes_lie_within_their_frame():
    boxes, frame = torch.tensor([[-5.0, 2, 30, 90]]), torch.tensor([[0.0, 0, 20, 50]])
    assert clip(boxes, frame).tolist() == [[0, 2, 20, 50]]
    points = torch.tensor([[[0.0, 0], [19.9, 49.9], [20, 10], [-0.1, 3]]])
    assert within(points, frame).tolist() == [[True, True, False, False]]
