"""The benchmark's protocol: every person of a track through a method, scored; what a contact sheet needs, kept."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.measure import height
from nbf.body.model import BodyModel
from nbf.body.parts import merge_labels
from nbf.body.population import nearest_draws
from nbf.evaluate import metrics
from nbf.evaluate.bench import Group
from nbf.evaluate.report import Scores, percent, rounded
from nbf.evaluate.score import PersonScores, concatenated, harmed, score_bodies, summary
from nbf.evaluate.sheet import Entry, spread
from nbf.geometry.camera import Camera
from nbf.geometry.crop import Crop
from nbf.known import NOTHING, Known
from nbf.nets.segmenter import INPUT_SIZE
from nbf.proxy.proxy import Crops, Proxy, silhouette
from nbf.render.reliability import reliability
from nbf.solve.fit import Method

MERGED = 14
FACTS = ("sex", "age", "height", "weight")
"""What a method may be told of the benchmark's people."""


@dataclass(frozen=True)
class Kept:
    """What one person looks like and what was found, small enough to keep for everybody."""

    picture: UInt8[Tensor, "3 r r"]
    labels: UInt8[Tensor, "h w"]
    """The proxy's most likely part of each cell."""
    found: Bodies
    true: Bodies
    camera: Camera


@dataclass(frozen=True)
class Result:
    """Scores of every person, the parts' confusion over all of them, and how long the method took."""

    people: PersonScores
    before: PersonScores | None
    """Before refinement; None where nothing was refined."""
    joint_error: Float[Tensor, "n 23"] | None
    """What the method says of `people["joints"]`, mm."""
    parts: Int64[Tensor, "25 25"]
    """All zeros where the method saw no parts."""
    seconds: float
    kept: list[Kept]

    def report(self) -> dict[str, Any]:
        """The numbers that are reported; see docs/benchmark.md. Of refined people `before` and `after`."""
        if self.before is None or self.joint_error is None:
            return self.scores(self.people)
        said, was = self.joint_error.flatten(), self.people["joints"].flatten()
        return {
            "before": self.scores(self.before),
            "after": self.scores(self.people),
            "worse_by_10mm": harmed(self.before, self.people),
            "uncertainty": {
                "joint_correlation": round(float(torch.corrcoef(torch.stack([said, was]))[0, 1]), 3),
                "said_mm": rounded(float(said.mean())),
                "was_mm": rounded(float(was.mean())),
                "reliability": [[rounded(a), rounded(b), n] for a, b, n in reliability(said, was)],
            },
        }

    def scores(self, people: PersonScores) -> Scores:
        """The numbers of one way to score them."""
        groups = merge_labels(torch.arange(25), MERGED)
        merged = torch.zeros(MERGED + 1, MERGED + 1, dtype=torch.long)
        merged.index_put_((groups[:, None], groups[None]), self.parts, accumulate=True)
        of_parts = {
            "miou": percent(metrics.mean_iou(self.parts)),
            "miou14": percent(metrics.mean_iou(merged)),
            "f1": percent(metrics.mean_f1(self.parts)),
        }
        return summary(people) | (of_parts if self.parts.any() else {}) | {"seconds": rounded(self.seconds)}


