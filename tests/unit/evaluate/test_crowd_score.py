"""Scores of pictures of several people: laws that hold whoever answers."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.measure import height, mass
from nbf.body.model import BodyModel
from nbf.evaluate.crowd_score import (
    Answer,
    CrowdScores,
    concatenated,
    pair_up,
    scale_summary,
    score_crowd,
    score_scale,
    summary,
)
from nbf.geometry import Camera, matrix_from_axis_angle
from nbf.synth.gathering import Gathering

# Metres: the second stands before the first, the third by herself, of the fourth nothing is seen.
PELVES = ((-0.6, 0.1, 4.0), (-0.25, 0.1, 3.6), (1.0, 0.1, 4.0), (1.1, 0.1, 6.0))
NOBODY = torch.zeros(0, dtype=torch.int64)


@pytest.fixture
def truth(body: BodyModel) -> Gathering:
    draw = torch.Generator().manual_seed(0)
    betas = torch.randn(4, body.shape_count, generator=draw) * 0.5
    rotations = matrix_from_axis_angle(torch.randn(4, 24, 3, generator=draw) * 0.1)
    rotations[:, 0] = torch.diag(torch.tensor([1.0, -1, -1])) @ rotations[:, 0]
    bodies = Bodies(betas, rotations, torch.tensor(PELVES))
    rest = body.rest_vertices(betas)
    joints_seen = torch.ones(4, 24)
    joints_seen[0, :12] = 0.2
    return Gathering(
        image=torch.zeros(3, 360, 480, dtype=torch.uint8),
        parts=torch.zeros(360, 480, dtype=torch.uint8),
        person=torch.zeros(360, 480, dtype=torch.uint8),
        camera=Camera(torch.tensor(500.0), torch.tensor([240.0, 180.0])),
        up=torch.tensor([0.0, -1.0, 0.0]),
        above=torch.tensor(1.0),
        bodies=bodies,
        joints=bodies.posed(body).joints,
        seen=torch.tensor([0.5, 1.0, 1.0, 0.0]),
        joints_seen=joints_seen,
        sex=torch.tensor([0.0, 1, 0, 1]),
        age=torch.tensor([30.0, 20, 40, 8]),
        height=height(rest),
        mass=mass(rest, body.faces),
    )


def scores(body: BodyModel, truth: Gathering, bodies: Bodies) -> CrowdScores:
    answer = Answer(bodies, truth.camera)
    return score_crowd(body, truth, answer, pair_up(body, truth, answer))


def report(body: BodyModel, truth: Gathering, bodies: Bodies) -> dict[str, float | int]:
    return summary(scores(body, truth, bodies))


def test_a_perfect_answer_scores_perfectly(body: BodyModel, truth: Gathering) -> None:
    got = report(body, truth, truth.bodies)
    assert (got["n"], got["people"], got["recall"], got["precision"]) == (1, 3, 100, 100)
    for name in ("pa_mpjpe_mean_mm", "pa_mpjpe_visible_mm", "pa_mpjpe_hidden_mm", "mpjpe_mean_mm"):
        assert got[name] == pytest.approx(0, abs=0.01), name
    assert (got["hidden_joints"], got["order"], got["order_pairs"]) == (12, 100, 1)
    assert (got["overlap_litres"], got["sunk"]) == (0, 0)
    answer = Answer(truth.bodies, truth.camera)
    scale = scale_summary(score_scale(body, truth, truth.bodies, pair_up(body, truth, answer), NOBODY))
    assert scale == {"distance_median_percent": 0, "height_cm": 0}


def test_it_does_not_matter_in_which_order_people_are_found(body: BodyModel, truth: Gathering) -> None:
    noise = 0.02 * torch.randn(4, truth.bodies.freedoms, generator=torch.Generator().manual_seed(1))
    found = truth.bodies.moved(noise)
    one, other = report(body, truth, found), report(body, truth, found[torch.tensor([2, 0, 3, 1])])
    assert one == pytest.approx(other)
    assert one["pa_mpjpe_mean_mm"] > 1


def test_it_does_not_matter_in_which_order_pictures_are_measured(body: BodyModel, truth: Gathering) -> None:
    each = [scores(body, truth, truth.bodies[:2]), scores(body, truth, truth.bodies)]
    assert summary(concatenated(each)) == pytest.approx(summary(concatenated(each[::-1])))
    assert summary(concatenated(each))["recall"] == pytest.approx(100 * 5 / 6, abs=0.01)


def test_a_missed_person_lowers_recall_alone(body: BodyModel, truth: Gathering) -> None:
    got = report(body, truth, truth.bodies[1:3])
    assert (got["recall"], got["precision"]) == (pytest.approx(200 / 3, abs=0.01), 100)
    assert got["pa_mpjpe_mean_mm"] == pytest.approx(0, abs=0.01)
    assert got["order_pairs"] == 0


def test_somebody_who_is_not_there_lowers_precision_alone(body: BodyModel, truth: Gathering) -> None:
    twice = truth.bodies[torch.tensor([0, 1, 2, 2])]
    elsewhere = replace(twice, pelvis=twice.pelvis + torch.tensor([[0.0, 0, 0]] * 3 + [[-0.9, 0, 0]]))
    for bodies in (twice, elsewhere):
        got = report(body, truth, bodies)
        assert (got["recall"], got["precision"]) == (100, 75)


def test_who_is_hidden_does_not_count(body: BodyModel, truth: Gathering) -> None:
    """Neither when missed nor when found."""
    for bodies in (truth.bodies, truth.bodies[:3]):
        got = report(body, truth, bodies)
        assert (got["people"], got["recall"], got["precision"]) == (3, 100, 100)
    seen = replace(truth, seen=torch.ones(4))
    assert report(body, seen, truth.bodies[:3])["recall"] == 75


def test_the_hidden_take_nobody_from_who_counts(body: BodyModel, truth: Gathering) -> None:
    """One body, nearer to the hidden person's place than to that of the visible one behind whom she stands."""
    there = truth.bodies[torch.tensor([2, 2])]
    shift = torch.tensor([[0.0, 0, 0], [0.08, 0, 0]])
    rest = ("joints", "seen", "joints_seen", "sex", "age", "height", "mass")
    placed = replace(there, pelvis=there.pelvis + shift)
    pair = replace(truth, bodies=placed, **{name: getattr(truth, name)[2:] for name in rest})
    found = replace(there[:1], pelvis=there.pelvis[:1] + 0.9 * shift[1])
    got = report(body, pair, found)
    assert (got["recall"], got["precision"]) == (100, 100)


