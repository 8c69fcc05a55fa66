"""What a user knows is checked once: heights in metres, lenses by their 35 mm equivalent, ages the body model has."""

import copy
import dataclasses
import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nbf.body.measure import height
from nbf.errors import InputError
from nbf.known import Known, age_prior, focal_pixels
from nbf.limits import AGE_GROUPS

SIDES = st.integers(16, 8000)


@given(SIDES, SIDES, st.floats(5.5, 1900))
def test_millimetres_are_pixels_by_the_diagonal(width, height, millimetres):
    pixels = focal_pixels(f"{millimetres:.9f}mm", width, height, None)
    # The same angle of view across the diagonal as on a frame of 36 x 24 mm.
    assert pixels / math.hypot(width, height) == pytest.approx(millimetres / math.hypot(36, 24), rel=1e-6)
    assert focal_pixels(f"{pixels:.9f}px", width, height, None) == pytest.approx(pixels, rel=1e-6)


def test_focal_lengths_as_people_write_them():
    for text in ("1200", "1200px", " 1200 PX ", "1200."):
        assert focal_pixels(text, 640, 480, None) == 1200
    assert focal_pixels("28 mm", 3600, 2400, None) == pytest.approx(2800)
    assert focal_pixels("EXIF", 640, 480, 777.0) == 777


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("exif", "no focal length in its EXIF"),
        ("wide", r"28mm, 1200px or exif, got 'wide'"),
        ("-28mm", "28mm, 1200px or exif"),
        ("nan", "28mm, 1200px or exif"),
        ("", "28mm, 1200px or exif"),
        ("28", "did you mean 28mm"),
        ("0", "5mm to 2000mm"),
        ("4.2mm", "as on 35 mm film"),
        ("99999mm", "5mm to 2000mm"),
    ],
)
def test_focal_lengths_that_no_lens_has(text, words):
    with pytest.raises(InputError, match=words):
        focal_pixels(text, 4000, 3000, None)


def test_facts_are_optional_and_frozen():
    facts = Known()
    assert (facts.height, facts.age_group) == (None, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        facts.height = 1.8  # pyright: ignore[reportAttributeAccessIssue]
    assert Known(height=1.78, age_group="adult").height == 1.78


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"height": 178.0}, r"height: expected metres.*got 178; did you mean 1.78\?"),
        ({"height": 5.9}, r"height: expected metres.*got 5.9$"),
        ({"height": 0.0}, "height: expected metres"),
        ({"height": math.nan}, "height: expected metres"),
        ({"age_group": "baby"}, "age_group: expected one of infant, child, teen, adult, elder, got 'baby'"),
    ],
)
def test_impossible_facts_say_what_is_possible(values, words):
    with pytest.raises(InputError, match=words):
        Known(**values)


def test_age_groups_follow_each_other():
    bounds = list(AGE_GROUPS.values())
    assert bounds[0][0] == 0
    assert bounds[-1][1] == math.inf
    assert all(before[1] == after[0] for before, after in itertools.pairwise(bounds))


def test_age_priors_together_are_the_population(small_body):
    ages = small_body.shape_info[:, 0]
    shares = torch.stack([((ages >= low) & (ages < high)).float().mean() for low, high in AGE_GROUPS.values()])
    means = torch.stack([age_prior(small_body, group)[0] for group in AGE_GROUPS])
    torch.testing.assert_close(shares @ means, small_body.shape_samples.mean(0), atol=1e-4, rtol=0)


@pytest.mark.parametrize("group", AGE_GROUPS)
def test_age_priors_are_gaussians(small_body, group):
    mean, covariance = age_prior(small_body, group)
    assert mean.shape == (small_body.shape_count,)
    torch.testing.assert_close(covariance, covariance.T)
    assert torch.linalg.eigvalsh(covariance).min() > 0


def test_people_grow_up(small_body):
    means = torch.stack([age_prior(small_body, group)[0] for group in ("infant", "child", "teen", "adult")])
    tall = height(small_body.rest_vertices(means))
    assert (tall.diff() > 0).all()
    assert tall[0] < 0.9
    assert tall[-1] == pytest.approx(1.7, abs=0.1)


def test_a_body_model_without_ages_is_refused(small_body):
    ageless = copy.deepcopy(small_body)
    ageless.shape_info[:, 0] = torch.nan
    with pytest.raises(InputError, match=r"age_group: .*'child'.*SMPL.*anny24"):
        age_prior(ageless, "child")
    with pytest.raises(InputError, match="age_group: expected one of"):
        age_prior(small_body, "old")
