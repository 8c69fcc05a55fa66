"""How likely a pose is: mixtures of Gaussians over anatomical angles, of the whole body or limb by limb.

The bundled prior takes the body as one, so that it knows which arms go with which legs. A mixture fitted to a few
thousand poses at run time takes legs, trunk and arms as independent: the product of a few leg poses and a few arm
poses covers more than many whole ones could.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file, save_file
from torch import Tensor

from nbf.body.anatomy import angles_from_rotations, limits, rotations_from_angles
from nbf.body.joints import MIRROR_SMPL24, mirror_rotations
from nbf.geometry.products import by_vectors

ASSET = Path(__file__).resolve().parents[1] / "assets" / "pose_prior.safetensors"
LEGS, TRUNK, LEFT_ARM = (1, 2, 4, 5, 7, 8, 10, 11), (3, 6, 9, 12, 15), (13, 16, 18, 20)
"""Joints; the trunk has neck and head. The right arm is the left one's mirror image."""
BODY = tuple(range(1, 22))
BODY_AND_ROOT = (*BODY, 0)
COMPONENTS = 96
"""Of the bundled prior, before those of few poses are left out and mirror images are added."""
_ROUNDS = 25
# Radians added to every angle's spread: what the captures' own noise and the body's other proportions leave open.
_SLACK = math.radians(3)
# A component of few poses is pulled towards all poses, as if it had so many more of them for each angle.
_PULL = 2
_LEAST = 40  # poses behind a component: fewer would come near to storing the poses themselves
_CHUNK = 512  # poses at a time, for memory's sake


