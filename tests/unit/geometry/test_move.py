"""Moves of crops: pictures go where points go, and back again."""

import math

import torch

from nbf.geometry import CropMove


def moves(count: int, seed: int) -> CropMove:
    g = torch.Generator().manual_seed(seed)
    angle, zoom, shift = (torch.randn(*shape, generator=g).double() for shape in ((count,), (count,), (count, 2)))
    return CropMove(angle, (0.3 * zoom).exp(), 0.3 * shift)


def test_the_inverse_moves_points_back() -> None:
    points = torch.randn(5, 9, 3, generator=torch.Generator().manual_seed(1)).double()
    move = moves(5, 0)
    torch.testing.assert_close(move.inverse().points(move.points(points)), points)
    assert torch.equal(move.points(points)[..., 2], points[..., 2])


def test_a_quarter_turn_is_clockwise() -> None:
    quarter = CropMove(torch.tensor([math.pi / 2]), torch.ones(1), torch.zeros(1, 2))
    torch.testing.assert_close(quarter.points(torch.tensor([[[0.0, -1.0]]])), torch.tensor([[[1.0, 0.0]]]))  # up: right
    picture = torch.rand(1, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(quarter.picture(picture), picture.rot90(-1, (2, 3)))


def test_pictures_move_as_points_do() -> None:
    """The middle of a blob in a picture is where the blob's middle went."""
    cells = (torch.arange(64) + 0.5) / 32 - 1
    x, y = 0.25, -0.16
    blob = torch.exp(-((cells - x) ** 2 + (cells[:, None] - y) ** 2) / 0.018)[None, None]
    move = CropMove(torch.tensor([math.pi / 7]), torch.tensor([0.9]), torch.tensor([[0.09, -0.05]]))
    moved = move.picture(blob)[0, 0]
    mass = moved / moved.sum()
    middle = torch.stack([(mass.sum(0) * cells).sum(), (mass.sum(1) * cells).sum()])
    torch.testing.assert_close(middle, move.points(torch.tensor([[[x, y]]]))[0, 0], atol=2e-3, rtol=0.0)


def test_what_comes_in_from_outside_is_nothing() -> None:
    moved = CropMove(torch.zeros(1), torch.ones(1), torch.tensor([[0.5, 0.0]])).picture(torch.ones(1, 1, 64, 64))
    assert not moved[..., :16].any()
    torch.testing.assert_close(moved[..., 16:], torch.ones(1, 1, 64, 48))
