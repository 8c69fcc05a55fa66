"""Bodies before a camera: shape, pose and place, one point of a manifold with tangent steps."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nbf.body.model import BodyModel, BodyOutput
from nbf.geometry import matrix_from_axis_angle, project_to_rotation

TURNS = slice(0, 72)
"""Columns of a step: turns of the 24 joints, radians, each about the axes of the joint's own (turned) frame."""
PLACE = slice(72, 75)
"""Columns of a step: change of x/z, y/z and log z of the pelvis."""
DEPTH = 74
"""The column of a step that changes log z."""
SHAPE_START = 75
"""First column of a step that changes betas; there are as many as shape components."""


@dataclass(frozen=True)
class Bodies:
    """b bodies before a camera."""

    betas: Float[Tensor, "b s"]
    """Standard deviations of shape."""
    rotations: Float[Tensor, "b 24 3 3"]
    """parent_from_joint; the root's is cam_from_body."""
    pelvis: Float[Tensor, "b 3"]
    """The pelvis joint in camera metres, z > 0."""

    @classmethod
    def placed(
        cls,
        body: BodyModel,
        betas: Float[Tensor, "b s"],
        rotations: Float[Tensor, "b 24 3 3"],
        translation: Float[Tensor, "b 3"],
    ) -> "Bodies":
        """From what files hold; the inverse of `translation`."""
        return cls(betas, rotations, translation + body.rest_joints(betas)[:, 0])

    @property
    def freedoms(self) -> int:
        """Length of a step: 72 turns, 3 of place, then the betas."""
        return SHAPE_START + self.betas.shape[1]

    def moved(self, step: Float[Tensor, "b p"]) -> "Bodies":
        """The state a step away: R exp(turn) for every rotation, the rest added. Depth cannot become negative."""
        turns = matrix_from_axis_angle(step[:, TURNS].unflatten(1, (24, 3)))
        ray, depth = self.pelvis[:, :2] / self.pelvis[:, 2:], self.pelvis[:, 2:]
        depth = depth * step[:, PLACE][:, 2:].exp()
        pelvis = torch.cat([(ray + step[:, PLACE][:, :2]) * depth, depth], dim=1)
        return Bodies(self.betas + step[:, SHAPE_START:], self.rotations @ turns, pelvis)

    def chosen(self, other: "Bodies", where: Bool[Tensor, " b"]) -> "Bodies":
        """`other` for the people at `where`, this state for the rest."""
        return Bodies(
            torch.where(where[:, None], other.betas, self.betas),
            torch.where(where[:, None, None, None], other.rotations, self.rotations),
            torch.where(where[:, None], other.pelvis, self.pelvis),
        )

    def orthonormal(self) -> "Bodies":
        """The same with rounding errors of many steps taken out of the rotations."""
        return Bodies(self.betas, project_to_rotation(self.rotations), self.pelvis)

    def __getitem__(self, people: slice | Tensor) -> "Bodies":
        return Bodies(self.betas[people], self.rotations[people], self.pelvis[people])

    def translation(self, body: BodyModel) -> Float[Tensor, "b 3"]:
        """What `BodyModel.forward` adds last: SMPL's root turns about its own joint, which lands at joint + this."""
        return self.pelvis - body.rest_joints(self.betas)[:, 0]

    def posed(self, body: BodyModel) -> BodyOutput:
        """The bodies in the camera frame."""
        return body(self.betas, self.rotations, self.translation(body))
