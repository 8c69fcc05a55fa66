"""Measuring under the field's protocols: everybody who counts in a data set, compared as the protocol says."""

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.joints import world_rotations
from nbf.body.model import BodyModel, BodyOutput
from nbf.data.labelled import Frame, LabelledPerson, LabelledPicture, Pictures
from nbf.data.placed import in_camera
from nbf.errors import DataError, NbfError
from nbf.evaluate import metrics
from nbf.evaluate.model_joints import Ours, Reading
from nbf.evaluate.published import Protocol
from nbf.geometry.camera import Camera
from nbf.geometry.rotations import geodesic_angle
from nbf.people import Person
from nbf.solve.convert import Conversion, VertexMap

logger = logging.getLogger(__name__)

MARGIN = 1.2
"""Side of a predictor's crop over the longer side of the box that it is given."""
STEP = 5.0
"""Millimetres between the thresholds of AUC (Mehta et al. 2017)."""
ORIENTED = [0, 1, 2, 4, 5, 16, 17, 18, 19]
"""SMPL joints whose directions the 3DPW challenge compares."""
_PCK_TORSO, _PCKH = 0.2, 0.5


@dataclass(frozen=True)
class Truths:
    """What labels are made comparable by."""

    models: dict[tuple[str, str], BodyModel] = field(default_factory=dict)
    """The models that labels are parameters of, by name and gender."""
    reading: Reading = field(default_factory=Ours)
    """How joints are read off their meshes, where a set labels no joints."""


@dataclass(frozen=True)
class Posed:
    """One body before the camera."""

    body: BodyModel
    output: BodyOutput
    """Of a batch of one."""
    rotations: Float[Tensor, "24 3 3"]
    camera: Camera | None = None
    """Through which it is seen in the picture; for scores in the picture."""

    @staticmethod
    def of(person: Person) -> "Posed":
        """A result of ours."""
        posed = person.posed
        output = BodyOutput(posed.vertices[None], posed.joints[None], posed.transforms[None])
        return Posed(person.body, output, person.rotations, person.camera)


Answer = Callable[[LabelledPicture, Float[Tensor, "n 4"]], Sequence[Posed]]
"""What is measured: bodies for boxes (pixels) in a picture, in their order."""


@dataclass(frozen=True)
class Compared:
    """One person who counts: the scores, unreduced."""

    frame: Frame | None
    scores: dict[str, Float[Tensor, " n"]]
    """Of each joint, vertex or part; NaN where one does not count."""


