"""People in moved pictures: bodies, cameras, keypoints and maps go the same way."""

import torch
from packs import random_pack, random_people, small

from nbf.body.model import pose_joints
from nbf.geometry import Camera, CropMove
from nbf.nets.mirror import in_crop, in_pixels
from nbf.train.augment import move_people, random_moves
from nbf.train.batch import Batch
from nbf.train.packs import expand

BODY = small()


def projected(batch: Batch) -> torch.Tensor:
    _, joints = pose_joints(BODY.rest_joints(batch["betas"]), batch["rotations"], batch["translation"])
    return Camera(batch["focal"], batch["center"]).project(joints)


def moved_pixels(points: torch.Tensor, move: CropMove) -> torch.Tensor:
    return in_pixels(move.points(in_crop(points)))


def test_a_moved_body_is_seen_where_its_picture_moved() -> None:
    batch, move = random_people(5, 0), random_moves(5, torch.Generator().manual_seed(1))
    moved = move_people(batch, move, BODY)
    torch.testing.assert_close(projected(moved), moved_pixels(projected(batch), move), atol=2e-2, rtol=1e-4)
    torch.testing.assert_close(moved["keypoints"], moved_pixels(batch["keypoints"], move))


def test_no_move_changes_nothing() -> None:
    batch = random_pack(3, 0, true=False)
    batch["parts"] = expand(batch.pop("seen_parts"))
    moved = move_people(batch, CropMove(torch.zeros(3), torch.ones(3), torch.zeros(3, 2)), BODY)
    assert moved.keys() == batch.keys()
    for name, value in batch.items():
        torch.testing.assert_close(moved[name], value, atol=1e-4, rtol=1e-4, msg=name)


def test_moved_maps_hold_probabilities_and_background_around() -> None:
    batch = random_pack(2, 0, true=False)
    batch["parts"] = expand(batch.pop("seen_parts"))
    move = CropMove(torch.zeros(2), torch.ones(2), torch.tensor([[0.5, 0.0]] * 2))
    parts = move_people(batch, move, BODY)["parts"]
    torch.testing.assert_close(parts.sum(1), torch.ones(2, 64, 64))
    torch.testing.assert_close(parts[:, 0, :, :16], torch.ones(2, 64, 16))
    torch.testing.assert_close(parts[..., 16:], batch["parts"][..., :48], atol=1e-5, rtol=1e-5)
