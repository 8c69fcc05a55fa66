"""How likely a pose is: mixtures of Gaussians over anatomical angles, one each for legs, trunk and either arm.

Limb by limb, because the product of a few leg poses and a few arm poses covers more than many whole ones could.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.joints import MIRROR_SMPL24, mirror_rotations
from nbf.synth.anatomy import angles_from_rotations

LEGS, TRUNK, LEFT_ARM = (1, 2, 4, 5, 7, 8, 10, 11), (3, 6, 9, 12, 15), (13, 16, 18, 20)
"""Joints; the trunk has neck and head. The right arm is the left one's mirror image."""
_ROUNDS = 25
# Radians added to every angle's spread: what the captures' own noise and the body's other proportions leave open.
_SLACK = math.radians(3)
# A component of few poses is pulled towards all poses, as if it had so many more of them for each angle.
_PULL = 2


@dataclass(frozen=True)
class LimbMixture:
    """k Gaussians over the 3j angles of j joints, radians (see `nbf.synth.anatomy`)."""

    joints: tuple[int, ...]
    means: Float[Tensor, "k a"]
    whiten: Float[Tensor, "k a a"]
    """Square root U of the precision, so that |U (x - mean)|^2 is Mahalanobis' distance."""
    constants: Float[Tensor, " k"]
    """-log share + log determinant / 2 of each component, least zero."""

    @classmethod
    def fit(
        cls, angles: Float[Tensor, "n 24 3"], joints: Sequence[int], components: int, generator: torch.Generator
    ) -> "LimbMixture":
        """Expectation maximisation from random means (Dempster et al. 1977)."""
        x = angles[:, list(joints)].flatten(1).double()
        every = torch.cov(x.T)
        means = x[torch.randperm(len(x), generator=generator)[:components]]
        covariances = every.expand(components, -1, -1) / components
        shares = x.new_full((components,), 1 / components)
        for _ in range(_ROUNDS):
            whiten, constants = _prepare(covariances, shares)
            energy = torch.stack([((x - m) @ w.T).square().sum(1) / 2 for m, w in zip(means, whiten)], 1) + constants
            owned = torch.softmax(-energy, 1)
            counts = owned.sum(0)
            shares = counts / counts.sum()
            means = owned.T @ x / counts.clamp_min(1e-9)[:, None]
            spread = torch.stack([((x - m) * o[:, None]).T @ (x - m) for m, o in zip(means, owned.T)])
            pull = _PULL * x.shape[1]
            covariances = (spread + pull * every) / (counts + pull)[:, None, None]
        whiten, constants = _prepare(covariances, shares)
        return cls(tuple(joints), means.float(), whiten.float(), (constants - constants.min()).float())

    def mirrored(self) -> "LimbMixture":
        """Of the mirror images: left and right swap, turns about y and z change sign."""
        joints = tuple(sorted(MIRROR_SMPL24[joint] for joint in self.joints))
        source = [self.joints.index(MIRROR_SMPL24[joint]) for joint in joints]
        order = torch.tensor([3 * k + axis for k in source for axis in range(3)])
        sign = self.means.new_tensor([1.0, -1.0, -1.0]).repeat(len(joints))
        return LimbMixture(joints, self.means[:, order] * sign, self.whiten[:, :, order] * sign, self.constants)

    def both_ways(self) -> "LimbMixture":
        """With the mirror image of every component, for limbs that are their own mirror image."""
        back = self.mirrored()
        both = (torch.cat([getattr(self, name), getattr(back, name)]) for name in ("means", "whiten", "constants"))
        return LimbMixture(self.joints, *both)

    def whitened(
        self, angles: Float[Tensor, "b 24 3"]
    ) -> tuple[Float[Tensor, "b a"], Float[Tensor, "b a a"], Float[Tensor, " b"]]:
        """Residuals of the likeliest component, their derivative, and a residual for how rare that component is."""
        means, whiten, constants = (value.to(angles) for value in (self.means, self.whiten, self.constants))
        x = angles[:, list(self.joints)].flatten(1)
        every = torch.einsum("kij,bkj->bki", whiten, x[:, None] - means)
        best = (every.square().sum(-1) / 2 + constants).argmin(1)
        return every[torch.arange(len(best)), best], whiten[best], (2 * constants[best]).sqrt()


@dataclass(frozen=True)
class PoseMixture:
    """The limbs' mixtures, taken as independent of each other."""

    limbs: tuple[LimbMixture, ...]

    @classmethod
    def fit(cls, rotations: Float[Tensor, "n 24 3 3"], components: int, generator: torch.Generator) -> "PoseMixture":
        """From poses as local rotations and their mirror images; the root's is not used."""
        angles = angles_from_rotations(torch.cat([rotations, mirror_rotations(rotations)]))
        left = LimbMixture.fit(angles, LEFT_ARM, components, generator)
        legs, trunk = (LimbMixture.fit(angles, joints, components, generator).both_ways() for joints in (LEGS, TRUNK))
        return cls((legs, trunk, left, left.mirrored()))


def _prepare(covariances: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    eye = torch.eye(covariances.shape[-1]).to(covariances)
    lower = torch.linalg.cholesky(covariances + _SLACK**2 * eye)
    whiten = torch.linalg.solve_triangular(lower, eye.expand_as(lower), upper=False)
    half_determinant = torch.diagonal(lower, dim1=1, dim2=2).log().sum(1)
    return whiten, half_determinant - shares.clamp_min(1e-9).log()
