"""The library of poses from which synthetic people take theirs: captured, mixed limb by limb, mirrored, and made."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.anatomy import angles_from_quaternion, limits, quaternion_from_angles
from nbf.body.files import load_body
from nbf.body.joints import MIRROR_SMPL24
from nbf.body.pose_prior import PosePrior
from nbf.errors import DataError
from nbf.geometry.quaternions import matrix, multiply, quaternion, quaternion_from_matrix
from nbf.reading import Array, fitted, read_any_npz
from nbf.synth.contact import sunk
from nbf.synth.made_poses import made_poses

logger = logging.getLogger(__name__)

FILE = Path("runs/cache/poses.npz")  # where tools/fit_poses.py writes it, from the repository's root

# Share of each family among draws, in the order in which a pose's flags are asked; captures are mostly dance and
# climbing, photos mostly people who stand. "plain" is what has no flag but upright: standing and walking, arms down.
SHARES = {
    "inverted": 0.02,
    "lying_supine": 0.02,
    "lying_prone": 0.02,
    "all_fours_plank": 0.025,
    "sit_floor": 0.04,
    "kneel": 0.015,
    "squat_crouch": 0.05,
    "sit_raised": 0.06,
    "bent_forward": 0.06,
    "leg_raised_high": 0.04,
    "lunge_wide_stance": 0.06,
    "arms_overhead_both": 0.05,
    "arm_overhead_one": 0.08,
    "arms_out_sides": 0.03,
    "twisted_trunk": 0.04,
    "reach_forward": 0.12,
    "plain": 0.27,
}
# The low poses of this source hang from bars, so the flags that look for a floor misread them.
HANGING_SOURCE, HANGING_FACTOR = "cmu_asfamc", 0.25
MADE = 0.30  # share of made poses
TURNED = 0.02  # share of captured poses that are laid down
MADE_DONORS = 0.4  # share of made poses among those that lend a limb
SWAPS: tuple[tuple[float, tuple[int, ...]], ...] = (
    (0.18, (13, 14, 16, 17, 18, 19, 20, 21, 22, 23)),
    (0.15, (13, 16, 18, 20, 22)),
    (0.15, (14, 17, 19, 21, 23)),
    (0.10, (1, 2, 4, 5, 7, 8, 10, 11)),
    (0.04, (1, 4, 7, 10)),
    (0.04, (2, 5, 8, 11)),
    (0.08, (3, 6, 9)),
    (0.20, (12, 15)),
)
MIXED = 0.5  # share of mixed and made poses among those from which the prior learns
DEPTH = 0.03  # metres that limbs of a mixed pose may sink into the body (summed), or as far as its base does
NOISE_DEGREES = 4.0  # about each axis of each joint, within its limits
ROOT_NOISE_DEGREES = 3.0


def mirrored(q: Float[Tensor, "n 24 4"]) -> Float[Tensor, "n 24 4"]:
    """Left and right exchanged, through the plane x = 0."""
    return q[:, list(MIRROR_SMPL24)] * torch.tensor([1.0, 1, -1, -1], dtype=q.dtype, device=q.device)


def family_weights(data: dict[str, np.ndarray]) -> np.ndarray:
    """Importance of each pose (n,): SHARES over families, and within one the square root of each source's size."""
    names = [str(name) for name in data["family_names"]]
    kind = np.full(len(data["family"]), "plain", dtype="<U24")
    for name in reversed([name for name in SHARES if name != "plain"]):
        kind[(data["family"] >> names.index(name)) & 1 == 1] = name
    weights = np.zeros(len(kind))
    hanging = [str(name) for name in data["source_names"]].index(HANGING_SOURCE)
    for name, share in SHARES.items():
        rows = kind == name
        count = np.bincount(data["source"][rows], minlength=len(data["source_names"]))
        each = 1 / np.sqrt(np.maximum(count, 1))[data["source"][rows]]
        each[data["source"][rows] == hanging] *= HANGING_FACTOR
        if rows.any():
            weights[rows] = share * each / each.sum()
    return weights