def test_swapped_depths_are_found(body: BodyModel, truth: Gathering) -> None:
    """The farther one moved before the nearer one, each along the line of sight."""
    factor = torch.tensor([0.88, 1.08, 1.0, 1.0])[:, None]
    swapped = replace(truth.bodies, pelvis=truth.bodies.pelvis * factor)
    assert report(body, truth, swapped)["order"] == 0
    assert report(body, truth, replace(swapped, pelvis=truth.bodies.pelvis * 1.2))["order"] == 100


def test_pairs_that_are_level_have_no_order(body: BodyModel, truth: Gathering) -> None:
    level = replace(truth.bodies, pelvis=truth.bodies.pelvis.clone())
    level.pelvis[1, 2] = 3.9
    assert report(body, replace(truth, bodies=level), level)["order_pairs"] == 0


def test_who_stands_in_somebody_else_is_seen(body: BodyModel, truth: Gathering) -> None:
    sunk = replace(truth.bodies, pelvis=truth.bodies.pelvis.clone())
    sunk.pelvis[0] = sunk.pelvis[1] + torch.tensor([0.1, 0.0, 0.0])
    got = report(body, truth, sunk)
    assert got["overlap_litres"] > 10
    assert got["sunk"] == 50


@pytest.mark.parametrize("factor", [0.8, 1.1])
def test_scale(factor: float, body: BodyModel, truth: Gathering) -> None:
    """Bodies that much farther away, of the same size: the distance is off, the height is not; who is told is out."""
    answer = Answer(truth.bodies, truth.camera)
    pairs = pair_up(body, truth, answer)
    far = replace(truth.bodies, pelvis=truth.bodies.pelvis * factor)
    far.pelvis[0] = truth.bodies.pelvis[0]
    got = score_scale(body, truth, far, pairs, torch.tensor([0]))
    torch.testing.assert_close(got["distance"], torch.full((2,), 100 * abs(factor - 1)), atol=1e-3, rtol=0)
    assert got["height"].max() < 1e-3
    assert len(score_scale(body, truth, far, pairs, NOBODY)["distance"]) == 3
    taller: Tensor = truth.bodies.betas + 1
    assert score_scale(body, truth, replace(far, betas=taller), pairs, NOBODY)["height"].min() > 0.1


def test_nobody_found(body: BodyModel, truth: Gathering) -> None:
    got = report(body, truth, truth.bodies[:0])
    assert (got["recall"], got["people"], got["overlap_litres"]) == (0, 3, 0)
