"""The same people as the same camera would see them, rolled, zoomed and pointed a little elsewhere."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional as F

from nbf.body.model import BodyModel
from nbf.nets.segmenter import INPUT_SIZE
from nbf.synth.view import normal, uniform
from nbf.train.batch import Batch


class Move(NamedTuple):
    """A similarity of crops: about the middle by `angle` radians (clockwise) and the factor `zoom`, then by `shift`
    pixels."""

    angle: Float[Tensor, " n"]
    zoom: Float[Tensor, " n"]
    shift: Float[Tensor, "n 2"]

    def turn(self) -> Float[Tensor, "n 3 3"]:
        """The rotation of the camera frame that turns the picture."""
        cos, sin, zero, one = self.angle.cos(), self.angle.sin(), self.angle * 0, self.angle * 0 + 1
        rows = (torch.stack(row, -1) for row in ((cos, -sin, zero), (sin, cos, zero), (zero, zero, one)))
        return torch.stack(list(rows), -2)

    def pixels(self, points: Float[Tensor, "n k c"]) -> Float[Tensor, "n k c"]:
        """Where points (x, y, ...) of the crop go."""
        middle = INPUT_SIZE / 2
        turned = (points[..., :2] - middle) @ self.turn()[:, :2, :2].mT * self.zoom[:, None, None]
        return torch.cat([turned + middle + self.shift[:, None], points[..., 2:]], -1)

    def maps(self, parts: Float[Tensor, "n 25 h w"]) -> Float[Tensor, "n 25 h w"]:
        """Part probabilities after the move; what nobody saw is background."""
        back = self.turn()[:, :2, :2].mT / self.zoom[:, None, None]
        start = -back @ (self.shift * (2 / INPUT_SIZE))[..., None]
        grid = F.affine_grid(torch.cat([back, start], -1), list(parts.shape), align_corners=False)
        moved = F.grid_sample(parts, grid, align_corners=False)
        return torch.cat([1 - moved[:, 1:].sum(1, keepdim=True), moved[:, 1:]], 1)


def random_moves(count: int, generator: Generator) -> Move:
    """As far as a segmenter would see the same in the moved picture, about."""
    return Move(
        uniform((count,), -math.pi / 12, math.pi / 12, generator),
        uniform((count,), 0.85, 1.1, generator),
        normal((count, 2), 0.03 * INPUT_SIZE, generator),
    )


def move_people(batch: Batch, move: Move, body: BodyModel) -> Batch:
    """Bodies, cameras, keypoints and part maps (as probabilities) of pictures that were moved: exact but for what the
    picture did not show."""
    turn = move.turn()
    pelvis = body.rest_joints(batch["betas"])[:, 0]
    root = turn @ batch["rotations"][:, 0]
    moved = {
        "rotations": torch.cat([root[:, None], batch["rotations"][:, 1:]], 1),
        "translation": (turn @ (pelvis + batch["translation"])[..., None])[..., 0] - pelvis,
        "focal": batch["focal"] * move.zoom,
        "center": move.pixels(batch["center"][:, None])[:, 0],
        "keypoints": move.pixels(batch["keypoints"]),
    }
    if "parts" in batch:
        moved |= {"parts": move.maps(batch["parts"]), "seen_keypoints": move.pixels(batch["seen_keypoints"])}
    return batch | moved
