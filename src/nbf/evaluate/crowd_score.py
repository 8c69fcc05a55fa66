"""How right the answer to a picture of several people is: who was found, poses, depths, sizes; nothing here knows how
the answer came about."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.model import BodyModel, BodyOutput
from nbf.evaluate import metrics
from nbf.evaluate.detection import assign
from nbf.evaluate.report import Scores, percent, rounded
from nbf.geometry.camera import Camera
from nbf.nets.locator import box_iou
from nbf.raster.solid import shared_volume
from nbf.raster.zbuffer import rasterize
from nbf.synth.gathering import Gathering

LEAST_SEEN = 0.25
"""Share of people from which they count; of whom less is seen, neither finding nor missing them matters."""
OVERLAP = 0.4
"""IoU of the boxes of a true and a found body from which the one may be the other."""
JOINT_SEEN = 0.5
"""Share of a joint's surroundings from which it counts as visible."""
ACROSS = 0.05
"""Two people overlap in the picture where their bodies share so much of the smaller one's silhouette."""
LEVEL = 0.2
"""Metres; pairs whose pelves are no more apart in depth have no order. As the PCDR of Sun et al., "Putting people in
their place" (BEV), CVPR 2022."""
SUNK = 0.001
"""Cubic metres, a litre, from which two bodies count as sunk into each other."""
_COARSE = 0.25  # silhouettes are compared in cells of 4 x 4 pixels

CrowdScores = dict[str, Tensor]
"""Name and one value per person, joint, pair or picture, as `score_crowd` says; those of pictures are concatenated."""


@dataclass(frozen=True)
class Answer:
    """What was found in a picture: m bodies, the surest first, before the camera that they are thought to be before."""

    bodies: Bodies
    camera: Camera


@dataclass(frozen=True)
class Pairs:
    """Who is whom in a picture of n people of whom m were found."""

    found: Int64[Tensor, " n"]
    """The row among those found of each true person, -1 for who was missed."""
    counted: Bool[Tensor, " n"]
    """Of whom enough is seen."""
    right: Bool[Tensor, " m"]
    """Found people who are a counted person."""
    wrong: Bool[Tensor, " m"]
    """Found people who are nobody; the rest are people who do not count."""

    def measured(self) -> Int64[Tensor, " k"]:
        """The rows of the counted people who were found."""
        return (self.counted & (self.found >= 0)).nonzero()[:, 0]


@torch.no_grad()
def pair_up(body: BodyModel, truth: Gathering, answer: Answer) -> Pairs:
    """True and found people, paired by the overlap of the boxes about their bodies in the picture, the largest overlap
    first; who does not count may have who is left."""
    size = truth.image.shape[2], truth.image.shape[1]
    overlap = box_iou(
        _boxes(truth.bodies.posed(body), truth.camera, size), _boxes(answer.bodies.posed(body), answer.camera, size)
    )
    counted = truth.seen >= LEAST_SEEN
    found = assign(torch.where(counted[:, None], overlap, -1.0), OVERLAP)
    right = _taken(found, overlap.shape[1])
    others = assign(torch.where(counted[:, None] | right, -1.0, overlap), OVERLAP)
    return Pairs(torch.where(counted, found, others), counted, right, ~(right | _taken(others, len(right))))


@torch.no_grad()
def score_crowd(body: BodyModel, truth: Gathering, answer: Answer, pairs: Pairs) -> CrowdScores:
    """Errors of one picture.

    Returns:
        `found` of each counted person, 1 or 0; `right` of each found one who is right or wrong, 1 or 0. Of each counted
        person who was found `pa_mpjpe` and `mpjpe` (mm, means over 24 joints); of each of their joints, all of a person
        aligned together, `visible` or `hidden` (mm). `order` of each pair of them who overlap in the picture and have
        an order, 1 right, 0 wrong. Of the picture `litres`, what its found bodies share, summed over pairs; of each
        found body `sunk`, whether it shares a litre or more with another.
    """
    guess, true = answer.bodies.posed(body), truth.bodies.posed(body)
    who = pairs.measured()
    mine = pairs.found[who]
    aligned = metrics.pa_mpjpe(guess.joints[mine], true.joints[who])
    roots = guess.joints[mine, 0], true.joints[who, 0]
    seen = truth.joints_seen[who] >= JOINT_SEEN
    one, other = _overlapping(body, truth, true, who)
    depth, said = true.joints[:, 0, 2], guess.joints[:, 0, 2]
    apart, said_apart = depth[one] - depth[other], said[pairs.found[one]] - said[pairs.found[other]]
    ordered = apart.abs() >= LEVEL
    shared = _shared(guess.vertices, body.faces)
    return {
        "found": (pairs.found[pairs.counted] >= 0).float(),
        "right": pairs.right[pairs.right | pairs.wrong].float(),
        "pa_mpjpe": aligned.mean(-1),
        "mpjpe": metrics.mpjpe(guess.joints[mine], true.joints[who], *roots).mean(-1),
        "visible": aligned[seen],
        "hidden": aligned[~seen],
        "order": (apart.sign() == said_apart.sign())[ordered].float(),
        "litres": 1000 * shared.sum()[None] / 2,
        "sunk": (shared >= SUNK).any(1).float(),
    }