@dataclass(frozen=True)
class PoseLibrary:
    """Poses to draw from; use `load`.

    Attributes:
        captured: (n,24,4) local rotations, quaternions with the real part first; heading removed from the root.
        train, test: (n,) weight of each captured pose in either split.
        prior: what stands in where nothing was captured (n = 0), else None.
        rest: (24,3) metres, the average body's rest joints, to judge self-contact.
    """

    captured: Float[Tensor, "n 24 4"]
    train: Float[Tensor, " n"]
    test: Float[Tensor, " n"]
    prior: PosePrior | None
    rest: Float[Tensor, "24 3"]

    @classmethod
    def load(cls, path: Path | None = None, device: torch.device | str = "cpu") -> "PoseLibrary":
        """The poses that tools/fit_poses.py wrote; the bundled prior, with a warning, where there are none.

        Raises:
            DataError: the file is there but is not such a file.
        """
        path = FILE if path is None else path
        rest = load_body("anny24", "small").joint_template.float().to(device)
        if not path.is_file():
            logger.warning(
                "no fitted poses at %s (made by: python tools/fit_poses.py); poses come from the bundled prior", path
            )
            none = torch.zeros(0, device=device)
            return cls(torch.zeros(0, 24, 4, device=device), none, none, PosePrior.load(root=True), rest)
        try:
            data = read_any_npz(path)
            # Training balances families; a test draws every captured pose equally often.
            test = data["kept"] & (data["split"] == "test")
            train = family_weights(data) * (data["kept"] & (data["split"] == "train"))
            fitted(data, {"rotations": Array(np.float32, ("n", 24, 3), low=-1e3, high=1e3)}, n=len(train))
            q = quaternion(torch.from_numpy(data["rotations"].astype(np.float32)))
        # Of arrays that are missing, of other kinds, or do not go together.
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise DataError(
                f"{path}: expected a pose file of tools/fit_poses.py, got {error!r}; make it again"
            ) from error
        weights = [torch.from_numpy(each).float().to(device) for each in (train, test)]
        return cls(q.to(device), weights[0], weights[1], None, rest)

    def sample(
        self, n: int, generator: torch.Generator, split: Literal["train", "test"] = "train"
    ) -> Float[Tensor, "n 24 3 3"]:
        """Draw local rotations, root included (upright people face +z; heading is the caller's to add).

        Training poses are balanced over families, mixed, made, mirrored and shaken; test poses are captured ones,
        mirrored at most, each as likely as any other. The same generator state gives the same poses.
        """
        q = self._draw(n, generator, split)
        if split == "train":
            q = _shaken(self._mixed(q, generator), generator)
        flip = _chance(0.5, n, generator)
        return matrix(torch.where(flip, mirrored(q), q)).to(self.rest.device)

    def lessons(self, n: int, generator: torch.Generator) -> tuple[Float[Tensor, "m 24 4"], Float[Tensor, " m"]]:
        """What a prior of poses learns from, with weights: every captured training pose and n mixed and made ones."""
        mixed = self._mixed(self._draw(n, generator, "train"), generator)
        taken = self.train > 0
        weights = (1 - MIXED) * self.train[taken] / self.train[taken].sum()
        return torch.cat([self.captured[taken], mixed]), torch.cat([weights, mixed.new_full((n,), MIXED / n)])

    def _draw(self, n: int, generator: torch.Generator, split: str) -> Float[Tensor, "n 24 4"]:
        if self.prior is not None:
            return quaternion_from_matrix(self.prior.sample(n, generator))
        weights = (self.train if split == "train" else self.test).to(generator.device)
        picked = torch.multinomial(weights, n, replacement=True, generator=generator)
        return self.captured[picked.to(self.captured.device)].to(generator.device)

    def _mixed(self, captured: Float[Tensor, "n 24 4"], generator: torch.Generator) -> Float[Tensor, "n 24 4"]:
        n, device = len(captured), generator.device
        laid = torch.where(_chance(TURNED, n, generator), _laid_down(captured, generator), captured)
        plain = torch.where(_chance(MADE, n, generator), made_poses(n, generator), laid)
        mixed = plain.clone()
        for share, joints in SWAPS:
            donor = torch.where(
                _chance(MADE_DONORS, n, generator), made_poses(n, generator), self._draw(n, generator, "train")
            )
            mixed[:, joints] = torch.where(_chance(share, n, generator), donor, mixed)[:, joints]
        rest = self.rest.to(device)
        fits = sunk(mixed, rest) <= sunk(plain, rest).clamp_min(DEPTH)
        return torch.where(fits[:, None, None], mixed, plain)


def _chance(share: float, n: int, generator: torch.Generator) -> Tensor:
    return (torch.rand(n, generator=generator, device=generator.device) < share)[:, None, None]


def _laid_down(q: Float[Tensor, "n 24 4"], generator: torch.Generator) -> Float[Tensor, "n 24 4"]:
    """On the back, the front or a side: a quarter turn about a horizontal axis."""
    n, device = len(q), generator.device
    quarter = np.pi / 2
    axes = torch.tensor([[-quarter, 0, 0], [quarter, 0, 0], [0, 0, -quarter], [0, 0, quarter]], device=device)
    turn = quaternion(axes[torch.randint(4, (n,), generator=generator, device=device)].float())
    return torch.cat([multiply(turn, q[:, 0])[:, None], q[:, 1:]], 1)


def _shaken(q: Float[Tensor, "n 24 4"], generator: torch.Generator) -> Float[Tensor, "n 24 4"]:
    """Small noise on the angles, never leaving the limits (a capture beyond them stays where it is or comes back)."""
    n, device = len(q), generator.device
    angles = angles_from_quaternion(q)
    noise = torch.randn(n, 24, 3, generator=generator, device=device)
    bounds = limits(device)
    low, high = torch.minimum(bounds[..., 0], angles), torch.maximum(bounds[..., 1], angles)
    shaken = quaternion_from_angles((angles + np.radians(NOISE_DEGREES) * noise).clamp(low, high))
    root = multiply(q[:, 0], quaternion(np.radians(ROOT_NOISE_DEGREES) * noise[:, 0]))
    return torch.cat([root[:, None], shaken[:, 1:]], 1)