@dataclass(frozen=True)
class JointMixture:
    """k Gaussians over the 3j angles of j joints, radians (see `nbf.body.anatomy`)."""

    joints: tuple[int, ...]
    means: Float[Tensor, "k a"]
    whiten: Float[Tensor, "k a a"]
    """Square root U of the precision, so that |U (x - mean)|^2 is Mahalanobis' distance."""
    shares: Float[Tensor, " k"]
    half: "JointMixture | None" = None
    """The first half of the components, where the others are their mirror images."""

    @classmethod
    def fit(
        cls,
        angles: Float[Tensor, "n 24 3"],
        joints: Sequence[int],
        components: int,
        generator: torch.Generator,
        weights: Float[Tensor, " n"] | None = None,
    ) -> "JointMixture":
        """Expectation maximisation from random means (Dempster et al. 1977); `weights` are equal if None."""
        x = angles[:, list(joints)].flatten(1).double()
        weights = torch.ones_like(x[:, 0]) if weights is None else weights.double()
        every = torch.cov(x.T, aweights=weights)
        means = x[torch.multinomial(weights, components, generator=generator)]
        covariances = every.expand(components, -1, -1) / components
        shares = x.new_full((components,), 1 / components)
        counts = x.new_zeros(components)
        pull = _PULL * x.shape[1]
        for _ in range(_ROUNDS):
            model = cls(tuple(joints), means, _square_root(covariances), shares)
            owned = torch.cat([torch.softmax(-model.energies(some), 1) for some in x.split(_CHUNK)])
            counts, owned = owned.sum(0), owned * weights[:, None]
            total = owned.sum(0).clamp_min(1e-9)
            shares = total / total.sum()
            means = owned.T @ x / total[:, None]
            spread = torch.stack([_spread(x - m, o) for m, o in zip(means, owned.T)]) / total[:, None, None]
            covariances = (spread * counts[:, None, None] + pull * every) / (counts + pull)[:, None, None]
        kept = counts >= counts.max().clamp_max(_LEAST)
        return cls(
            tuple(joints),
            means[kept].float(),
            _square_root(covariances[kept]).float(),
            (shares[kept] / shares[kept].sum()).float(),
        )

    @classmethod
    def load(cls, path: Path) -> "JointMixture":
        """What `save` wrote."""
        stored = {name: value.float() for name, value in load_file(path).items()}
        size = stored["means"].shape[1]
        rows, columns = torch.tril_indices(size, size)
        whiten = torch.zeros(len(stored["means"]), size, size)
        whiten[:, rows, columns] = stored["whiten"]
        return cls(BODY_AND_ROOT, stored["means"], whiten, stored["shares"] / stored["shares"].sum())

    def save(self, path: Path) -> None:
        """Write a mixture fitted to BODY_AND_ROOT as float16 safetensors."""
        rows, columns = torch.tril_indices(*self.whiten.shape[1:])
        stored = {"means": self.means, "whiten": self.whiten[:, rows, columns], "shares": self.shares}
        save_file({name: value.half().contiguous() for name, value in stored.items()}, path)

    def leading(self, count: int) -> "JointMixture":
        """Of the first joints alone, whatever the others do; the square roots must be lower triangular (as fitted)."""
        joints, size = self.joints[:count], 3 * count
        return JointMixture(joints, self.means[:, :size], self.whiten[:, :size, :size], self.shares)

    @cached_property
    @torch.inference_mode(False)
    def constants(self) -> Float[Tensor, " k"]:
        """-log of each component's share times its density at its mean, in nats."""
        half_precision = torch.linalg.slogdet(self.whiten.double()).logabsdet
        constant = self.means.shape[1] / 2 * math.log(2 * math.pi) - half_precision - self.shares.double().log()
        return constant.to(self.means)

    @cached_property
    @torch.inference_mode(False)
    def mirror(self) -> tuple[Int64[Tensor, " a"], Float[Tensor, " a"]]:
        """Which angle each becomes in a mirror, and its sign: left and right swap, turns about y and z change sign."""
        joints = self.mirror_joints
        source = [self.joints.index(MIRROR_SMPL24[joint]) for joint in joints]
        order = torch.tensor([3 * k + axis for k in source for axis in range(3)])
        return order, self.means.new_tensor([1.0, -1.0, -1.0]).repeat(len(joints))

    @property
    def mirror_joints(self) -> tuple[int, ...]:
        """The joints of the mirror images."""
        twins = {MIRROR_SMPL24[joint] for joint in self.joints}
        return self.joints if twins == set(self.joints) else tuple(sorted(twins))

    def mirrored(self) -> "JointMixture":
        """Of the mirror images."""
        order, sign = self.mirror
        means, whiten = self.means[:, order] * sign, self.whiten[:, :, order] * sign
        return JointMixture(self.mirror_joints, means, whiten, self.shares)

    def both_ways(self) -> "JointMixture":
        """With the mirror image of every component behind them, for joints that are their own mirror image."""
        back = self.mirrored()
        means, whiten = torch.cat([self.means, back.means]), torch.cat([self.whiten, back.whiten])
        return JointMixture(self.joints, means, whiten, torch.cat([self.shares, back.shares]) / 2, half=self)

    def energies(self, x: Float[Tensor, "b a"]) -> Float[Tensor, "b k"]:
        """-log of share times density of each component at angles of the joints, in nats."""
        if self.half is not None:
            # Mirror images of components at an angle are components at its mirror image: half as much to read.
            order, sign = self.half.mirror
            both = torch.cat([x, x.index_select(1, order.to(x.device)) * sign.to(x)])
            return torch.cat(self.half.energies(both).chunk(2), 1) + math.log(2)
        means, whiten, constants = (value.to(x) for value in (self.means, self.whiten, self.constants))
        away = (x - means[:, None]) @ whiten.mT
        return away.square().sum(2).T / 2 + constants

    def log_density(self, angles: Float[Tensor, "b 24 3"]) -> Float[Tensor, " b"]:
        """Nats, over angles in radians."""
        return torch.logsumexp(-self.energies(angles[:, list(self.joints)].flatten(1)), 1)

    @cached_property
    @torch.inference_mode(False)
    def columns(self) -> Int64[Tensor, " a"]:
        """Where its angles are among those of all joints."""
        return torch.tensor([3 * joint + axis for joint in self.joints for axis in range(3)])

    @cached_property
    @torch.inference_mode(False)
    def rarities(self) -> Float[Tensor, " k"]:
        """Residuals for how rare each component is."""
        return (2 * (self.constants - self.constants.min())).sqrt()

    def whitened(
        self, angles: Float[Tensor, "b 24 3"]
    ) -> tuple[Float[Tensor, "b a"], Float[Tensor, "b a a"], Float[Tensor, " b"]]:
        """Residuals of the likeliest component, their derivative, and a residual for how rare that component is."""
        x = angles.flatten(1).index_select(1, self.columns.to(angles.device))
        best = self.energies(x).argmin(1)
        means, whiten, rarities = (value.to(x)[best] for value in (self.means, self.whiten, self.rarities))
        return by_vectors(whiten, x - means), whiten, rarities

    def sample(self, n: int, generator: torch.Generator) -> Float[Tensor, "n a"]:
        """Draw angles on the generator's device."""
        device = generator.device
        means, whiten, shares = (value.to(device) for value in (self.means, self.whiten, self.shares))
        component = torch.multinomial(shares, n, replacement=True, generator=generator)
        x = torch.randn(n, means.shape[1], generator=generator, device=device)
        for k in component.unique():
            rows = component == k
            x[rows] = means[k] + torch.linalg.solve(whiten[k], x[rows].T).T
        return x


