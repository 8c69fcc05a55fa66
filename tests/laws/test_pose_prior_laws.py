"""Laws of the pose prior: a true density, its gradient, left as right, one as many, and people above random angles."""

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from nbf.body.anatomy import angles_from_rotations, limits, rotations_from_angles
from nbf.body.bodies import Bodies
from nbf.body.joints import mirror_rotations
from nbf.body.pose_prior import ASSET, BODY_AND_ROOT, JointMixture, PosePrior
from nbf.geometry.quaternions import matrix
from nbf.solve.terms import pose
from nbf.synth.made_poses import made_poses
from nbf.synth.poses import PoseLibrary

CACHE = Path(__file__).resolve().parents[2] / "runs" / "cache" / "poses.npz"


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def prior() -> PosePrior:
    return PosePrior.load()


def drawn(count: int, seed: int = 0) -> Tensor:
    return prior().sample(count, generator(seed)).double()


def anything(count: int) -> Tensor:
    """Angles drawn evenly within the joint limits."""
    low, high = limits(dtype=torch.float64).unbind(-1)
    return rotations_from_angles(low + (high - low) * torch.rand(count, 24, 3, generator=generator(9)).double())


def auc(better: Tensor, worse: Tensor) -> float:
    """How often one of the better scores lies above one of the worse."""
    return float((better[:, None] > worse).double().mean())


def small_mixture(joints: tuple[int, ...], components: int) -> JointMixture:
    size = 3 * len(joints)
    lower = torch.eye(size) * 4 + torch.randn(components, size, size, generator=generator(1)).tril()
    means = torch.randn(components, size, generator=generator(2)) * 0.3
    return JointMixture(joints, means, lower, torch.arange(1.0, components + 1) / sum(range(components + 1)))


def normal(mixture: JointMixture) -> MixtureSameFamily:
    whiten = mixture.whiten.double()
    components = MultivariateNormal(mixture.means.double(), precision_matrix=whiten.mT @ whiten)
    return MixtureSameFamily(Categorical(mixture.shares.double()), components)


@pytest.mark.parametrize("components", [1, 3])
def test_density_is_that_of_torch_distributions(components: int) -> None:
    mixture = small_mixture((3, 6), components)
    angles = torch.randn(20, 24, 3, generator=generator(), dtype=torch.float64) * 0.4
    expected = normal(mixture).log_prob(angles[:, [3, 6]].flatten(1))
    torch.testing.assert_close(mixture.log_density(angles), expected, rtol=1e-5, atol=1e-5)


def test_density_integrates_to_one() -> None:
    mixture, side = small_mixture((4,), 2), torch.linspace(-3, 3, 61, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side, side)
    angles = torch.zeros(len(grid), 24, 3, dtype=torch.float64)
    angles[:, 4] = grid
    assert float(mixture.log_density(angles).exp().sum() * 0.1**3) == pytest.approx(1, abs=1e-3)


def test_leading_joints_have_the_marginal_density() -> None:
    mixture = small_mixture((1, 2, 0), 1)
    whole = torch.linalg.inv((mixture.whiten.mT @ mixture.whiten).double())[0]
    angles = torch.randn(10, 24, 3, generator=generator(), dtype=torch.float64)
    expected = MultivariateNormal(mixture.means[0, :6].double(), whole[:6, :6]).log_prob(angles[:, [1, 2]].flatten(1))
    torch.testing.assert_close(mixture.leading(2).log_density(angles), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("root", [False, True])
def test_mirror_image_is_exactly_as_likely(root: bool) -> None:
    some, mixture = torch.cat([drawn(40), anything(10)]), PosePrior.load(root=root)
    torch.testing.assert_close(
        mixture.log_density(some), mixture.log_density(mirror_rotations(some)), rtol=1e-12, atol=1e-9
    )


def test_one_pose_scores_as_in_a_batch() -> None:
    some = drawn(5)
    alone = torch.cat([prior().log_density(each[None]) for each in some])
    torch.testing.assert_close(prior().log_density(some), alone)


def test_root_and_hands_have_no_part_in_it() -> None:
    some, other = drawn(5), drawn(5)
    other[:, [0, 22, 23]] = anything(5)[:, [0, 22, 23]]
    assert torch.equal(prior().log_density(some), prior().log_density(other))


def test_gradient_is_that_of_differences() -> None:
    angles = angles_from_rotations(drawn(2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: prior().log_density(rotations_from_angles(a)), (angles,), fast_mode=True)


def test_gradient_is_finite_at_rest() -> None:
    rest = torch.eye(3, dtype=torch.float64).repeat(1, 24, 1, 1).requires_grad_()
    (slope,) = torch.autograd.grad(prior().log_density(rest).sum(), rest)
    assert slope.isfinite().all()


def test_residuals_are_the_likeliest_component() -> None:
    some = drawn(30)
    state = Bodies(torch.zeros(30, 11).double(), some, torch.tensor([[0.0, 0.0, 3.0]]).double().expand(30, 3))
    energy = pose(state, prior(), 1.0, jacobian=False).residuals[..., :64].square().sum((1, 2)) / 2
    (body,) = prior().limbs
    best = -energy - float(body.constants.min())
    whole = prior().log_density(some)
    assert (best <= whole + 1e-4).all()
    assert (whole <= best + torch.tensor(len(body.shares)).log() + 1e-4).all()
    expected = -body.energies(angles_from_rotations(some)[:, list(body.joints)].flatten(1)).amin(1)
    torch.testing.assert_close(best, expected, rtol=1e-5, atol=1e-4)


def test_samples_repeat_and_score_as_made_poses_do() -> None:
    assert torch.equal(drawn(8), drawn(8))
    assert not torch.equal(drawn(8), drawn(8, seed=1))
    made = matrix(made_poses(150, generator())).double()
    score, other, random = (prior().log_density(poses) for poses in (drawn(150), made, anything(150)))
    assert abs(float(score.median() - other.median())) < 10
    assert min(auc(score, random), auc(other, random)) > 0.98


def test_samples_have_the_density_they_claim() -> None:
    mixture = small_mixture((3,), 2)
    entropy = -normal(mixture).log_prob(mixture.sample(4000, generator()).double()).mean()
    expected = -normal(mixture).log_prob(normal(mixture).sample(torch.Size([4000]))).mean()
    assert float(entropy) == pytest.approx(float(expected), abs=0.1)


def test_file_is_small_and_survives_saving(tmp_path: Path) -> None:
    assert ASSET.stat().st_size < 1_000_000
    stored = JointMixture.load(ASSET)
    stored.save(tmp_path / "again.safetensors")
    again = JointMixture.load(tmp_path / "again.safetensors")
    assert again.joints == stored.joints == BODY_AND_ROOT
    assert torch.equal(again.whiten, stored.whiten)
    assert torch.equal(again.means, stored.means)


@pytest.mark.skipif(not CACHE.is_file(), reason="no runs/cache/poses.npz: run tools/fit_poses.py for held-out poses")
def test_held_out_people_score_above_random_angles() -> None:
    held = PoseLibrary.load(CACHE).sample(600, generator(), split="test").double()
    score = prior().log_density(held)
    assert auc(score, prior().log_density(anything(600))) >= 0.98
    mixed = held.clone()
    mixed[:, [13, 14, *range(16, 24)]] = held.roll(1, 0)[:, [13, 14, *range(16, 24)]]
    assert auc(score, prior().log_density(mixed)) > 0.6
