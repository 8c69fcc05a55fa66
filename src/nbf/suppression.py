"""Who of the people found stays: nobody twice, and nobody whom the picture does not show."""

import logging

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.body.joints import torso_length
from nbf.nets.locator import survivors
from nbf.people import People, Person
from nbf.proxy.proxy import Proxy, seen_joints

log = logging.getLogger(__name__)

LIKELY = 0.3
"""Probability of being a person from which on a candidate counts as one; docs/benchmark.md measures who then is."""
CANDIDATE = 0.1
"""Score of the locator from which on the segmenter has a look before anybody is dropped."""
PERSON = (-3.442, 2.339, 6.494)
"""Bias, and weights of `clues`, of the log odds that a candidate is a person: tools/fit_person_score.py."""
LEAST_SUPPORT = 0.12
"""Of a body that stays. Of 7 found in 55 pictures of nobody 2 had more, of 97 found rightly in COCO photos 95."""
# Somebody cut off at the chest and seen from the side shows no more.
_SUREST = 6
SAME = 0.4
"""Mean distance of the joints of two people, in torsos, below which they are one."""


def clues(scores: Float[Tensor, " n"], proxy: Proxy) -> Float[Tensor, "n 2"]:
    """What tells people from what looks like them from afar: the log odds of the locator, and the mean score of the
    keypoints, which is low where a segmenter looks for joints in vain."""
    return torch.stack([scores.logit(eps=1e-4), seen_joints(proxy)[..., 2].mean(1)], dim=1)


def probability(scores: Float[Tensor, " n"], proxy: Proxy) -> Float[Tensor, " n"]:
    """That each candidate is a person, of the locator's scores and what the segmenter sees there."""
    bias, *weights = PERSON
    told = clues(scores, proxy)
    return (bias + told @ told.new_tensor(weights)).sigmoid()


def kept(people: People) -> People:
    """Those of located people, surest first, who stay: supported by what the networks saw, and distinct."""
    supported = torch.tensor([support(person) >= LEAST_SUPPORT for person in people], dtype=torch.bool)
    people = _only(people, supported, "of whom the part map and the keypoints show too little")
    if not people:
        return people
    once = distinct(torch.stack([person.joints_2d("coco17") for person in people]))
    return _only(people, once, "whose body is a surer person's")


def support(person: Person) -> float:
    """How far the picture shows a body, 0 to 1.

    Mean probability of the right part, where the photo should show the mesh, times the mean score of the surest
    keypoints (`_SUREST`). The first alone where nobody looked for keypoints.
    """
    certainty = person.certainty
    expected = (certainty.cells * (1 - certainty.cut)).nansum()
    seen = (certainty.cells * certainty.seen).nansum() / expected.clamp_min(1)
    scores = person.keypoints[:, 2]
    return float(seen * scores.topk(_SUREST).values.mean() if scores.any() else seen)


def _only(people: People, stays: Bool[Tensor, " n"], otherwise: str) -> People:
    for person, stay in zip(people, stays):
        if not stay:
            box = [round(float(side)) for side in person.box]
            log.info("%s: left out somebody in %s, score %.2f, %s", people.picture.name, box, person.score, otherwise)
    return People(tuple(person for person, stay in zip(people, stays) if stay), people.picture, people.camera)


def distinct(bodies: Float[Tensor, "n 17 2"]) -> Bool[Tensor, " n"]:
    """Of people, surest first, those whose projected COCO-17 joints are not within `SAME` of a surer one's who stays.

    In lengths of the longer of both torsos; Fang et al. 2017, "RMPE", section 3.3, call this pose suppression.
    """
    torso = torso_length(bodies)
    apart = _distances(bodies, torch.ones_like(bodies[..., 0]))
    return survivors(apart < SAME * torch.maximum(torso[:, None], torso))


def alike(some: Float[Tensor, "n 17 3"], others: Float[Tensor, "m 17 3"]) -> Bool[Tensor, "n m"]:
    """Whether each two of which keypoints (x, y, score) were seen are one, before there are bodies.

    Distances count by the scores of both, and in lengths of the shorter torso: a wrong hip must not make two one.
    """
    torso, of_others = torso_length(some[..., :2]), torso_length(others[..., :2])
    both = some[:, None, :, 2] * others[..., 2]
    apart = (both * (some[:, None, :, :2] - others[..., :2]).norm(dim=-1)).sum(-1) / both.sum(-1)
    return apart < SAME * torch.minimum(torso[:, None], of_others)


def _distances(points: Float[Tensor, "n k 2"], weights: Float[Tensor, "n k"]) -> Float[Tensor, "n n"]:
    """Mean distance of the points of each pair, weighted by both; nan where all weights are 0."""
    both = weights[:, None] * weights
    apart = (points[:, None] - points).norm(dim=-1)
    return (both * apart).sum(-1) / both.sum(-1)