@torch.no_grad()
def run(
    groups: Iterable[Group], body: BodyModel, method: Method, *, known: Sequence[str] = (), keep: bool = False
) -> Result:
    """Measure a method on the people of `Benchmark.groups`.

    Of the truth it is told the camera, as a predictor would be that knows the lens.

    Args:
        groups: labelled people.
        body: the body model that their parameters belong to, and the method's.
        method: finds bodies.
        known: names of FACTS that it is told of everybody, truly.
        keep: also keep what a contact sheet needs, about 200 kB a person.
    """
    scores: list[PersonScores] = []
    before: list[PersonScores] = []
    said: list[Tensor] = []
    parts = torch.zeros(25, 25, dtype=torch.long)
    kept: list[Kept] = []
    seconds = 0.0
    for group in groups:
        batch = group.batch
        crops, true = asked(batch, body)
        camera = Camera(batch["focal"], batch["center"])
        told = facts(body, batch["betas"], known)
        start = time.perf_counter()
        proxy, fit = method(crops, told)
        seconds += time.perf_counter() - start
        scores.append(score_bodies(body, fit.bodies, true, camera, INPUT_SIZE))
        if fit.report is not None and fit.start is not None and fit.joint_error is not None:
            before.append(score_bodies(body, fit.start, true, camera, INPUT_SIZE))
            said.append(fit.joint_error[:, 1:] * metrics.MILLIMETRES)
        labels = torch.zeros_like(batch["ignore"], dtype=torch.long) if proxy.parts is None else proxy.parts.argmax(1)
        if proxy.parts is not None:
            parts += metrics.confusion(labels, batch["parts"].argmax(1), 25, ~batch["ignore"])
        if keep:
            kept += _kept(batch["image"], labels, fit.bodies, true, camera)
    refined = concatenated(before) if before else None
    return Result(concatenated(scores), refined, torch.cat(said) if said else None, parts, seconds, kept)


def facts(body: BodyModel, betas: Float[Tensor, "n s"], names: Sequence[str]) -> Known:
    """Some of FACTS of people; of all but the height, those of the draw that a shape was made of, which is the nearest
    (`nbf.synth.sampler` adds a little to it)."""
    if not names:
        return NOTHING
    draw = nearest_draws(body, betas)
    true: dict[str, Any] = {"age": draw[:, 0], "sex": draw[:, 1].clamp(0, 1), "weight": draw[:, 3]}
    true["height"] = height(body.rest_vertices(betas))
    return Known(**{name: true[name] for name in names})


def asked(batch: dict[str, Tensor], body: BodyModel) -> tuple[Crops, Bodies]:
    """What a method is shown of the people of a `Group`, and the bodies that it should find."""
    camera = Camera(batch["focal"], batch["center"]).scaled(1 / INPUT_SIZE)
    true = Bodies.placed(body, batch["betas"], batch["rotations"], batch["translation"])
    truth = Proxy(
        camera,
        parts=batch["parts"],
        joints=true_joints(body, true, camera),
        silhouette=silhouette(batch["parts"]),
    )
    return Crops(batch["image"], camera, truth=truth), true


def true_joints(body: BodyModel, true: Bodies, camera: Camera) -> Float[Tensor, "n 17 3"]:
    """COCO-17 of bodies where a camera (in crop sides) sees them: x, y, and 1 inside of the crop, 0 outside."""
    points = camera.project(body.keypoints(true.posed(body), "coco17"))
    inside = ((points >= 0) & (points <= 1)).all(-1, keepdim=True)
    return torch.cat([points, inside.to(points)], dim=-1)


def entries(kept: list[Kept], people: PersonScores, body: BodyModel) -> list[Entry]:
    """About 30 people for a contact sheet, evenly spaced through the ranking by PA-MPJPE, the worst first."""
    errors = people["pa_mpjpe"].tolist()
    return [
        _entry(kept[index], body, f"{place + 1}. person {index}: PA-MPJPE {errors[index]:.0f} mm")
        for place, index in enumerate(spread(errors))
    ]


def _entry(kept: Kept, body: BodyModel, caption: str) -> Entry:
    found, true = (bodies.posed(body).vertices for bodies in (kept.found, kept.true))
    side = kept.picture.shape[-1]
    parts = torch.nn.functional.one_hot(kept.labels.long(), 25).permute(2, 0, 1).float()
    whole = Crop(torch.full((2,), side / 2), torch.tensor(float(side)), side)
    picture = Image.fromarray(kept.picture.permute(1, 2, 0).numpy())
    return Entry(picture, [(parts, whole)], found, kept.camera, caption, true)


def _kept(images: Tensor, labels: Tensor, found: Bodies, true: Bodies, camera: Camera) -> list[Kept]:
    pictures = (images * 255).round().byte()
    return [
        Kept(pictures[i], labels[i].byte(), found[i : i + 1], true[i : i + 1], camera[i]) for i in range(len(images))
    ]
