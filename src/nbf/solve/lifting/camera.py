"""The weak-perspective camera of people who are lifted: seen = scale * (rotation @ points)[:2] + a shift."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.geometry import matrix_from_axis_angle, project_to_rotation
from nbf.geometry.quaternions import skew
from nbf.nets.mean_body import UPRIGHT
from nbf.solve.lifting.basis import SEEN

HEADINGS = (0.0, math.pi / 2, math.pi, -math.pi / 2)
"""Ways to face, radians from the camera, from which searches start."""
_DAMPING = 1e-4
_LEAST = 1e-9


@dataclass(frozen=True)
class Seen:
    """COCO-17 of b people as pictures show them, about their weighted mean, so that shifts are nobody's concern."""

    points: Float[Tensor, "b 17 2"]
    """x right, y down; their weighted mean square is 1."""
    weights: Float[Tensor, "b 17"]
    """Sum up to 1; of squares of residuals. 0 is not seen."""
    middle: Float[Tensor, "b 2"]
    """The mean that was taken away, in the unit of what was given."""
    spread: Float[Tensor, " b"]
    """That unit over the points': what points times this plus `middle` gives back what was given."""

    @classmethod
    def of(cls, points: Float[Tensor, "b 17 2"], weights: Float[Tensor, "b 17"]) -> "Seen":
        """Of points in any unit with weights >= 0, of which some may be 0."""
        weights = weights / weights.sum(1, keepdim=True).clamp_min(_LEAST)
        middle = (weights[..., None] * points).sum(1)
        about = points - middle[:, None]
        spread = (weights * about.square().sum(-1)).sum(1).sqrt().clamp_min(_LEAST)
        # What is not seen may be anywhere.
        about = torch.where(weights[..., None] > 0, about / spread[:, None, None], 0.0)
        return cls(about, weights, middle, spread)

    def repeated(self, times: int) -> "Seen":
        """Each person so many times in a row."""
        return Seen(*(value.repeat_interleave(times, 0) for value in vars(self).values()))

    def about(self, points: Float[Tensor, "b 41 3"]) -> Float[Tensor, "b 17 3"]:
        """The seen ones of the points of poses, about their weighted mean."""
        points = points[..., SEEN, :]
        return points - (self.weights[..., None] * points).sum(-2, keepdim=True)

    def about_each(self, basis: Float[Tensor, "k 41 3"]) -> Float[Tensor, "b k 17 3"]:
        """The same of the members of a basis, for each person."""
        points = basis[:, SEEN]
        return points - torch.einsum("bp,kpn->bkn", self.weights, points)[:, :, None]

    def missed(self, drawn: Float[Tensor, "b 17 2"]) -> Float[Tensor, " b"]:
        """Weighted mean square of residuals."""
        return (self.weights * (self.points - drawn).square().sum(-1)).sum(1)


@dataclass(frozen=True)
class Lifted:
    """Poses of b people in 3D and the cameras that see them."""

    points: Float[Tensor, "b 41 3"]
    """Metres, in a frame of the body."""
    rotations: Float[Tensor, "b 3 3"]
    """cam_from_body."""
    scale: Float[Tensor, " b"]
    """The unit of `Seen.points` over metres, so that scale * spread is the unit of the picture over metres."""
    cost: Float[Tensor, " b"]
    """What the method makes small."""

    def best(self, times: int) -> "Lifted":
        """Of so many searches in a row for each person the one of least cost."""
        rows = self.cost.view(-1, times).argmin(1)
        rows = rows + times * torch.arange(len(rows), device=rows.device)
        return Lifted(*(value[rows] for value in vars(self).values()))

    def sized(self, lengths: Float[Tensor, "23"], long: Float[Tensor, "b 23"]) -> "Lifted":
        """As large as a body with these bones, by the sum of their squared lengths; `long` are the points' own. The
        picture stays what it is."""
        factor = lengths.norm() / long.norm(dim=1).clamp_min(_LEAST)
        return Lifted(self.points * factor[:, None, None], self.rotations, self.scale / factor, self.cost)


