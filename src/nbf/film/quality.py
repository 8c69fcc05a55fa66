"""How steady a motion is: what eyes see of it without knowing the truth."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.solve.steady import FEET


def accelerations(joints: Float[Tensor, "t j 3"], rate: float) -> Float[Tensor, "s j"]:
    """Of each joint, m/s^2, by second differences, so of two frames less (Kanazawa et al. 2019, "Learning 3D human
    dynamics from video")."""
    return (joints[2:] - 2 * joints[1:-1] + joints[:-2]).norm(dim=-1) * rate**2


def foot_speeds(joints: Float[Tensor, "t 24 3"], rate: float) -> Float[Tensor, "s 4"]:
    """Of `nbf.solve.steady.FEET` from each frame to the next, m/s."""
    feet = joints[:, list(FEET)]
    return (feet[1:] - feet[:-1]).norm(dim=-1) * rate


@dataclass
class Quality:
    """Means over a motion that comes in pieces."""

    rate: float
    """Frames a second."""

    def __post_init__(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None
        self._acceleration = self._speed = 0.0
        self._accelerations = self._speeds = 0

    def add(self, joints: Float[Tensor, "t 24 3"], contact: Bool[Tensor, "t 4"]) -> None:
        """The next frames; camera metres, and which feet are on the ground."""
        before = 0 if self._last is None else len(self._last[0])
        if self._last is not None:
            joints, contact = torch.cat([self._last[0], joints]), torch.cat([self._last[1], contact])
        # What ends in the new frames.
        new = accelerations(joints, self.rate)[max(before - 2, 0) :]
        self._acceleration += float(new.sum())
        self._accelerations += new.numel()
        held = (contact[1:] & contact[:-1])[max(before - 1, 0) :]
        speeds = foot_speeds(joints, self.rate)[max(before - 1, 0) :][held]
        self._speed += float(speeds.sum())
        self._speeds += len(speeds)
        self._last = joints[-2:], contact[-2:]

    def interrupt(self) -> None:
        """Frames are missing here."""
        self._last = None

    def report(self) -> dict[str, float | None]:
        """Jitter, the mean acceleration of joints, m/s^2; foot sliding, the mean speed of feet on the ground, m/s; None
        where nothing can be said."""
        return {
            "jitter_m_s2": self._acceleration / self._accelerations if self._accelerations else None,
            "foot_sliding_m_s": self._speed / self._speeds if self._speeds else None,
        }
