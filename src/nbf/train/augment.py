"""The same people as the same camera would see them, rolled, zoomed and pointed a little elsewhere."""

import math

import torch
from torch import Generator, Tensor

from nbf.body.model import BodyModel, turn_about_origin
from nbf.geometry import CropMove
from nbf.nets.mirror import in_crop, in_pixels
from nbf.synth.view import normal, uniform
from nbf.train.batch import Batch


def random_moves(count: int, generator: Generator) -> CropMove:
    """As far as a segmenter would see the same in the moved picture, about."""
    return CropMove(
        uniform((count,), -math.pi / 12, math.pi / 12, generator),
        uniform((count,), 0.85, 1.1, generator),
        normal((count, 2), 0.06, generator),
    )


def move_people(batch: Batch, move: CropMove, body: BodyModel) -> Batch:
    """Bodies, cameras, keypoints and part maps (as probabilities) of pictures that were moved: exact but for what the
    picture did not show, which is background."""
    turn = torch.eye(3, device=move.angle.device).repeat(len(move.angle), 1, 1)
    turn[:, :2, :2] = move.rotation()
    pelvis = body.rest_joints(batch["betas"])[:, 0]
    rotations, translation = turn_about_origin(turn, pelvis, batch["rotations"], batch["translation"])
    moved = {
        "rotations": rotations,
        "translation": translation,
        "focal": batch["focal"] * move.zoom,
        "center": _moved(batch["center"][:, None], move)[:, 0],
        "keypoints": _moved(batch["keypoints"], move),
    }
    if "parts" in batch:
        parts = move.picture(batch["parts"][:, 1:])
        moved["parts"] = torch.cat([1 - parts.sum(1, keepdim=True), parts], 1)
        moved["seen_keypoints"] = _moved(batch["seen_keypoints"], move)
    return batch | moved


def _moved(pixels: Tensor, move: CropMove) -> Tensor:
    return in_pixels(move.points(in_crop(pixels)))
