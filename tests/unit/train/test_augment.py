"""Moved pictures: bodies, cameras, keypoints and maps go the same way."""

import math

import torch
from packs import random_pack, random_people, small

from nbf.body.model import pose_joints
from nbf.geometry.camera import Camera
from nbf.train.augment import Move, move_people, random_moves
from nbf.train.batch import Batch
from nbf.train.packs import expand

BODY = small()


def projected(batch: Batch) -> torch.Tensor:
    _, joints = pose_joints(BODY.rest_joints(batch["betas"]), batch["rotations"], batch["translation"])
    return Camera(batch["focal"], batch["center"]).project(joints)


def test_a_moved_body_is_seen_where_its_picture_moved() -> None:
    batch, move = random_people(5, 0), random_moves(5, torch.Generator().manual_seed(1))
    moved = move_people(batch, move, BODY)
    torch.testing.assert_close(projected(moved), move.pixels(projected(batch)), atol=2e-2, rtol=1e-4)
    torch.testing.assert_close(moved["keypoints"], move.pixels(batch["keypoints"]))
    assert torch.equal(moved["keypoints"][..., 2], batch["keypoints"][..., 2])


def test_no_move_changes_nothing() -> None:
    batch = random_pack(3, 0, true=False)
    batch["parts"] = expand(batch.pop("seen_parts"))
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