@dataclass(frozen=True)
class PosePrior:
    """Mixtures over joints, taken as independent of each other: one of the whole body, or one for each limb."""

    limbs: tuple[JointMixture, ...]

    @classmethod
    def fit(cls, rotations: Float[Tensor, "n 24 3 3"], components: int, generator: torch.Generator) -> "PosePrior":
        """Limb by limb from poses as local rotations and their mirror images; the root's is not used."""
        angles = angles_from_rotations(torch.cat([rotations, mirror_rotations(rotations)]))
        left = JointMixture.fit(angles, LEFT_ARM, components, generator)
        legs, trunk = (JointMixture.fit(angles, joints, components, generator).both_ways() for joints in (LEGS, TRUNK))
        return cls((legs, trunk, left, left.mirrored()))

    @classmethod
    def load(cls, path: Path = ASSET, root: bool = False) -> "PosePrior":
        """The bundled prior: mixture of whole bodies, the same for left and right.

        With `root` it holds the root's orientation, too, in a frame of the world (y up, heading removed): for drawing
        poses, and not for a root that is `cam_from_body`.
        """
        stored = JointMixture.load(path)
        return cls(((stored if root else stored.leading(len(BODY))).both_ways(),))

    def log_density(self, rotations: Float[Tensor, "b 24 3 3"]) -> Float[Tensor, " b"]:
        """Log density of local rotations in nats, over anatomical angles in radians; hands have no part in it.

        Differentiable; computed in the rotations' own precision. Joint limits are not in it (`terms.pose`).
        """
        angles = angles_from_rotations(rotations)
        return torch.stack([limb.log_density(angles) for limb in self.limbs]).sum(0)

    def sample(self, n: int, generator: torch.Generator) -> Float[Tensor, "n 24 3 3"]:
        """Draw n poses as local rotations on the generator's device; what the limits of joints forbid is pulled back.

        Joints that the mixture does not know (hands, mostly the root) stay at rest.
        """
        angles = torch.zeros(n, 24, 3, device=generator.device)
        for limb in self.limbs:
            angles[:, list(limb.joints)] = limb.sample(n, generator).unflatten(1, (-1, 3))
        bounds = limits(generator.device)
        return rotations_from_angles(angles.clamp(bounds[..., 0], bounds[..., 1]))


def _square_root(covariances: Float[Tensor, "k a a"]) -> Float[Tensor, "k a a"]:
    """Lower triangular square roots of the precisions, slack included."""
    eye = torch.eye(covariances.shape[-1]).to(covariances)
    lower = torch.linalg.cholesky(covariances + _SLACK**2 * eye)
    return torch.linalg.solve_triangular(lower, eye.expand_as(lower), upper=False)


def _spread(away: Float[Tensor, "n a"], owned: Float[Tensor, " n"]) -> Float[Tensor, "a a"]:
    """Weighted sum of outer products, over the few poses that matter."""
    rows = owned > 1e-8 * owned.sum()
    return (away[rows] * owned[rows, None]).T @ away[rows]