def facing(count: int, like: Tensor) -> Float[Tensor, "{4*count} 3 3"]:
    """cam_from_body of people who stand upright, four ways to face for each of so many."""
    about = torch.zeros(len(HEADINGS), 3)
    about[:, 1] = torch.tensor(HEADINGS)
    return (UPRIGHT @ matrix_from_axis_angle(about)).to(like).repeat(count, 1, 1)


def scale_of(seen: Seen, points: Float[Tensor, "b 17 3"], rotations: Float[Tensor, "b 3 3"]) -> Float[Tensor, " b"]:
    """The scale at which points about their mean fit best, never negative."""
    drawn = (points @ rotations.mT)[..., :2]
    over = (seen.weights[..., None] * seen.points * drawn).sum((1, 2))
    return over.clamp_min(0) / (seen.weights[..., None] * drawn.square()).sum((1, 2)).clamp_min(_LEAST)


def turned(
    seen: Seen, points: Float[Tensor, "b 17 3"], rotations: Float[Tensor, "b 3 3"], steps: int
) -> Float[Tensor, "b 3 3"]:
    """Rotations that show points (about their mean, in the unit of `seen`) better; no worse than those given.

    Damped Gauss-Newton steps on the rotation group.
    """
    root = seen.weights.sqrt()[..., None]
    shown = points @ rotations.mT
    best = seen.missed(shown[..., :2])
    damping = torch.full_like(best, _DAMPING)
    eye = torch.eye(3).to(points)
    for _ in range(steps):
        residual = ((shown[..., :2] - seen.points) * root).flatten(1)
        # exp(turn) R p - R p is turn x (R p).
        slopes = (-skew(shown)[..., :2, :] * root[..., None]).flatten(1, 2)
        matrix = slopes.mT @ slopes + damping[:, None, None] * eye
        turn = -torch.linalg.solve(matrix, (slopes.mT @ residual[..., None]))[..., 0]
        turn = turn / turn.norm(dim=1, keepdim=True).clamp_min(1)
        tried = matrix_from_axis_angle(turn) @ rotations
        there = points @ tried.mT
        cost = seen.missed(there[..., :2])
        better = cost < best
        rotations = torch.where(better[:, None, None], tried, rotations)
        shown = torch.where(better[:, None, None], there, shown)
        best = torch.where(better, cost, best)
        damping = torch.where(better, damping / 4, damping * 16).clamp(1e-9, 1e3)
    return project_to_rotation(rotations)


def placed(
    seen: Seen, points: Float[Tensor, "b 17 3"], rotations: Float[Tensor, "b 3 3"], rounds: int
) -> tuple[Float[Tensor, "b 3 3"], Float[Tensor, " b"]]:
    """Rotations and scales in turn, for points about their mean in metres."""
    scale = scale_of(seen, points, rotations)
    for _ in range(rounds):
        # A view from which nothing fits (scale 0) is left by turning a person of about the right size.
        sized = points * scale.clamp_min(0.5 / _spread(seen, points))[:, None, None]
        rotations = turned(seen, sized, rotations, 2)
        scale = scale_of(seen, points, rotations)
    return rotations, scale


def reversed_depth(points: Float[Tensor, "b 17 3"], rotations: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 3 3"]:
    """Rotations by which points look most as they do now, but that near is far (Necker's reversal).

    A camera that does not tell depth leaves both open.
    """
    shown = points @ rotations.mT
    flipped = shown * shown.new_tensor([1.0, 1.0, -1.0])
    return project_to_rotation(flipped.mT @ points)


def _spread(seen: Seen, points: Float[Tensor, "b 17 3"]) -> Float[Tensor, " b"]:
    return (seen.weights * points.square().sum(-1)).sum(1).sqrt().clamp_min(_LEAST)
