"""The floor that the people of a picture share: what each of them says of it, and residuals of a plane.

A floor is three numbers: its downward normal is (across, 1, ahead) in the camera frame, y down, and its points x have
normal . x = exp(above). It is level for a level camera, and `above` the log of the metres from the floor up to it.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.model import BodyModel, BodyOutput
from nbf.body.parts import PARTS24
from nbf.solve.levenberg import Block

FLOOR = 3
"""How many numbers a floor is."""
MEAN, SPREAD = (0.0, 0.2, 0.4), (0.07, 0.25, 0.5)
"""Of floors: cameras roll by four degrees, look down a little and are held at 1.5 m, more or less."""
SOLE_SIGMA, UNSEEN_SIGMA, SEATED_SIGMA = 0.04, 0.15, 0.6
"""Metres by which the lowest point of a body is off the floor where it is seen, where it is not, and where it is not
and the body does not stand: hidden legs that are bent may be anywhere."""
STANDS = 0.75
"""Lengths of the legs above the sole from which the pelvis of who stands is."""
LEAN_SIGMA = 0.15
"""Radians by which the fitted bodies of those who stand lean, all in the same way: it is the fitter that is wrong."""
_ROBUST = 3.0
_FEET = PARTS24.index("left_foot"), PARTS24.index("right_foot")
_NECK, _ANKLES, _LEGS = 12, (7, 8), (1, 4, 7)  # of SMPL's joints


class Standing(NamedTuple):
    """What n people say of the floor, in the camera frame."""

    sole: Float[Tensor, "n 3"]
    """Metres: the lowest point of the lower foot."""
    sigma: Float[Tensor, " n"]
    """Metres by which it may be off the floor."""
    down: Float[Tensor, "n 2"]
    """From the neck to the middle of the ankles, x and z over y."""
    upright: Float[Tensor, " n"]
    """0 or 1: whether that is anywhere near down."""


def standing(body: BodyModel, posed: BodyOutput, feet: Float[Tensor, "n 2"]) -> Standing:
    """Of fitted people; `feet` says how much of the left and of the right one is seen, 0 to 1."""
    trunk = posed.joints[:, _ANKLES].mean(1) - posed.joints[:, _NECK]
    down = trunk[:, ::2] / trunk[:, 1:2].clamp_min(1e-3)
    upright = trunk[:, 1] > 0.5 * trunk.norm(dim=-1)
    normal = torch.tensor([MEAN[0], 1.0, MEAN[1]]).to(trunk)
    soles = []
    for part in _FEET:
        foot = posed.vertices[:, body.faces[body.face_parts == part].unique()]
        lowest = (foot @ normal).argmax(1)
        soles.append(foot[torch.arange(len(foot)), lowest])
    both = torch.stack(soles, 1)
    lower = (both @ normal).argmax(1)
    rows = torch.arange(len(both))
    sole = both[rows, lower]
    legs = (posed.joints[:, _LEGS[1:]] - posed.joints[:, _LEGS[:-1]]).norm(dim=-1).sum(1)
    stands = (sole - posed.joints[:, 0]) @ normal > STANDS * legs * normal.norm()
    unseen = torch.where(stands, UNSEEN_SIGMA, SEATED_SIGMA).to(trunk)
    return Standing(sole, unseen + (SOLE_SIGMA - unseen) * feet[rows, lower], down, upright.to(trunk))


def likely(floor: Float[Tensor, "1 3"], size: int) -> Block:
    """A floor among all floors, for a state of `size` numbers whose last are the floor's."""
    mean, spread = torch.tensor(MEAN).to(floor), torch.tensor(SPREAD).to(floor)
    columns = floor.new_zeros(1, FLOOR, 1, size)
    columns[0, :, 0, -FLOOR:] = torch.diag(1 / spread)
    return Block(((floor - mean) / spread)[..., None], columns)


def on_floor(stand: Standing, scale: Float[Tensor, "1 n"], floor: Float[Tensor, "1 3"]) -> Block:
    """How far the lowest points, moved along their rays by exp(scale), are off the floor."""
    count = scale.shape[1]
    normal = torch.stack([floor[0, 0], torch.ones_like(floor[0, 0]), floor[0, 1]])
    sole = stand.sole * scale[0, :, None].exp()
    below, above = sole @ normal, floor[0, 2].exp()
    columns = floor.new_zeros(count, count + FLOOR)
    columns[:, :count] = torch.diag(below)
    columns[:, count:] = torch.cat([sole[:, ::2], -above.expand(count, 1)], 1)
    return Block(
        ((below - above) / stand.sigma)[None, :, None], (columns / stand.sigma[:, None])[None, :, None], _ROBUST
    )


def upright(stand: Standing, floor: Float[Tensor, "1 3"]) -> Block:
    """How far people who stand are off the floor's normal."""
    count = len(stand.down)
    weight = (stand.upright / stand.upright.sum().clamp_min(1).sqrt() / LEAN_SIGMA)[:, None]
    columns = floor.new_zeros(1, count, 2, count + FLOOR)
    columns[..., 0, -3] = columns[..., 1, -2] = weight[:, 0]
    return Block(((floor[:, None, :2] - stand.down) * weight), columns, _ROBUST)
