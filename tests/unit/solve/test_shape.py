"""What a fitter's answer says of shape: Bayes' rule, against sampling and in the cases in which it is plain."""

import pytest
import torch
from packs import small
from torch import Tensor

from nbf.body.measure import height
from nbf.body.population import Group, SexAxis, sex_axis
from nbf.nets.doubt import Measurement
from nbf.solve.shape import as_tall, likely_shapes, of_likelier_sex

SHAPES = 2


def draw(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def measured(slope: tuple[float, float], sigma: tuple[float, float]) -> Measurement:
    """Those who are not grown yet, and those who are."""
    eye = torch.eye(SHAPES).double()
    return Measurement(
        torch.stack([value * eye for value in slope]),
        torch.tensor([[0.1, -0.2], [0.3, 0.0]]).double(),
        torch.stack([eye / value for value in sigma]),
    )


def group(share: float, mean: tuple[float, float], sigma: float, grown: bool) -> Group:
    return Group(share, (torch.tensor(mean).double(), sigma**2 * torch.eye(SHAPES).double()), grown)


CHILDREN, ADULTS = group(0.25, (-3.0, 0.5), 0.8, False), group(0.75, (0.5, 0.0), 0.5, True)
BOTH = measured((0.7, 0.2), (0.6, 0.3))


def test_it_is_what_sampling_finds() -> None:
    """Of many people of both groups, those about whom the answer is this one (importance sampling)."""
    answer = torch.tensor([-0.7, 0.1]).double()
    count = 200_000
    grown = torch.rand(count, generator=torch.Generator().manual_seed(1)) < ADULTS.share
    kind = grown.long()
    means = torch.stack([CHILDREN.shape[0], ADULTS.shape[0]])[kind]
    sigmas = torch.tensor([0.8, 0.5]).double()[kind]
    betas = means + sigmas[:, None] * draw(count, SHAPES)
    away = answer - BOTH.offset[kind] - torch.tensor([0.7, 0.2]).double()[kind, None] * betas
    noise = torch.tensor([0.6, 0.3]).double()[kind]
    weight = torch.exp(-0.5 * (away / noise[:, None]).square().sum(1)) / noise**SHAPES
    weight = weight / weight.sum()
    mean = weight @ betas
    covariance = (weight[:, None] * (betas - mean)).T @ (betas - mean)
    assert 0.1 < float(weight[grown].sum()) < 0.9  # it may be either
    found, spread = likely_shapes(answer[None], [BOTH], [[CHILDREN, ADULTS]])
    torch.testing.assert_close(found[0], mean, atol=0.02, rtol=0)
    torch.testing.assert_close(spread[0], covariance, atol=0.03, rtol=0.02)


@pytest.mark.parametrize("known", [CHILDREN, ADULTS])
def test_an_answer_that_says_nothing_leaves_people_as_they_are(known: Group) -> None:
    mean, spread = likely_shapes(draw(1, SHAPES), [measured((0.0, 0.0), (1.0, 1.0))], [[known]])
    torch.testing.assert_close(mean[0], known.shape[0])
    torch.testing.assert_close(spread[0], known.shape[1])


def test_an_exact_answer_is_believed() -> None:
    betas = draw(1, SHAPES)
    exact = measured((1.0, 1.0), (1e-3, 1e-3))
    mean, spread = likely_shapes(betas + exact.offset[1], [exact], [[ADULTS]])
    torch.testing.assert_close(mean, betas, atol=1e-3, rtol=0)
    assert float(spread.abs().max()) < 1e-5


def test_who_answers_far_from_a_group_is_not_of_it() -> None:
    answers = torch.tensor([[-3.0, 0.3], [0.5, 0.0]]).double()
    mean, _ = likely_shapes(answers, [BOTH] * 2, [[CHILDREN, ADULTS]] * 2)
    alone = [likely_shapes(answers, [BOTH] * 2, [[kind]] * 2)[0][row] for row, kind in enumerate((CHILDREN, ADULTS))]
    torch.testing.assert_close(mean, torch.stack(alone), atol=0.05, rtol=0)


def test_one_person_is_told_as_in_a_batch() -> None:
    answers, groups = draw(3, SHAPES), [[CHILDREN], [CHILDREN, ADULTS], [ADULTS]]
    together = likely_shapes(answers, [BOTH] * 3, groups)
    for one in range(3):
        for values, value in zip(together, likely_shapes(answers[one : one + 1], [BOTH], [groups[one]])):
            torch.testing.assert_close(values[one], value[0])


def test_the_likelier_sex_is_what_sampling_finds() -> None:
    mix = 0.4 * draw(SHAPES, SHAPES, seed=2)
    mean, covariance = torch.tensor([[0.2, -0.5], [0.1, 0.3]]).double(), (mix @ mix.T).expand(2, -1, -1)
    sex = SexAxis(torch.tensor([0.3, -0.2]).double(), 0.4, 0.05)
    found, square = of_likelier_sex(sex, mean, covariance)
    for person in range(2):
        betas = mean[person] + draw(200_000, SHAPES, seed=3) @ mix.T
        female = betas @ sex.slope + sex.offset + 0.05 * draw(200_000, seed=4) > 0.5
        likelier = betas[female if female.double().mean() > 0.5 else ~female]
        torch.testing.assert_close(found[person], likelier.mean(0), atol=0.01, rtol=0)
        away = betas - found[person]
        torch.testing.assert_close(square[person], away.T @ away / len(away), atol=0.01, rtol=0.01)


def test_bodies_of_either_sex_have_it() -> None:
    """The axis is that of the draws. Halfway between men and women a body is neither; of the likelier sex it is one."""
    sex = sex_axis(small())
    assert sex is not None
    missed = small().shape_samples @ sex.slope + sex.offset - small().shape_info[:, 1]
    assert float(missed.std()) == pytest.approx(sex.sigma, rel=0.01)
    assert sex.sigma < 0.1
    for side in (-1, 1):
        middle = (0.5 + 0.02 * side - sex.offset) * sex.slope / sex.slope.square().sum()
        found, _ = of_likelier_sex(sex, middle[None], torch.eye(len(middle))[None])
        assert side * float(found[0] @ sex.slope + sex.offset - 0.5) > 0.1
        # Of somebody whose sex is known nothing changes.
        known, _ = of_likelier_sex(sex, found, 1e-4 * torch.eye(len(middle))[None])
        torch.testing.assert_close(known, found, atol=0.02, rtol=0)


def test_who_is_as_tall_as_is_known_has_likely_proportions() -> None:
    count = small().shape_count
    mean, covariance = 0.3 * draw(3, count), (0.3 * torch.eye(count).double()).expand(3, -1, -1)
    body = small()
    tall = height(body.rest_vertices(mean.float())).double() + torch.tensor([0.1, -0.15, torch.nan]).double()
    betas, spread = as_tall(body, mean.float(), covariance.float(), tall.float())
    found = height(body.rest_vertices(betas))
    torch.testing.assert_close(found[:2].double(), tall[:2], atol=2e-3, rtol=0)
    torch.testing.assert_close(betas[2], mean[2].float())
    torch.testing.assert_close(spread[2], covariance[2].float())
    assert (torch.linalg.eigvalsh(spread) > 0).all()
    assert (spread[:2].diagonal(dim1=1, dim2=2).sum(1) < covariance[0].trace()).all()
