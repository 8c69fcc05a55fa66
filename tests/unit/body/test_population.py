"""Shapes of people like that are those of the body model's draws of such people."""

import copy
import math

import pytest
import torch

from nbf.body.measure import height
from nbf.body.model import BodyModel
from nbf.body.population import beyond, rooted, shape_given
from nbf.errors import InputError
from nbf.limits import AGE_GROUPS


def tall(body: BodyModel, **facts: float) -> float:
    return float(height(body.rest_vertices(shape_given(body, **facts)[0][None])))


def test_groups_of_ages_together_are_the_population(small_body):
    ages = small_body.shape_info[:, 0]
    shares = torch.stack([((ages >= low) & (ages < high)).float().mean() for low, high in AGE_GROUPS.values()])
    means = torch.stack([shape_given(small_body, age=group)[0] for group in AGE_GROUPS.values()])
    torch.testing.assert_close(shares @ means, small_body.shape_samples.mean(0), atol=1e-4, rtol=0)
    torch.testing.assert_close(shape_given(small_body)[0], small_body.shape_samples.mean(0), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "facts", [{}, {"age": 1.0}, {"sex": 0.0, "age": 40.0}, {"height": 2.6}, {"age": (2.0, 12.0), "weight": 20.0}]
)
def test_shapes_are_gaussians(small_body, facts):
    mean, covariance = shape_given(small_body, **facts)
    assert mean.shape == (small_body.shape_count,)
    torch.testing.assert_close(covariance, covariance.T)
    assert torch.linalg.eigvalsh(covariance).min() > 0
    root = rooted((mean, covariance))[1].double()
    torch.testing.assert_close(root.T @ root @ covariance.double(), torch.eye(len(mean)).double(), atol=1e-3, rtol=0)


def test_people_grow_up(small_body):
    heights = [tall(small_body, age=age) for age in (0.5, 2.0, 5.0, 10.0, 15.0, 30.0)]
    assert heights == sorted(heights)
    assert heights[0] < 0.8
    assert heights[2] == pytest.approx(1.1, abs=0.05)  # WHO: 1.09 to 1.10 m at 5 years
    assert heights[-1] == pytest.approx(1.7, abs=0.1)


@pytest.mark.parametrize("metres", [1.2, 1.6, 1.8, 1.95])
def test_people_are_as_tall_as_they_are(small_body, metres):
    assert tall(small_body, height=metres) == pytest.approx(metres, abs=0.01)


def test_sex_moves_the_body_along_its_own_axis(small_body):
    design = torch.cat([torch.ones(len(small_body.shape_samples), 1), small_body.shape_samples], 1)
    axis = torch.linalg.lstsq(design, small_body.shape_info[:, 1:2]).solution[:, 0]
    given = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    means = torch.stack([shape_given(small_body, sex=float(sex), age=30.0)[0] for sex in given])
    torch.testing.assert_close(axis[0] + means @ axis[1:], given, atol=0.15, rtol=0)


def test_what_facts_add_times_the_population_is_what_they_say():
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
    both = torch.linalg.solve(usual[1], usual[0]) + added @ mean
    torch.testing.assert_close(torch.linalg.solve(precision, both), told[0], atol=1e-3, rtol=1e-3)
    assert (beyond(usual, usual)[1].abs() < 1e-3).all()


def test_a_body_model_without_ages_and_sexes_is_refused(small_body):
    ageless = copy.deepcopy(small_body)
    ageless.shape_info[:, :2] = math.nan
    for tell in (
        lambda: shape_given(ageless, age=5.0),
        lambda: shape_given(ageless, age=AGE_GROUPS["child"]),
        lambda: shape_given(ageless, sex=1.0, height=1.7),
    ):
        with pytest.raises(InputError, match=r"known: .*got one with 0 .*SMPL.*anny24"):
            tell()
    assert tall(ageless, height=1.8) == pytest.approx(1.8, abs=0.01)
