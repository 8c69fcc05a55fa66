"""The mixture of Gaussians over limbs."""

from dataclasses import replace

import torch
from bodies import noise, prior
from torch.distributions import MultivariateNormal

from nbf.body.anatomy import angles_from_rotations
from nbf.body.joints import mirror_rotations
from nbf.body.pose_prior import PosePrior


def poses(count: int = 1500, seed: int = 0) -> torch.Tensor:
    return PosePrior.load().sample(count, torch.Generator().manual_seed(seed))


def energy(mixture: PosePrior, rotations: torch.Tensor) -> torch.Tensor:
    angles = angles_from_rotations(rotations)
    parts = [limb.whitened(angles) for limb in mixture.limbs]
    return torch.stack([held.square().sum(1) / 2 + rare.square() / 2 for held, _, rare in parts]).sum(0)


def test_energy_is_the_density_of_the_nearest_gaussian() -> None:
    mixture = PosePrior.fit(poses(), 3, torch.Generator().manual_seed(0))
    limb = mixture.limbs[0]
    angles = angles_from_rotations(poses(20, seed=1))
    held, _, rare = limb.whitened(angles)
    x = angles[:, list(limb.joints)].flatten(1).double()
    precision = limb.whiten.double().mT @ limb.whiten.double()
    density = torch.stack(
        [MultivariateNormal(m, precision_matrix=p).log_prob(x) for m, p in zip(limb.means.double(), precision)]
    )
    expected = -(density + limb.shares.log().double()[:, None]).amax(0) - limb.constants.min()
    found = (held.square().sum(1) / 2 + rare.square() / 2).double()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-2)


def test_mirror_image_is_as_likely() -> None:
    mixture = PosePrior.fit(poses(), 3, torch.Generator().manual_seed(0))
    some = poses(50, seed=2)
    torch.testing.assert_close(energy(mixture, some), energy(mixture, mirror_rotations(some)), rtol=1e-3, atol=1e-2)


def test_unseen_poses_are_likelier_than_shuffled_angles() -> None:
    mixture = PosePrior.fit(poses(), 3, torch.Generator().manual_seed(0))
    some = poses(200, seed=3)
    spun = some[torch.randperm(200, generator=torch.Generator().manual_seed(0))].flip(1)
    assert float(energy(mixture, some).median()) < 0.3 * float(energy(mixture, spun).median())


def test_half_of_a_symmetric_mixture_is_enough_for_its_energies() -> None:
    (both,) = prior().limbs
    assert both.half is not None
    angles = 0.5 * noise(5, both.means.shape[1])
    torch.testing.assert_close(both.energies(angles), replace(both, half=None).energies(angles))
