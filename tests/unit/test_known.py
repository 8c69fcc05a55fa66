"""What a user knows is checked once: heights in metres, lenses by their 35 mm equivalent, ages the body model has."""

import copy
import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strangers import as_made

from nbf.body.measure import height
from nbf.errors import InputError
from nbf.given import focal_pixels, picture_camera
from nbf.known import Facts, Known, checked_known, known_of
from nbf.limits import AGE_GROUPS
from nbf.pictures import Picture

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


@pytest.mark.parametrize(
    ("exif", "focal", "pixels", "lens"),
    [
        (None, None, 100.0, "guess"),
        (70.0, None, 70.0, "EXIF"),
        (70.0, "exif", 70.0, "EXIF"),
        (70.0, 90, 90.0, "given"),
        (70.0, "43.2666mm", 100.0, "given"),
        (None, "90px", 90.0, "given"),
    ],
)
def test_cameras_say_how_their_lens_came_about(exif, focal, pixels, lens):
    picture = Picture(np.zeros((60, 80, 3), np.uint8), "a picture", exif)
    for camera in (picture_camera(picture, focal), picture_camera(picture, focal).scaled(1.0)):
        assert float(camera.focal) == pytest.approx(pixels, rel=1e-4)
        assert (camera.lens, camera.center.tolist()) == (lens, [40, 30])


def test_lenses_may_look_beside_a_cropped_picture():
    picture = Picture(np.zeros((60, 80, 3), np.uint8), "a picture")
    assert picture_camera(picture, None, (-300, 400)).center.tolist() == [-300, 400]
    # Of a longer lens it is a smaller angle.
    assert picture_camera(picture, 1000, (-4000, 30)).center.tolist() == [-4000, 30]
    for wrong, words in (((-501, 30), "within 5 focal lengths, 500 px"), ((1, 2, 3), "shape"), ("1,2", "type")):
        with pytest.raises(InputError, match=f"center: expected .*{words}"):
            picture_camera(picture, None, wrong)


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
        ({"sex": "woman"}, "sex: expected female, male or a number between 0 and 1, got 'woman'"),
        ({"sex": ["female", 2.0]}, "sex: expected .*got 2"),
        ({"age": -1}, "age: expected years between 0 and 120, got -1"),
        ({"age": [30, 130]}, "age: expected .*years between 0 and 120.*got 130"),
        ({"weight": 0.07}, "weight: expected kilograms between 1 and 400"),
        ({"age_group": ("adult", "baby")}, "age_group: expected one of .*got 'baby'"),
        ({"age_group": "baby"}, "age_group: expected one of infant, child, teen, adult, elder, got 'baby'"),
    ],
)
def test_impossible_facts_say_what_is_possible(values, words):
    with pytest.raises(InputError, match=words):
        as_made(Known, **values)


def test_age_groups_follow_each_other():
    bounds = list(AGE_GROUPS.values())
    assert bounds[0][0] == 0
    assert bounds[-1][1] == math.inf
    assert all(before[1] == after[0] for before, after in itertools.pairwise(bounds))


def told(shapes):
    assert shapes is not None
    return shapes


def test_shapes_of_groups_grow_up(small_body):
    means, _ = told(Known(age_group=("infant", "child", "teen", "adult")).shapes(small_body, 4))
    tall = height(small_body.rest_vertices(means))
    assert (tall.diff() > 0).all()
    assert tall[0] < 0.9
    assert tall[-1] == pytest.approx(1.7, abs=0.1)


@pytest.mark.parametrize("beyond_population", [False, True])
def test_each_ones_shape_is_that_of_one_alone(small_body, beyond_population):
    known = as_made(
        Known, sex=["female", None, 0.25], age=[30.0, 7.0, None], height=torch.tensor([math.nan, 1.25, 1.8])
    )
    together = told(known.shapes(small_body, 3, beyond_population=beyond_population))
    for person in range(3):
        one = known.of(slice(person, person + 1), 3)
        alone = told(one.shapes(small_body, 1, beyond_population=beyond_population))
        for values, value in zip(together, alone, strict=True):
            torch.testing.assert_close(values[person], value[0])
    everybody = told(Known(age=7.0, sex="male").shapes(small_body, 2, beyond_population=beyond_population))
    for values in everybody:
        torch.testing.assert_close(values[0], values[1])


def test_each_ones_groups_are_those_of_one_alone(small_body):
    known = as_made(Known, sex=["female", None, 0.25], age=[30.0, 7.0, None])
    for person, groups in enumerate(known.groups(small_body, 3)):
        (alone,) = known.of(slice(person, person + 1), 3).groups(small_body, 1)
        for group, other in zip(groups, alone, strict=True):
            torch.testing.assert_close(group.shape, other.shape)
            assert (group.share, group.grown) == (other.share, other.grown)