@torch.no_grad()
def score_scale(
    body: BodyModel, truth: Gathering, found: Bodies, pairs: Pairs, told: Int64[Tensor, " t"]
) -> CrowdScores:
    """`distance` (percent of the pelvis' true depth) and `height` (cm) of the counted people who were found.

    Args:
        body: the body model.
        truth: the picture.
        found: the bodies, in the order of those that were paired up.
        pairs: who is whom.
        told: rows of true people who are left out.
    """
    who = pairs.measured()
    who = who[~torch.isin(who, told)]
    mine = found[pairs.found[who]]
    true = truth.bodies[who]
    rest = body.rest_vertices(mine.betas), body.rest_vertices(true.betas)
    return {
        "distance": 100 * (mine.pelvis[:, 2] / true.pelvis[:, 2] - 1).abs(),
        "height": metrics.height_error(*rest),
    }


def concatenated(pictures: Sequence[CrowdScores]) -> CrowdScores:
    """All pictures' scores."""
    return {name: torch.cat([each[name] for each in pictures]) for name in pictures[0]}


def summary(crowd: CrowdScores) -> Scores:
    """The numbers that are reported of n pictures; nan where there is nothing to average."""
    right, hidden = crowd["right"], crowd["hidden"]
    return {
        "n": len(crowd["litres"]),
        "people": len(crowd["found"]),
        "recall": percent(float(crowd["found"].mean())),
        "precision": percent(float(right.mean())),
        "pa_mpjpe_mean_mm": rounded(float(crowd["pa_mpjpe"].mean())),
        "pa_mpjpe_visible_mm": rounded(float(crowd["visible"].mean())),
        "pa_mpjpe_hidden_mm": rounded(float(hidden.mean())),
        "hidden_joints": len(hidden),
        "mpjpe_mean_mm": rounded(float(crowd["mpjpe"].mean())),
        "order": percent(float(crowd["order"].mean())),
        "order_pairs": len(crowd["order"]),
        "overlap_litres": rounded(float(crowd["litres"].mean())),
        "sunk": percent(float(crowd["sunk"].mean())),
    }


def scale_summary(crowd: CrowdScores) -> Scores:
    """Errors of scale of all people under one condition."""
    distance = crowd["distance"]
    middle = float(distance.quantile(0.5)) if len(distance) else torch.nan
    return {"distance_median_percent": rounded(middle), "height_cm": rounded(float(crowd["height"].mean()))}


def _taken(pair: Int64[Tensor, " n"], count: int) -> Bool[Tensor, " {count}"]:
    """Which of so many are somebody's pair."""
    return torch.isin(torch.arange(count), pair)


def _boxes(posed: BodyOutput, camera: Camera, size: tuple[int, int]) -> Float[Tensor, "n 4"]:
    """About what of the bodies would lie within the picture if nobody hid anybody."""
    vertices = posed.vertices.clone()
    vertices[..., 2] = vertices[..., 2].clamp(min=1e-3)
    pixels = camera.project(vertices)
    most = torch.tensor(size, dtype=pixels.dtype)
    return torch.cat([pixels.amin(1).clamp(min=0).minimum(most), pixels.amax(1).clamp(min=0).minimum(most)], -1)


def _overlapping(
    body: BodyModel, truth: Gathering, true: BodyOutput, who: Int64[Tensor, " k"]
) -> tuple[Int64[Tensor, " q"], Int64[Tensor, " q"]]:
    """Rows of the pairs of some true people whose silhouettes overlap."""
    height, width = (round(side * _COARSE) for side in truth.image.shape[1:])
    points = truth.camera.scaled(_COARSE).pixels_depth(true.vertices[who])
    masks = rasterize(points, body.faces, height, width).mask.flatten(1).float()
    both, area = masks @ masks.T, masks.sum(1)
    across = (both > 0) & (both >= ACROSS * torch.minimum(area[:, None], area))
    one, other = across.triu(1).nonzero().unbind(1)
    return who[one], who[other]


def _shared(vertices: Float[Tensor, "m v 3"], faces: Int64[Tensor, "f 3"]) -> Float[Tensor, "m m"]:
    """Cubic metres that each body shares with each other."""
    shared = torch.zeros(len(vertices), len(vertices))
    for row in range(len(vertices)):
        for column in range(row):
            shared[row, column] = shared[column, row] = shared_volume(vertices[row], vertices[column], faces)
    return shared
