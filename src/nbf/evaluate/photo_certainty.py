"""Whether what is said of joints in photos is so: the errors that are said against those that labels tell, and the
parts that are called guessed against what people saw.

Errors are in percent of the crop's side (the longer side of the person's box, times 1.2).
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from nbf.body.joints import COCO17, LIMB_JOINTS
from nbf.certainty import PARTS14
from nbf.data.human import HumanPhoto
from nbf.evaluate.report import Scores, percent, rounded
from nbf.people import People, Person
from nbf.render.reliability import reliability

ELLIPSES = (68, 95)
"""Percent of errors that ellipses of a normal distribution are to hold."""
_COCO_LIMBS = [COCO17.index(name) for name in LIMB_JOINTS]
# The parts that meet in a joint.
_MEETING = {
    "shoulder": ("torso", "upper_arm"), "elbow": ("upper_arm", "lower_arm"), "wrist": ("lower_arm", "hand"),
    "hip": ("torso", "upper_leg"), "knee": ("upper_leg", "lower_leg"), "ankle": ("lower_leg", "foot"),
}  # fmt: skip


def _parts_of(joint: str) -> list[int]:
    side, name = joint.split("_")
    return [PARTS14.index(part if part == "torso" else f"{side}_{part}") for part in _MEETING[name]]


_PARTS = torch.tensor([_parts_of(joint) for joint in LIMB_JOINTS])


@dataclass
class Sureness:
    """What was said of the limb joints of people, and what became of it."""

    said: list[Float[Tensor, "n 12"]] = field(default_factory=list)
    """Percent of the crop's side."""
    was: list[Float[Tensor, "n 12"]] = field(default_factory=list)
    """The same; nan where nobody labelled the joint."""
    distance: list[Float[Tensor, "n 12"]] = field(default_factory=list)
    """Squared Mahalanobis distance of the label under what was said."""
    guessed: list[Bool[Tensor, "n 12"]] = field(default_factory=list)
    """All parts that meet in the joint are called guessed."""
    visible: list[Bool[Tensor, "n 12"]] = field(default_factory=list)

    def add(self, photo: HumanPhoto, people: People, pair: Int64[Tensor, " n"]) -> None:
        """Count those labelled people of a photo whose `pair` among those found is not -1."""
        for row, index in enumerate(pair.tolist()):
            if index >= 0:
                self._add(photo.joints[row], photo.visible[row], people[index])

    def _add(self, labels: Float[Tensor, "12 3"], visible: Bool[Tensor, "12"], person: Person) -> None:
        certainty = person.certainty
        missed = person.joints_2d("coco17")[_COCO_LIMBS] - labels[:, :2]
        missed = torch.where(labels[:, 2:] > 0, missed, torch.nan)
        covariance = certainty.keypoint_covariance[_COCO_LIMBS]
        scale = 100 / float(person.parts.crop.size)
        self.said.append(scale * certainty.keypoint_error[_COCO_LIMBS])
        self.was.append(scale * missed.norm(dim=-1))
        self.distance.append((missed * torch.linalg.solve(covariance, missed)).sum(-1))
        self.guessed.append(certainty.guessed[_PARTS].all(1))
        self.visible.append(visible)

    def pairs(self) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
        """Errors said and true of all labelled joints of whom something was said."""
        said, was = torch.stack(self.said), torch.stack(self.was)
        counted = (said + was).isfinite()
        return said[counted], was[counted]

    def report(self, *, visibility: bool) -> dict[str, Any]:
        """The numbers of docs/benchmark.md; with `visibility` those that need to know which joints people saw."""
        if not self.said:
            return {}
        guessed, visible = torch.stack(self.guessed), torch.stack(self.visible)
        kinds = {"all": torch.ones_like(guessed), "guessed": guessed, "not guessed": ~guessed}
        if visibility:
            kinds |= {"seen by people": visible, "hidden": ~visible}
        for name in _MEETING:
            kinds[name] = torch.tensor([joint.endswith(name) for joint in LIMB_JOINTS]).expand_as(guessed)
        scores: dict[str, Any] = {"errors": {name: self._errors(some) for name, some in kinds.items()}}
        scores["reliability"] = [[rounded(a), rounded(b), n] for a, b, n in reliability(*self.pairs())]
        if visibility:
            both = float((guessed & ~visible).sum())
            scores["guessed_precision"] = percent(both / max(int(guessed.sum()), 1))
            scores["guessed_recall"] = percent(both / max(int((~visible).sum()), 1))
        return scores

    def _errors(self, some: Bool[Tensor, "n 12"]) -> Scores:
        """Of some of the labelled joints."""
        said, was, distance = (torch.stack(each)[some] for each in (self.said, self.was, self.distance))
        counted = (said + was).isfinite()
        within = {
            # The squared distance has a chi-square distribution with two degrees of freedom.
            f"within_{share}": percent(float((distance[counted] <= -2 * math.log(1 - share / 100)).float().mean()))
            for share in ELLIPSES
        }
        means = {"said": rounded(float(said[counted].mean())), "was": rounded(float(was[counted].mean()))}
        return {"joints": int(counted.sum())} | means | within