class Ruler:
    """Compares found people with labelled ones under a protocol."""

    def __init__(self, protocol: Protocol, truths: Truths, reading: Reading | None = None) -> None:
        """`reading` is how joints are read off the bodies that are found."""
        self.protocol, self.truths = protocol, truths
        self.reading = Ours() if reading is None else reading
        self._maps: dict[tuple[int, int], VertexMap] = {}

    def counts(self, person: LabelledPerson) -> bool:
        """Whether the protocol measures somebody."""
        if person.ignore or person.bounds() is None:
            return False
        if self.protocol.people:
            labelled = person.joints_2d is not None and int((person.joints_2d.weight > 0).sum())
            return bool(labelled and labelled >= self.protocol.people)
        return True

    def boxes(self, people: Sequence[LabelledPerson]) -> Float[Tensor, "n 4"]:
        """For a predictor that sees MARGIN times a box, so that it sees what the protocol shows."""
        rows = []
        for person in people:
            bounds = person.bounds()
            assert bounds is not None  # as `counts` says
            x0, y0, x1, y1 = map(float, bounds)
            half = max(x1 - x0, y1 - y0) * self.protocol.crop / MARGIN / 2
            x, y = (x0 + x1) / 2, (y0 + y1) / 2
            rows.append([x - half, y - half, x + half, y + half])
        return torch.tensor(rows)

    @torch.no_grad()
    def compare(self, picture: LabelledPicture, label: LabelledPerson, posed: Posed) -> Compared:
        """The scores of one person.

        Raises:
            DataError: the label does not have what the protocol compares.
        """
        true = self._true(label)
        scores: dict[str, Tensor] = {}
        for name in self.protocol.scores:
            if name in ("pckh", "pck_torso"):
                scores[name] = self._planar(name, label, posed)
            elif name == "pve":
                scores[name] = self._surface(_known(true, picture, name), posed)
            elif name == "mpjae":
                one, other = (
                    world_rotations(each.rotations)[ORIENTED] for each in (posed, _known(true, picture, name))
                )
                scores[name] = torch.rad2deg(geodesic_angle(one, other))
            elif name == "quaternion":
                scores[name] = metrics.quaternion_distance(posed.rotations, _known(true, picture, name).rotations)
        if {"mpjpe", "pa_mpjpe", "pck", "auc"} & set(self.protocol.scores):
            scores |= self._spatial(picture, label, true, posed)
        return Compared(picture.frame, scores)

    def _true(self, label: LabelledPerson) -> Posed | None:
        """The labelled body, if its model is at hand."""
        if label.body is None:
            return None
        model = self.truths.models.get((label.body.model, label.body.gender))
        if model is None or len(label.body.betas) != model.shape_count:
            return None
        placed = in_camera(label.body, model)
        return Posed(model, model(*(value[None] for value in placed)), placed.rotations)

    def _spatial(
        self, picture: LabelledPicture, label: LabelledPerson, true: Posed | None, found: Posed
    ) -> dict[str, Tensor]:
        wanted = (*self.protocol.joints, *self.protocol.root)
        if label.joints_3d is not None:
            points, weights = (torch.from_numpy(np.asarray(v, np.float64)) for v in label.joints_3d.pick(wanted))
        elif true is not None:
            points, weights = self.truths.reading(true.body, true.output, wanted)
            points = points[0]
        else:
            raise DataError(
                f"{picture.name}: {self.protocol.name} compares joints in space, and this has neither joints nor a "
                "body whose model is at hand; give the model's files"
            )
        seen, readable = self.reading(found.body, found.output, wanted)
        count = len(self.protocol.joints)
        weights = weights * readable
        if not (weights[count:] > 0).all():
            raise DataError(
                f"{picture.name}: expected labels of {', '.join(self.protocol.root)}, by which bodies are aligned"
            )
        there = weights[:count] > 0
        # Millimetres at metres' distance leave float32 with four digits.
        seen, points = seen[0].double(), points.double()
        one, other, roots = seen[:count], points[:count], (seen[count:].mean(0), points[count:].mean(0))
        apart = torch.where(there, metrics.mpjpe(one, other, *roots), math.nan)
        aligned = torch.full((count,), math.nan, dtype=torch.float64)
        # Of fewer points a similarity says nothing.
        if int(there.sum()) >= 4:
            aligned[there] = metrics.pa_mpjpe(one[there], other[there])
        limbs = self.protocol.pck_joints
        counted = torch.tensor([limbs is None or name in limbs for name in self.protocol.joints])
        steps = torch.arange(0, self.protocol.auc + STEP / 2, STEP)
        right = (apart[:, None] <= steps).float().mean(-1)
        named = {
            "mpjpe": apart,
            "pa_mpjpe": aligned,
            "pck": torch.where(there & counted, (apart <= self.protocol.pck).float(), math.nan) * 100,
            "auc": torch.where(there, right, math.nan) * 100,
        }
        return {name: value for name, value in named.items() if name in self.protocol.scores}

    def _surface(self, true: Posed, found: Posed) -> Tensor:
        """Vertices about the pelvis; between two models, at the points that are mapped."""
        roots = found.output.joints[0, 0], true.output.joints[0, 0]
        one, other = found.output.vertices[0], true.output.vertices[0]
        if len(one) != len(other):
            key = id(true.body), id(found.body)
            if key not in self._maps:
                self._maps[key] = Conversion(true.body, found.body).map
            one, other = one[self._maps[key].vertex], self._maps[key].points(other[None])[0]
        return metrics.mpjpe(one, other, *roots)

    def _planar(self, name: str, label: LabelledPerson, found: Posed) -> Tensor:
        """Whether projected joints are where they are labelled, percent."""
        if label.joints_2d is None:
            raise DataError(f"{self.protocol.name}: expected labelled joints in the picture, got a person without")
        points, weights = (torch.from_numpy(v).float() for v in label.joints_2d.pick(self.protocol.joints))
        kind = "lsp14" if name == "pckh" else "coco17"
        assert found.camera is not None
        seen = found.camera.project(found.body.keypoints(found.output, kind))[0]
        if name == "pckh":
            head = label.head if label.head is not None else _head(points, weights)
            reference, share = torch.tensor(float(head)), _PCKH
        else:
            reference, share = metrics.torso_length(points), _PCK_TORSO
            trunk = weights[[metrics.COCO_LEFT_SHOULDER, metrics.COCO_RIGHT_HIP]]
            reference = torch.where((trunk > 0).all(), reference, math.nan)
        right = metrics.pck(seen[None], points[None], reference[None], share)[0].float()
        return torch.where((weights > 0) & reference.isfinite(), right, math.nan) * 100


