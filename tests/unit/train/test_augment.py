"""Moved pictures: bodies, cameras, keypoints and maps go the same way."""

import math

import torch

from nbf.body.files import load_body
from nbf.body.model import pose_joints
from nbf.geometry.camera import Camera
from nbf.train.augment import Move, move_people, random_moves
from nbf.train.batch import Batch

BODY = load_body("anny24", "small")


def people(count: int) -> Batch:
    g = torch.Generator().manual_seed(0)
    turns = torch.linalg.qr(torch.randn(count, 24, 3, 3, generator=g))[0]
    return {
        "betas": 0.3 * torch.randn(count, BODY.shape_count, generator=g),
        "rotations": turns * torch.linalg.det(turns)[..., None, None],
        "translation": torch.randn(count, 3, generator=g) + torch.tensor([0.0, 0.0, 6.0]),
        "focal": 300 + 50 * torch.rand(count, generator=g),
        "center": 128 + 20 * torch.randn(count, 2, generator=g),
        "keypoints": 256 * torch.rand(count, 17, 3, generator=g),
    }


def projected(batch: Batch) -> torch.Tensor:
    _, joints = pose_joints(BODY.rest_joints(batch["betas"]), batch["rotations"], batch["translation"])
    return Camera(batch["focal"], batch["center"]).project(joints)


def test_a_moved_body_is_seen_where_its_picture_moved() -> None:
    batch, move = people(5), random_moves(5, torch.Generator().manual_seed(1))
    moved = move_people(batch, move, BODY)
    torch.testing.assert_close(projected(moved), move.pixels(projected(batch)), atol=2e-2, rtol=1e-4)
    torch.testing.assert_close(moved["keypoints"], move.pixels(batch["keypoints"]))
    assert torch.equal(moved["keypoints"][..., 2], batch["keypoints"][..., 2])


def test_no_move_changes_nothing() -> None:
    batch = people(3) | {
        "parts": torch.randn(3, 25, 64, 64, generator=torch.Generator().manual_seed(2)).softmax(1),
        "seen_keypoints": 256 * torch.rand(3, 17, 3, generator=torch.Generator().manual_seed(3)),
    }
    moved = move_people(batch, Move(torch.zeros(3), torch.ones(3), torch.zeros(3, 2)), BODY)
    assert moved.keys() == batch.keys()
    for name, value in batch.items():
        torch.testing.assert_close(moved[name], value, atol=1e-4, rtol=1e-4, msg=name)


def test_maps_move_as_points_do() -> None:
    """The middle of a blob in a map is where the blob's middle went, and probabilities stay probabilities."""
    cells = torch.arange(64) + 0.5
    x, y = 40.0, 27.0
    blob = torch.exp(-((cells - x) ** 2 + (cells[:, None] - y) ** 2) / 18)[None, None]
    parts = torch.cat([1 - blob, blob, torch.zeros(1, 23, 64, 64)], 1)
    move = Move(torch.tensor([math.pi / 7]), torch.tensor([0.9]), torch.tensor([[11.0, -6.0]]))
    moved = move.maps(parts)
    torch.testing.assert_close(moved.sum(1), torch.ones(1, 64, 64))
    mass = moved[0, 1] / moved[0, 1].sum()
    middle = 4 * torch.stack([(mass.sum(0) * cells).sum(), (mass.sum(1) * cells).sum()])
    torch.testing.assert_close(middle, move.pixels(4 * torch.tensor([[[x, y]]]))[0, 0], atol=0.2, rtol=0.0)


def test_what_comes_in_from_outside_is_background() -> None:
    parts = torch.zeros(1, 25, 64, 64)
    parts[:, 3] = 1.0
    moved = Move(torch.zeros(1), torch.ones(1), torch.tensor([[64.0, 0.0]])).maps(parts)
    torch.testing.assert_close(moved[0, 0, :, :16], torch.ones(64, 16))
    torch.testing.assert_close(moved[0, 3, :, 16:], torch.ones(64, 48))
