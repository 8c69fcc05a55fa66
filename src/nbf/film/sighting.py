"""What is kept of a person in one frame of a film: the fit, how sure it is, and what tells people apart."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from nbf.body.bodies import Bodies
from nbf.errors import InputError
from nbf.geometry import Crop, axis_angle_from_matrix, matrix_from_axis_angle
from nbf.people import People, Person
from nbf.pictures import Picture
from nbf.predictor import Predictor
from nbf.solve.together import Singles

BINS = 4
"""Of each of red, green and blue."""
GROUPS = ((1, 2), (13, 14), tuple(range(3, 13)), tuple(range(15, 25)))
"""Parts whose colours are counted together: head, torso, arms, legs."""


@dataclass(frozen=True)
class Sightings:
    """n people in a frame, or one person in n frames."""

    boxes: Float[Tensor, "n 4"]
    """Pixels."""
    scores: Float[Tensor, " n"]
    keypoints: Float[Tensor, "n 17 3"]
    """COCO-17, pixels, with scores."""
    colors: Float[Tensor, "n 4 k"]
    """Histograms of the groups' colours, each of sum 1, or 0 where a group is not seen."""
    bodies: Bodies
    root: Float[Tensor, "n p p"]
    """Upper triangular root R of the fits' precision, R^T R, over steps of the bodies (`Bodies.moved`)."""

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: slice | Tensor | list[int]) -> "Sightings":
        return Sightings(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def joined(cls, several: "Sequence[Sightings]") -> "Sightings":
        """All of them, in this order. There must be some."""

        def put(name: str) -> Tensor:
            return torch.cat([getattr(each, name) for each in several])

        bodies = Bodies(
            *(torch.cat([getattr(each.bodies, name) for each in several]) for name in ("betas", "rotations", "pelvis"))
        )
        return cls(put("boxes"), put("scores"), put("keypoints"), put("colors"), bodies, put("root"))

    @classmethod
    def of(cls, people: People, singles: dict[Person, Singles], shapes: int) -> "Sightings":
        """What was found in a frame.

        Raises:
            InputError: the method does not say how sure it is.
        """
        if len(singles) < len(people):
            raise InputError("method: expected one that says how sure it is of bodies; use the method nbf")
        rows = [cls._one(person, singles[person], people.picture) for person in people]
        return cls.joined(rows) if rows else cls.none(shapes)

    @classmethod
    def none(cls, shapes: int) -> "Sightings":
        """Nobody."""
        size = Bodies(torch.zeros(0, shapes), torch.zeros(0, 24, 3, 3), torch.zeros(0, 3))
        return cls(
            torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 17, 3), torch.zeros(0, len(GROUPS), BINS**3), size,
            torch.zeros(0, size.freedoms, size.freedoms),
        )  # fmt: skip

    @classmethod
    def _one(cls, person: Person, single: Singles, picture: Picture) -> "Sightings":
        precision = torch.linalg.inv(single.covariance.double())
        root = torch.linalg.cholesky(precision).mT.float()
        colors = part_colors(picture, person)[None]
        score = torch.tensor([person.score])
        return cls(person.box[None], score, person.keypoints[None], colors, single.bodies, root)

    def covariance(self) -> Float[Tensor, "n p p"]:
        """Of the fits, over steps of the bodies; float64."""
        return torch.linalg.inv(self.root.double().mT @ self.root.double())

    def arrays(self) -> dict[str, np.ndarray]:
        """As files keep them, in half the bytes where little is lost."""
        upper = torch.triu_indices(*self.root.shape[1:])
        return {
            "boxes": self.boxes.numpy(),
            "scores": self.scores.numpy(),
            "keypoints": self.keypoints.numpy(),
            "colors": self.colors.numpy().astype(np.float16),
            "betas": self.bodies.betas.numpy(),
            "poses": axis_angle_from_matrix(self.bodies.rotations).numpy(),
            "pelvis": self.bodies.pelvis.numpy(),
            # 16 bits are enough of a root, but not of what it is the root of.
            "root": self.root[:, upper[0], upper[1]].numpy().astype(np.float16),
        }

    @classmethod
    def of_arrays(cls, arrays: dict[str, np.ndarray]) -> "Sightings":
        """The inverse of `arrays`."""
        values = {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}
        bodies = Bodies(values["betas"], matrix_from_axis_angle(values["poses"]), values["pelvis"])
        upper = torch.triu_indices(bodies.freedoms, bodies.freedoms)
        root = torch.zeros(len(bodies.betas), bodies.freedoms, bodies.freedoms)
        root[:, upper[0], upper[1]] = values["root"]
        return cls(values["boxes"], values["scores"], values["keypoints"], values["colors"], bodies, root)


def look(predictor: Predictor, picture: Picture, **options: Any) -> tuple[People, Sightings]:
    """Everybody in a frame, as `Predictor.alone` finds them with these options."""
    people, singles = predictor.alone(picture, **options)
    return people, Sightings.of(people, singles, predictor.body.shape_count)


def part_colors(picture: Picture, person: Person) -> Float[Tensor, "4 k"]:
    """How often each colour is seen on head, torso, arms and legs."""
    parts = person.parts.probabilities.float()
    side = parts.shape[-1]
    crop = Crop(person.parts.crop.center[None], person.parts.crop.size[None], side)
    small = crop.sample(torch.from_numpy(picture.pixels).permute(2, 0, 1))[0]
    level = (small * BINS).long().clamp(0, BINS - 1)
    color = one_hot((level[0] * BINS + level[1]) * BINS + level[2], BINS**3).float().flatten(0, 1)
    shown = torch.stack([parts[list(group)].sum(0) for group in GROUPS]).flatten(1)
    counts = shown @ color
    total = counts.sum(1, keepdim=True)
    # Below a few cells there is nothing to tell people by.
    return torch.where(total > 4, counts / total.clamp_min(1e-6), 0.0)
