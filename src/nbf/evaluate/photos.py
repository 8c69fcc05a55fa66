"""Photos of varied poses, from picture to mesh: people found and joints met, against what people labelled.

Nothing is given to the predictor but the picture. Beside its numbers stand those of the teachers that labelled the
training photos, by the same rules: some human labels are wrong, and joints are defined a little differently.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from nbf.body.joints import COCO17, LIMB_JOINTS
from nbf.data.human import HumanPhoto, Sightings
from nbf.evaluate import metrics
from nbf.evaluate.detection import RIGHT, WRONG, assign, calibration, judge
from nbf.evaluate.photo_certainty import Sureness
from nbf.evaluate.report import Scores, percent, rounded
from nbf.evaluate.sheet import Entry, photo_entry, spread
from nbf.nets.locator import box_iou
from nbf.people import People
from nbf.predictor import Predictor

PERSON_OVERLAP, BOX_OVERLAP = 0.1, 0.4
"""IoU with a labelled box from which joints are compared, and from which a box is right."""
PERSON_SIDE, BOX_SIDE = 80.0, 60.0
"""Pixels of the longer side of a box from which COCO's people are measured by their joints, and by their boxes."""
LEAST_JOINTS = 6
"""Labelled limb joints, shoulders and hips among them, from which COCO's people are measured by their joints."""
TEACHER_SCORE, SURE_TEACHER_SCORE = 0.1, 0.15
"""Score from which a teacher's box is measured, and from which it makes a box on it that nobody labelled no mistake."""
_COCO_LIMBS = [COCO17.index(name) for name in LIMB_JOINTS]
_TRUNK = [LIMB_JOINTS.index(f"{side}_{name}") for side in ("left", "right") for name in ("shoulder", "hip")]


@dataclass(frozen=True)
class Findings:
    """What a predictor found in a photo, by the joints of its meshes and by those that it saw in the picture."""

    mesh: Sightings
    seen: Sightings

    @staticmethod
    def of(people: People) -> "Findings":
        boxes = torch.stack([person.box for person in people]) if people else torch.zeros(0, 4)
        scores = torch.tensor([float(person.score) for person in people])
        mesh, seen = (
            torch.stack([row[_COCO_LIMBS, :2] for row in rows]) if rows else torch.zeros(0, len(LIMB_JOINTS), 2)
            for rows in ([person.joints_2d("coco17") for person in people], [person.keypoints for person in people])
        )
        return Findings(Sightings(boxes, scores, mesh), Sightings(boxes, scores, seen))


@dataclass
class Joints:
    """Joints met over the people of one set, by the mesh, by the 2D keypoints and by the teachers."""

    people: int = 0
    missed: int = 0
    """People on whom nobody was found."""
    met: dict[str, list[Tensor]] = field(default_factory=lambda: {"mesh": [], "keypoints": [], "teachers": []})

    def add(self, photo: HumanPhoto, found: Findings, counted: Bool[Tensor, " n"]) -> Bool[Tensor, " k"]:
        """Count some people of a photo; returns which of their labelled joints the meshes met."""
        labelled = photo.joints[..., 2] > 0
        for name, sightings in (("mesh", found.mesh), ("keypoints", found.seen), ("teachers", photo.teachers)):
            pair = _pairs(photo, sightings)
            self.met[name].append(_met(photo, sightings, pair)[counted][labelled[counted]])
        self.people += int(counted.sum())
        self.missed += int((_pairs(photo, found.mesh)[counted] < 0).sum())
        return self.met["mesh"][-1]

    def scores(self, name: str) -> Scores:
        shares = {kind: percent(float(torch.cat(met).float().mean())) for kind, met in self.met.items() if met}
        return {
            f"{name}_people": self.people,
            f"{name}_missed": self.missed,
            **{f"{name}_pck20_trunk_{kind}": share for kind, share in shares.items()},
        }


