"""Bodies of one model for all people of a data set, by conversion of its own bodies or fitted to its joints."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from nbf.body.model import BodyModel
from nbf.data.bodies import SetBodies
from nbf.data.joint_orders import ORDERS
from nbf.data.labelled import JointLabels, LabelledPerson, LabelledPicture
from nbf.data.placed import in_camera
from nbf.errors import DataError
from nbf.geometry import axis_angle_from_matrix
from nbf.solve.convert import Conversion
from nbf.solve.joints_3d import LEAST, NAMES, FromJoints

logger = logging.getLogger(__name__)

FARTHEST = {"body": 0.02, "joints": 0.05}
"""Metres of mean distance up to which a fit is good enough to learn from: of converted bodies, and of joints."""
BATCH = 64
_JOINTS = ("joints", "")
_NEEDED = [NAMES.index(f"{side}_{name}") for side in ("left", "right") for name in ("hip", "shoulder")]
# Where an order has them, under the names that a fit has for them.
_ALIASES = {"head": "head_top"}


@dataclass
class _Batch:
    """People who wait to be fitted together."""

    fit: Callable[..., tuple[Tensor, ...]]
    farthest: float
    who: list[tuple[str, int]] = field(default_factory=list)
    values: list[tuple[Tensor, ...]] = field(default_factory=list)


@dataclass
class Maker:
    """Makes bodies of a target model."""

    target: BodyModel
    target_name: str
    models: dict[tuple[str, str], BodyModel]
    """The models that labels are parameters of, by their name and gender (smpl, neutral)."""

    def __post_init__(self) -> None:
        self._conversions = {key: Conversion(model, self.target) for key, model in self.models.items()}
        self._from_joints = FromJoints(self.target)

    def bodies(self, data: str, pictures: Iterable[LabelledPicture]) -> SetBodies:
        """Bodies of everybody who has one, or joints enough, in the pictures of a data set.

        Raises:
            DataError: nobody has.
        """
        rows = list(self._rows(pictures))
        if not rows:
            known = ", ".join(" ".join(key) for key in self.models) or "none"
            raise DataError(
                f"{data}: expected people with joints in space, or bodies of a model that is at hand ({known}), got "
                "nobody; give the model's file"
            )
        names, person, betas, pose, translation, error, kept = zip(*rows)
        return SetBodies(
            data=data,
            body_name=self.target_name,
            names=np.array(names),
            person=np.array(person, np.int64),
            betas=np.stack(betas),
            pose=np.stack(pose),
            translation=np.stack(translation),
            error=np.array(error, np.float32),
            kept=np.array(kept, bool),
        )

    def _rows(self, pictures: Iterable[LabelledPicture]) -> Iterator[tuple]:
        """One person a row, in no order: those of one kind are fitted together."""
        waiting: dict[tuple[str, str], _Batch] = {}
        for picture in _readable(pictures):
            for index, person in enumerate(picture.people):
                asked = self._asked(person)
                if asked is None:
                    continue
                key, values = asked
                if key == _JOINTS:
                    batch = waiting.setdefault(key, _Batch(self._from_joints, FARTHEST["joints"]))
                else:
                    batch = waiting.setdefault(key, _Batch(self._conversions[key], FARTHEST["body"]))
                batch.who.append((picture.name, index))
                batch.values.append(values)
                if len(batch.who) == BATCH:
                    yield from _fitted(waiting.pop(key))
        for batch in waiting.values():
            yield from _fitted(batch)

    def _asked(self, person: LabelledPerson) -> tuple[tuple[str, str], tuple[Tensor, ...]] | None:
        """Which kind of fit there can be of a person, and of what; the body's before the joints'."""
        label = person.body
        model = None if label is None or not label.is_placed else self.models.get((label.model, label.gender))
        if label is not None and model is not None and len(label.betas) == model.shape_count:
            return (label.model, label.gender), in_camera(label, model)
        joints = None if person.joints_3d is None else _named(person.joints_3d)
        return None if joints is None else (_JOINTS, joints)


def _readable(pictures: Iterable[LabelledPicture]) -> Iterator[LabelledPicture]:
    """All that can be read; one broken label stops nobody."""
    rest = iter(pictures)
    while True:
        try:
            yield next(rest)
        except StopIteration:
            return
        except DataError as error:
            logger.warning("left out: %s", error)


def _fitted(batch: _Batch) -> Iterator[tuple]:
    betas, rotations, translation, error = batch.fit(*(torch.stack(values) for values in zip(*batch.values)))
    pose = axis_angle_from_matrix(rotations.double()).float()
    kept = (error < batch.farthest) & betas.isfinite().all(-1) & (translation[:, 2] > 0)
    yield from zip(
        *zip(*batch.who), *(value.numpy() for value in (betas, pose, translation)), error.tolist(), kept.tolist()
    )


def _named(labels: JointLabels) -> tuple[Tensor, Tensor] | None:
    """Joints under the names of a fit, and their weights; None where they are too few."""
    places = {_ALIASES.get(name, name): place for place, name in enumerate(ORDERS[labels.order])}
    places |= {name.removeprefix("smpl_"): place for name, place in places.items()}
    points, weights = np.zeros((len(NAMES), 3), np.float32), np.zeros(len(NAMES), np.float32)
    for row, name in enumerate(NAMES):
        if name in places and not (name in ("pelvis", "neck") and labels.order != "smpl24"):
            points[row], weights[row] = labels.points[places[name]], labels.weight[places[name]]
    if (weights > 0).sum() < LEAST or not (weights[_NEEDED] > 0).all():
        return None
    return torch.from_numpy(points), torch.from_numpy(weights)
