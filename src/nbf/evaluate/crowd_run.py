"""A predictor on the benchmark's pictures of several people: found, measured, and told more and more about scale."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.evaluate.crowd_score import (
    Answer,
    CrowdScores,
    Pairs,
    concatenated,
    pair_up,
    scale_summary,
    score_crowd,
    score_scale,
    summary,
)
from nbf.evaluate.report import rounded
from nbf.evaluate.sheet import Entry, photo_entry, spread
from nbf.known import Known
from nbf.people import People
from nbf.predictor import Predictor
from nbf.synth.gathering import Gathering

_NOBODY = torch.zeros(0, dtype=torch.int64)


@dataclass
class _Times:
    """Seconds a picture takes by the number of people who are found in it."""

    people: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """Median seconds, those of each number of people, and the line through all: an intercept and a slope."""
        people, seconds = torch.tensor(self.people), torch.tensor(self.seconds)
        columns = torch.stack([torch.ones(len(people)), people.float()], 1)
        base, each = torch.linalg.lstsq(columns, seconds[:, None], driver="gelsd").solution[:, 0].tolist()
        table = [(int(n), seconds[people == n]) for n in people.unique()]
        return {
            "seconds": rounded(float(seconds.median())),
            "seconds_base": rounded(base),
            "seconds_person": rounded(each),
            "seconds_by_people": [(n, rounded(float(some.median())), len(some)) for n, some in table],
        }


def evaluate_crowd(
    predictor: Predictor, pictures: Iterable[Gathering], *, keep: bool = False
) -> tuple[dict[str, Any], list[Entry]]:
    """Find the people in pictures and measure them by the truth; docs/benchmark.md explains every number.

    Args:
        predictor: what is measured, as `predict` works by default.
        pictures: with the truth about them.
        keep: make entries of a contact sheet.

    Returns:
        The scores; and about 30 pictures for a contact sheet, evenly spaced through the ranking by PA-MPJPE, the worst
        first; none without `keep`.
    """
    crowd: list[CrowdScores] = []
    scales: dict[str, list[CrowdScores]] = {}
    times, entries = _Times(), []
    for index, picture in enumerate(pictures):
        if index == 0:  # what a predictor makes ready when first used takes no picture's time
            predictor.predict(picture.image)
        start = time.perf_counter()
        people = predictor.predict(picture.image)
        times.seconds.append(time.perf_counter() - start)
        times.people.append(len(people))
        answer = _answer(predictor, people)
        pairs = pair_up(predictor.body, picture, answer)
        crowd.append(score_crowd(predictor.body, picture, answer, pairs))
        for name, scores in _scales(predictor, picture, people, pairs).items():
            scales.setdefault(name, []).append(scores)
        if keep:
            entries.append(_entry(picture, people, f"{len(entries)}: recall {int(100 * crowd[-1]['found'].mean())} %"))
    report = summary(concatenated(crowd)) | times.report()
    report |= {name: scale_summary(concatenated(each)) for name, each in scales.items()}
    ranks = [float(each["pa_mpjpe"].nanmean().nan_to_num(1e3)) for each in crowd]
    return report, [entries[index] for index in spread(ranks)] if keep else []


def _scales(predictor: Predictor, picture: Gathering, people: People, pairs: Pairs) -> dict[str, CrowdScores]:
    """Errors of scale, told nothing; the true lens; with it one person's true height, measured on the others; and
    everybody's."""
    found, who = pairs.found, pairs.measured()
    heights = torch.full((len(people),), torch.nan)
    heights[found[found >= 0]] = picture.height[found >= 0]
    # Of whom most is seen is who would be asked.
    known = who[picture.seen[who].argmax()[None]] if len(who) else _NOBODY
    alone = torch.full_like(heights, torch.nan)
    alone[found[known]] = picture.height[known]
    focal = float(picture.camera.focal)
    told: dict[str, tuple[Known, Tensor]] = {
        "lens": (Known(), _NOBODY),
        "lens_and_one_height": (Known(height=alone) if len(people) else Known(), known),
        "lens_and_heights": (Known(height=heights) if len(people) else Known(), _NOBODY),
    }
    bodies = _answer(predictor, people).bodies
    scores = {"nothing_known": score_scale(predictor.body, picture, bodies, pairs, _NOBODY)}
    for name, (facts, out) in told.items():
        fitted = predictor.refit(people, focal=focal, known=facts)
        bodies = _answer(predictor, fitted).bodies
        scores[name] = score_scale(predictor.body, picture, bodies, pairs, out)
    return scores


def _answer(predictor: Predictor, people: People) -> Answer:
    if not people:
        none = torch.zeros(0, predictor.body.shape_count), torch.zeros(0, 24, 3, 3), torch.zeros(0, 3)
        return Answer(Bodies(*none), people.camera)
    betas, rotations = (torch.stack([getattr(person, name) for person in people]) for name in ("betas", "rotations"))
    pelvis = torch.stack([person.posed.joints[0] for person in people])
    return Answer(Bodies(betas, rotations, pelvis), people.camera)


def _entry(picture: Gathering, people: People, caption: str) -> Entry:
    height, width = picture.image.shape[1:]
    return photo_entry(
        picture.image,
        torch.tensor([0.0, 0.0, width, height]),
        [(person.parts.probabilities, person.parts.crop) for person in people],
        torch.stack([person.vertices for person in people]) if people else torch.zeros(0, 0, 3),
        people.camera,
        caption,
    )