def test_nothing_known_is_nothing_or_the_population(small_body):
    assert Known().shapes(small_body, 2) is None
    known = Known(age=torch.tensor([5.0, math.nan]))
    means, roots = told(known.shapes(small_body, 2))
    torch.testing.assert_close(means[1], small_body.shape_samples.mean(0), atol=1e-5, rtol=0)
    assert torch.linalg.svdvals(roots[1]).min() > 0.1
    # An estimate that has the population in it already stays as it is.
    _, roots = told(known.shapes(small_body, 2, beyond_population=True))
    assert (roots[1] == 0).all()
    assert torch.linalg.svdvals(roots[0]).max() > 1
    assert [len(groups) for groups in known.groups(small_body, 2)] == [1, 5]


def test_ages_say_more_than_their_groups(small_body):
    both = told(Known(age=torch.tensor([3.0, math.nan]), age_group=("child", "child")).shapes(small_body, 2))[0]
    ages = told(Known(age=3.0).shapes(small_body, 1))[0]
    torch.testing.assert_close(both[0], ages[0])
    tall = height(small_body.rest_vertices(both))
    assert tall[0] < tall[1] - 0.1


def test_a_given_shape_is_everybodys(small_body):
    count = small_body.shape_count
    spread = torch.linspace(0.5, 2, count)
    means, roots = told(Known(age=5.0, shape=(torch.ones(count), spread.square().diag())).shapes(small_body, 2))
    torch.testing.assert_close(means, torch.ones(2, count))
    torch.testing.assert_close(roots, (1 / spread).diag().expand(2, -1, -1))
    for group in Known(shape=(torch.ones(count), spread.square().diag())).groups(small_body, 1)[0]:
        torch.testing.assert_close(group.shape, (torch.ones(count), spread.square().diag()))


def test_a_body_model_without_ages_is_refused(small_body):
    ageless = copy.deepcopy(small_body)
    ageless.shape_info[:, 0] = torch.nan
    for known in (Known(age_group="child"), Known(age=torch.tensor([math.nan, 5.0]))):
        with pytest.raises(InputError, match=r"known: .*SMPL.*anny24"):
            known.shapes(ageless, 2)


BOXES = torch.tensor([[0.0, 0, 10, 20], [30, 0, 40, 20], [60, 0, 70, 20]])


def test_facts_go_to_whom_their_boxes_mean():
    facts = [Facts(sex="female", age_group="teen", box=[61, 0, 70, 20]), Facts(sex="male", age=30, box=[0, 1, 10, 20])]
    known = known_of(checked_known(facts), BOXES, ordered=False)
    torch.testing.assert_close(known.sex, torch.tensor([0.0, math.nan, 1.0]), equal_nan=True)
    torch.testing.assert_close(known.age, torch.tensor([30.0, math.nan, math.nan]), equal_nan=True)
    assert known.age_group == (None, None, "teen")
    assert known.height is None


def test_facts_without_boxes_are_everybodys_or_in_order():
    one = Facts(height=1.8, sex="Male")
    assert known_of(checked_known(one), BOXES, ordered=False) == Known(height=1.8, sex=0.0)
    known = known_of(checked_known([Facts(age=9), one, Facts()]), BOXES, ordered=True)
    torch.testing.assert_close(known.heights(3), torch.tensor([math.nan, 1.8, math.nan]), equal_nan=True)
    for facts, ordered in (([one], True), ([one, one, one], False)):
        with pytest.raises(InputError, match=r"known: expected facts of 3 people, or boxes in them"):
            known_of(checked_known(facts), BOXES, ordered=ordered)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ([Facts(age=9, box=[100, 0, 110, 20])], "nobody was found at"),
        ([Facts(age=9, box=BOXES[0]), Facts(age=8, box=BOXES[0])], "got those of two"),
        ([Facts(age=9, box=BOXES[0]), Facts(age=8)], "got some without"),
        ([Facts(age=9, box=[1, 2])], r"box: expected .*got shape \(2,\)"),
    ],
)
def test_facts_of_nobody_are_refused(facts, words):
    with pytest.raises(InputError, match=words):
        known_of(checked_known(facts), BOXES, ordered=False)
    with pytest.raises(InputError, match=r"known: .*nobody was found|box: |known: expected"):
        known_of(checked_known(facts), BOXES[:0], ordered=False)