@dataclass
class Boxes:
    """Right and wrong boxes of one method over the photos of a set."""

    people: int = 0
    verdicts: list[Tensor] = field(default_factory=list)
    forgiving: list[Tensor] = field(default_factory=list)
    """The same, where boxes on people whom the teachers alone saw are neither right nor wrong."""
    scores: list[Tensor] = field(default_factory=list)

    def add(self, photo: HumanPhoto, found: Sightings) -> None:
        counted = (photo.boxes[:, 2:] - photo.boxes[:, :2]).amax(1) >= BOX_SIDE
        self.people += int(counted.sum())
        self.scores.append(found.scores)
        others = photo.teachers.boxes[photo.teachers.scores >= SURE_TEACHER_SCORE]
        others = others[(box_iou(others, photo.boxes) < BOX_OVERLAP).all(1)]
        known = torch.cat([photo.boxes, others]), torch.cat([counted, torch.zeros(len(others), dtype=torch.bool)])
        for verdicts, (true, which) in ((self.verdicts, (photo.boxes, counted)), (self.forgiving, known)):
            verdicts.append(judge(found.boxes, true, which, overlap=BOX_OVERLAP, least_side=BOX_SIDE))

    @property
    def recall(self) -> float:
        return percent(int((torch.cat(self.verdicts) == RIGHT).sum()) / max(self.people, 1))

    @staticmethod
    def precision(verdicts: list[Tensor]) -> float:
        right, wrong = (int((torch.cat(verdicts) == verdict).sum()) for verdict in (RIGHT, WRONG))
        return percent(right / max(right + wrong, 1))

    def reliability(self) -> tuple[list[tuple[float, float, int]], float]:
        """`calibration` of the boxes that are right or wrong, forgivingly."""
        verdicts = torch.cat(self.forgiving)
        judged = (verdicts == RIGHT) | (verdicts == WRONG)
        return calibration(torch.cat(self.scores)[judged], verdicts[judged] == RIGHT)


@dataclass
class Ruler:
    """All that is counted over the photos."""

    lspet: Joints = field(default_factory=Joints)
    nobody: int = 0
    """Photos of lspet in which nobody at all was found."""
    coco: Joints = field(default_factory=Joints)
    found: Boxes = field(default_factory=Boxes)
    teachers: Boxes = field(default_factory=Boxes)
    empty: int = 0
    false: int = 0
    """Pictures without people, and how many of them have somebody found in them."""

    def add_lspet(self, photo: HumanPhoto, found: Findings) -> Bool[Tensor, " k"]:
        """Count a photo; returns which of the labelled joints that count the meshes met."""
        self.nobody += not len(found.mesh.boxes)
        return self.lspet.add(photo, found, torch.ones(len(photo.boxes), dtype=torch.bool))

    def add_coco(self, photo: HumanPhoto, found: Findings) -> Bool[Tensor, " k"]:
        """Count a photo; returns which of the labelled joints that count the meshes met."""
        self.found.add(photo, found.mesh)
        self.teachers.add(photo, photo.teachers[photo.teachers.scores >= TEACHER_SCORE])
        return self.coco.add(photo, found, _measured(photo))

    def add_empty(self, found: Findings) -> None:
        self.empty += 1
        self.false += len(found.mesh.boxes) > 0

    def report(self) -> dict[str, Any]:
        bins, error = self.found.reliability()
        return {
            **self.lspet.scores("lspet"),
            "lspet_nobody": self.nobody,
            **self.coco.scores("coco"),
            "coco_boxes": self.found.people,
            "coco_recall": self.found.recall,
            "coco_recall_teachers": self.teachers.recall,
            "coco_precision": self.found.precision(self.found.verdicts),
            "coco_precision_teachers": self.teachers.precision(self.teachers.verdicts),
            "coco_precision_forgiving": self.found.precision(self.found.forgiving),
            "empty_photos": self.empty,
            "empty_false": percent(self.false / max(self.empty, 1)),
            "calibration_error": percent(error),
            "reliability": [(round(said, 3), round(was, 3), count) for said, was, count in bins],
        }


