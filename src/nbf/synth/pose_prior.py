"""A small statistic of the fitted poses, bundled for machines that have no motion capture: a mixture of Gaussians.

Each component is a mean and a few principal directions of anatomical angles (and the root's axis-angle) over the
training poses nearest to it. No captured pose can be read back from it.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from nbf.synth.anatomy import angles_from_quaternion, limits, quaternion, quaternion_from_angles, rotation_vector

ASSET = Path(__file__).resolve().parents[1] / "assets" / "poses_small.safetensors"
COMPONENTS, DIRECTIONS, DRAWS, ROUNDS = 64, 16, 24000, 15
LEAST = 40  # poses behind a component: fewer would come near to storing the poses themselves


@dataclass(frozen=True)
class PosePrior:
    """Mixture of k low-rank Gaussians over 66 numbers: root axis-angle, then the angles of joints 1..21, radians."""

    share: Float[Tensor, " k"]
    mean: Float[Tensor, "k 66"]
    directions: Float[Tensor, "k r 66"]
    rest: Float[Tensor, "k 66"]

    @classmethod
    def load(cls, path: Path = ASSET, device: torch.device | str = "cpu") -> "PosePrior":
        """Read the bundled statistic."""
        return cls(**{name: value.float().to(device) for name, value in load_file(path).items()})

    def save(self, path: Path = ASSET) -> None:
        """Write as float16 safetensors."""
        save_file({name: value.half().contiguous() for name, value in vars(self).items()}, path)

    @classmethod
    def train(cls, q: Float[Tensor, "n 24 4"], weights: Float[Tensor, " n"], generator: torch.Generator) -> "PosePrior":
        """k-means on poses drawn by weight, then principal directions about each mean (Tipping & Bishop 1999, 3.2)."""
        x = torch.cat([rotation_vector(q[:, 0]), angles_from_quaternion(q)[:, 1:22].flatten(1)], 1)
        x = x[torch.multinomial(weights, DRAWS, replacement=True, generator=generator)]
        mean = x[torch.randperm(len(x), generator=generator)[:COMPONENTS]]
        for _ in range(ROUNDS):
            nearest = torch.cdist(x, mean).argmin(1)
            count = torch.bincount(nearest, minlength=COMPONENTS).clamp_min(1)
            mean = torch.zeros_like(mean).index_add_(0, nearest, x) / count[:, None]
        kept = [k for k in range(COMPONENTS) if int(count[k]) >= LEAST]
        directions, rest = [], []
        for k in kept:
            centred = x[nearest == k] - mean[k]
            _, size, v = torch.linalg.svd(centred / len(centred) ** 0.5, full_matrices=False)
            axes = size[:DIRECTIONS, None] * v[:DIRECTIONS]
            directions.append(axes)
            rest.append((centred.var(0, correction=0) - axes.square().sum(0)).clamp_min(0).sqrt())
        return cls(count[kept] / count[kept].sum(), mean[kept], torch.stack(directions), torch.stack(rest))

    def sample(self, n: int, generator: torch.Generator) -> Float[Tensor, "n 24 4"]:
        """Draw n poses within the joint limits as quaternions, on the generator's device."""
        device = generator.device
        share, mean, directions, rest = (t.to(device) for t in (self.share, self.mean, self.directions, self.rest))
        k = torch.multinomial(share, n, replacement=True, generator=generator)
        along = torch.randn(n, 1, directions.shape[1], generator=generator, device=device) @ directions[k]
        x = mean[k] + along.squeeze(1) + rest[k] * torch.randn(n, 66, generator=generator, device=device)
        bounds = limits(device)[1:22]
        angles = torch.zeros(n, 24, 3, device=device)
        angles[:, 1:22] = x[:, 3:].reshape(n, 21, 3).clamp(bounds[..., 0], bounds[..., 1])
        q = quaternion_from_angles(angles)
        q[:, 0] = quaternion(x[:, :3])
        return q