def measure(
    protocol: Protocol, pictures: Pictures, answer: Answer, truths: Truths, rows: Iterable[int] | None = None
) -> dict[str, Any]:
    """The protocol's numbers over pictures (`Protocol.pictures` chooses them), all or those of some `rows`: means over
    people of means over joints, and medians.

    What cannot be read or measured is left out, counted and logged. Where recordings have actions, `per_action` has the
    same for each, and `over_actions` the mean of these.

    Raises:
        DataError: nobody at all could be measured.
    """
    ruler = Ruler(protocol, truths)
    compared: list[Compared] = []
    seen, left_out, fault = 0, 0, "no picture has anybody who counts"
    for index in range(len(pictures)) if rows is None else rows:
        try:
            picture = pictures[index]
            people = [person for person in picture.people if ruler.counts(person)]
            seen += bool(people)
            found = answer(picture, ruler.boxes(people)) if people else []
            compared += [ruler.compare(picture, label, body) for label, body in zip(people, found, strict=True)]
        except NbfError as error:
            logger.warning("left out: %s", error)
            left_out, fault = left_out + 1, str(error)
    if not compared:
        raise DataError(f"{protocol.name}: nobody could be measured; {fault}")
    actions: dict[str, list[Compared]] = {}
    for row in compared:
        if row.frame is not None and row.frame.action:
            actions.setdefault(row.frame.action, []).append(row)
    each = {name: summary(some) for name, some in sorted(actions.items())}
    report: dict[str, Any] = {
        "protocol": protocol.name,
        "source": protocol.source,
        "joints": f"{len(protocol.joints)}, found: {ruler.reading.name}, true: {truths.reading.name} or as labelled",
        "root": " and ".join(protocol.root) or "none",
        "boxes": f"labelled, {protocol.crop:g} times their longer side",
        "pictures": seen,
        "left_out": left_out,
        "people": len(compared),
    } | summary(compared)
    if each:
        means = {name: [scores[name] for scores in each.values()] for name in summary(compared)}
        report["over_actions"] = {name: round(sum(values) / len(values), 2) for name, values in means.items()}
        report["per_action"] = {name: {"people": len(actions[name])} | scores for name, scores in each.items()}
    return report


UNITS = {
    "pckh": "percent",
    "pck_torso": "percent",
    "pck": "percent",
    "auc": "percent",
    "mpjae": "deg",
    "quaternion": "rad",
}
"""Of scores; the others are millimetres."""


def summary(rows: Sequence[Compared]) -> dict[str, float]:
    """Mean and, of errors in millimetres, median over people."""
    report = {}
    for name in rows[0].scores:
        people = torch.stack([row.scores[name].nanmean() for row in rows]).double()
        unit = UNITS.get(name, "mm")
        report[f"{name}_mean_{unit}" if unit == "mm" else f"{name}_{unit}"] = round(float(people.nanmean()), 6)
        if unit == "mm":
            report[f"{name}_median_mm"] = round(float(people.nanmedian()), 6)
    return report


def _known(true: Posed | None, picture: LabelledPicture, score: str) -> Posed:
    if true is None:
        raise DataError(
            f"{picture.name}: {score} needs the labelled body, and there is none or its model is not at hand; give the "
            "model's files"
        )
    return true


def _head(points: Tensor, weights: Tensor) -> float:
    """Neck to crown of LSP's joints, where no head was boxed."""
    neck, top = metrics.LSP_NECK, metrics.LSP_TOP
    return float((points[neck] - points[top]).norm()) if min(weights[neck], weights[top]) > 0 else math.nan