def evaluate_photos(
    predictor: Predictor,
    lspet: Iterable[HumanPhoto],
    coco: Iterable[HumanPhoto],
    empty: Iterable[Path],
    *,
    keep: bool = False,
) -> tuple[dict[str, Any], list[Entry], Sureness]:
    """Find people in photos and measure them by human labels; docs/benchmark.md explains every number.

    Args:
        predictor: what is measured, as `predict` works by default.
        lspet, coco: photos with labelled people, measured by the rules of their set.
        empty: pictures with nobody in them.
        keep: make entries of a contact sheet.

    Returns:
        The scores; about 30 photos for a contact sheet, evenly spaced through the ranking by the share of joints
        met, the worst first, none without `keep`; and what was said of the joints of coco.
    """
    ruler, start = Ruler(), time.perf_counter()
    lspet_sureness, coco_sureness = Sureness(), Sureness()
    entries: list[Entry] = []
    ranks: list[float] = []
    for photos, add, sureness in (
        (lspet, ruler.add_lspet, lspet_sureness),
        (coco, ruler.add_coco, coco_sureness),
    ):
        for photo in photos:
            people = predictor.predict(photo.path)
            found = Findings.of(people)
            met = add(photo, found)
            sureness.add(photo, people, torch.where(_large(photo), _pairs(photo, found.mesh), -1))
            if keep and len(met):
                ranks.append(-float(met.float().mean()))
                entries.append(_entry(photo, people, met))
    for path in empty:
        ruler.add_empty(Findings.of(predictor.predict(path)))
    report = ruler.report() | {"seconds": rounded(time.perf_counter() - start)}
    report["lspet_certainty"] = lspet_sureness.report(visibility=False)
    report["coco_certainty"] = coco_sureness.report(visibility=True)
    return report, [entries[index] for index in spread(ranks)] if keep else [], coco_sureness


def _large(photo: HumanPhoto) -> Bool[Tensor, " n"]:
    return (photo.boxes[:, 2:] - photo.boxes[:, :2]).amax(1) >= PERSON_SIDE


def _measured(photo: HumanPhoto) -> Bool[Tensor, " n"]:
    """Whom of COCO's people the joints are measured of."""
    labelled = photo.joints[..., 2] > 0
    return _large(photo) & labelled[:, _TRUNK].all(1) & (labelled.sum(1) >= LEAST_JOINTS)


def _pairs(photo: HumanPhoto, found: Sightings) -> Tensor:
    return assign(box_iou(photo.boxes, found.boxes), PERSON_OVERLAP)


def _met(photo: HumanPhoto, found: Sightings, pair: Tensor) -> Bool[Tensor, "n 12"]:
    """Whether each person's joints lie within a fifth of the trunk of their labels; never where nobody was found."""
    nowhere = torch.full((1, len(LIMB_JOINTS), 2), torch.nan)
    placed = torch.cat([found.joints, nowhere])[pair]
    return metrics.pck(placed, photo.joints[..., :2], trunk_length(photo.joints[..., :2]), 0.2)


def trunk_length(joints: Float[Tensor, "n 12 2"]) -> Float[Tensor, " n"]:
    """Shoulder to hip, the mean of both sides, in pixels; `LIMB_JOINTS`.

    The yardstick of the README's figures: stricter than `metrics.torso_length`, which crosses the trunk.
    """
    left_shoulder, left_hip, right_shoulder, right_hip = joints[:, _TRUNK].unbind(1)
    return ((left_shoulder - left_hip).norm(dim=-1) + (right_shoulder - right_hip).norm(dim=-1)) / 2


def _entry(photo: HumanPhoto, people: People, met: Bool[Tensor, " k"]) -> Entry:
    image = torch.from_numpy(np.array(Image.open(photo.path).convert("RGB"))).permute(2, 0, 1)
    height, width = image.shape[1:]
    return photo_entry(
        image,
        torch.tensor([0.0, 0.0, width, height]),
        [(person.parts.probabilities, person.parts.crop) for person in people],
        torch.stack([person.vertices for person in people]) if people else torch.zeros(0, 0, 3),
        people.camera,
        f"{photo.name}: PCK {int(met.sum())}/{len(met)}",
    )
