"""Nobody is in a result twice, and nobody disappears who is somebody else."""

import hypothesis.strategies as st
import torch
from hypothesis import given
from torch import Tensor

from nbf.body.joints import torso_length
from nbf.geometry import Camera
from nbf.proxy.proxy import Proxy
from nbf.suppression import PERSON, SAME, alike, distinct, probability


def spread_bodies(seed: int, count: int, apart: float) -> Tensor:
    """Random joints, a torso about 1 long, the bodies `apart` from each other."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(17, 2, generator=draw) + apart * torch.randn(count, 1, 2, generator=draw)


@given(st.integers(0, 1000), st.integers(0, 12), st.sampled_from([0.1, 0.5, 2.0]))
def test_no_two_who_stay_are_one_and_whoever_goes_is_one_who_stays(seed: int, count: int, apart: float) -> None:
    bodies = spread_bodies(seed, count, apart)
    stays = distinct(bodies)
    distance = (bodies[:, None] - bodies).norm(dim=-1).mean(-1)
    longer = torch.maximum(torso_length(bodies)[:, None], torso_length(bodies))
    same = distance < SAME * longer
    assert not same[stays][:, stays].triu(1).any()
    for index in (~stays).nonzero()[:, 0].tolist():
        assert same[index, :index][stays[:index]].any(), "left out for nobody surer"
    if count:
        assert stays[0]


@given(st.integers(0, 1000), st.floats(0.01, 100))
def test_bodies_may_be_of_any_size(seed: int, size: float) -> None:
    bodies = spread_bodies(seed, 6, 0.3)
    assert distinct(size * bodies).tolist() == distinct(bodies).tolist()


def seen(points: Tensor, scores: Tensor | float = 0.9) -> Tensor:
    return torch.cat([points, torch.as_tensor(scores).expand(*points.shape[:2])[..., None]], -1)


def test_keypoints_of_one_person_are_told_by_those_that_are_sure() -> None:
    person = spread_bodies(0, 1, 0.0).expand(2, -1, -1).clone()
    person[1, :6] += 10
    scores = torch.full((2, 17), 0.9)
    assert not alike(seen(person, scores), seen(person, scores))[0, 1]
    scores[1, :6] = 0.0
    assert alike(seen(person, scores), seen(person, scores)).all()


def test_a_wrong_hip_does_not_make_two_people_one() -> None:
    people = spread_bodies(0, 1, 0.0) + torch.tensor([[[0.0, 0.0]], [[1.5, 0.0]]])
    people[1, 12] = 100
    assert not distinct(people)[1], "a torso of 100 swallows everybody"
    assert not alike(seen(people[:1]), seen(people[1:])).any()


def test_people_without_keypoints_are_not_judged_by_them() -> None:
    assert not alike(torch.zeros(3, 17, 3), torch.zeros(2, 17, 3)).any()


def test_candidates_are_likelier_people_the_surer_locator_and_keypoints_are() -> None:
    scores = torch.tensor([0.2, 0.6, 0.2])
    keypoints = torch.zeros(3, 17, 3)
    keypoints[2, :, 2] = 0.8
    found = probability(scores, Proxy(Camera(torch.ones(3), torch.zeros(3, 2)), joints=keypoints))
    bias, of_locator, of_keypoints = PERSON
    torch.testing.assert_close(found.logit(), bias + of_locator * scores.logit() + of_keypoints * keypoints[:, 0, 2])
    assert found[1] > found[0]
    assert found[2] > found[0]
