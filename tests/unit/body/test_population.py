"""Shapes of people of whom something is known."""

import pytest
import torch
from packs import small

from nbf.body.files import load_body
from nbf.body.measure import height
from nbf.body.model import BodyModel
from nbf.body.population import GROWN, beyond, groups_given, nearest_draws, rooted, shape_given
from nbf.errors import InputError
from nbf.limits import AGE_GROUPS


def tall(**facts: float) -> float:
    return float(height(small().rest_vertices(shape_given(small(), **facts)[0][None]))[0])


def test_without_facts_it_is_the_population() -> None:
    mean, covariance = shape_given(small())
    torch.testing.assert_close(mean, small().shape_samples.mean(0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(covariance, torch.cov(small().shape_samples.T), atol=0.02, rtol=0.02)


def test_groups_of_ages_together_are_the_population() -> None:
    ages = small().shape_info[:, 0]
    shares = torch.stack([((ages >= low) & (ages < high)).float().mean() for low, high in AGE_GROUPS.values()])
    means = torch.stack([shape_given(small(), age=group)[0] for group in AGE_GROUPS.values()])
    torch.testing.assert_close(shares @ means, small().shape_samples.mean(0), atol=1e-4, rtol=0)


@pytest.mark.parametrize("metres", [0.8, 1.3, 1.6, 1.75, 1.95])
def test_people_of_a_height_have_it(metres: float) -> None:
    assert tall(height=metres) == pytest.approx(metres, abs=0.02)


def test_children_grow_and_men_are_taller() -> None:
    ages = [tall(age=age) for age in (1, 4, 8, 12, 30)]
    assert ages == sorted(ages)
    assert tall(age=30, sex=0) > tall(age=30, sex=1) + 0.08


def test_sex_moves_the_body_along_its_own_axis() -> None:
    design = torch.cat([torch.ones(len(small().shape_samples), 1), small().shape_samples], 1)
    axis = torch.linalg.lstsq(design, small().shape_info[:, 1:2]).solution[:, 0]
    given = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    means = torch.stack([shape_given(small(), sex=float(sex), age=30.0)[0] for sex in given])
    torch.testing.assert_close(axis[0] + means @ axis[1:], given, atol=0.15, rtol=0)


def test_facts_leave_less_open() -> None:
    """The more is known, the smaller the ellipsoid is."""
    facts: list[dict[str, float]] = [{}, {"age": 30}, {"age": 30, "sex": 1}, {"age": 30, "sex": 1, "height": 1.6}]
    facts.append(facts[-1] | {"weight": 55})
    sizes = [float(torch.logdet(shape_given(small(), **each)[1])) for each in facts]
    assert sizes == sorted(sizes, reverse=True)


def test_facts_say_what_the_draws_like_them_say() -> None:
    """Held-out draws lie where their facts put them, in T-pose and to the millimetre better than the mean does."""
    draws, info = small().shape_samples[:40], small().shape_info[:40]
    for names, most in (((), 0.07), (("sex", "age"), 0.035), (("sex", "age", "height"), 0.012)):
        rows = [
            shape_given(small(), **{name: float(info[i, ("age", "sex", "height").index(name)]) for name in names})[0]
            for i in range(len(draws))
        ]
        apart = small().rest_vertices(torch.stack(rows)) - small().rest_vertices(draws)
        assert float((apart - apart.mean(1, keepdim=True)).norm(dim=-1).mean()) < most


def test_strange_facts_still_have_an_answer() -> None:
    for facts in ({"age": 1, "height": 2.0}, {"age": 119}, {"weight": 399, "height": 0.5}):
        mean, covariance = shape_given(small(), **facts)
        assert mean.isfinite().all()
        torch.linalg.cholesky(covariance)


def test_groups_add_up_to_the_population() -> None:
    """Shares, means and covariances of its parts are those of the whole (the law of total variance)."""
    groups = groups_given(small())
    shares = torch.tensor([group.share for group in groups])
    means, spreads = (torch.stack([group.shape[k] for group in groups]) for k in (0, 1))
    assert float(shares.sum()) == pytest.approx(1)
    mean, covariance = shape_given(small())
    torch.testing.assert_close(shares @ means, mean, atol=1e-4, rtol=0)
    apart = means - mean
    total = torch.einsum("k,kij->ij", shares, spreads) + torch.einsum("k,ki,kj->ij", shares, apart, apart)
    torch.testing.assert_close(total, covariance, atol=1e-3, rtol=1e-3)


def test_facts_leave_the_groups_that_have_such_people() -> None:
    assert [group.grown for group in groups_given(small())] == [False, False, True, True, True]
    assert [group.grown for group in groups_given(small(), height=0.9)] == [False, False]
    assert all(group.grown for group in groups_given(small(), height=1.85))
    for age, grown in ((5.0, False), ((0.0, 2.0), False), (GROWN, True), (40.0, True)):
        (group,) = groups_given(small(), age=age, sex=0.3)
        assert group.share == 1
        assert group.grown == grown
        torch.testing.assert_close(group.shape, shape_given(small(), age=age, sex=0.3))


def test_a_draw_is_nearest_to_itself() -> None:
    rows = torch.tensor([5, 0, 77])
    near = small().shape_samples[rows] + 0.01
    torch.testing.assert_close(nearest_draws(small(), near), small().shape_info[rows])


def test_a_quotient_times_the_population_is_what_is_told() -> None:
    """An estimate that is the population's becomes that of people like that."""
    told, usual = shape_given(small(), age=5, height=1.1), shape_given(small())
    mean, root = beyond(told, usual)
    precision = torch.linalg.inv(usual[1]) + root.T @ root
    middle = torch.linalg.solve(precision, torch.linalg.solve(usual[1], usual[0]) + root.T @ root @ mean)
    # Well within what is told; along a few directions the facts leave more open than the population, which stays.
    away = middle - told[0]
    assert float(away @ torch.linalg.solve(told[1], away)) < 0.3
    tall = small().shape_dirs[:, 1].amax(0) - small().shape_dirs[:, 1].amin(0)
    torch.testing.assert_close(tall @ torch.linalg.inv(precision) @ tall, tall @ told[1] @ tall, atol=0, rtol=0.15)


def test_what_is_told_besides_the_population_is_added_to_it() -> None:
    """Exactly, where the facts leave nothing more open than the population does."""
    generator = torch.Generator().manual_seed(0)
    pull, spread = torch.randn(2, 5, 5, generator=generator).unbind()
    usual = torch.randn(5, generator=generator), spread @ spread.T + torch.eye(5)
    # Told of three directions out of five.
    precision = torch.linalg.inv(usual[1]) + pull[:, :3] @ pull[:, :3].T
    pulled = torch.linalg.solve(usual[1], usual[0]) + pull[:, 0]
    told = torch.linalg.solve(precision, pulled), torch.linalg.inv(precision)
    mean, root = beyond(told, usual)
    added = root.T @ root
    torch.testing.assert_close(added + torch.linalg.inv(usual[1]), precision, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(torch.linalg.solve(usual[1], usual[0]) + added @ mean, pulled, atol=1e-3, rtol=1e-3)


def test_knowing_nothing_adds_nothing() -> None:
    usual = shape_given(small())
    assert beyond(usual, usual)[1].abs().max() < 0.05
    _, root = rooted(usual)
    torch.testing.assert_close(root.T @ root, torch.linalg.inv(usual[1]), atol=1e-4, rtol=1e-3)


def test_a_body_without_ages_says_so(ageless: BodyModel) -> None:
    with pytest.raises(InputError, match=r"SMPL.*anny24"):
        shape_given(ageless, age=30)
    assert shape_given(ageless, height=1.7)[0].isfinite().all()
    (group,) = groups_given(ageless)
    torch.testing.assert_close(group.shape, shape_given(ageless))


@pytest.fixture
def ageless() -> BodyModel:
    body = load_body("anny24", "small")
    body.shape_info[:, :2] = torch.nan
    return body
