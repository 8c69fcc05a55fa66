"""One person over time, as files of animators hold it: one shape, a pose a frame. A still person has one frame."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.files import load_body
from nbf.body.model import BodyModel, BodyOutput, pose_joints, turn_about_origin
from nbf.people import Person

STILL_RATE = 30.0
"""Frames a second of files that must name a rate, where the person is still."""


@dataclass(frozen=True, eq=False)
class Motion:
    """One person over time. CPU tensors, metres, the OpenCV frame of a camera that stands still.

    Attributes:
        name: what files call the person.
        betas: (S,) shape, standard deviations.
        rotations: (t, 24, 3, 3) parent_from_joint; the root's is cam_from_body.
        translation: (t, 3) metres; moves the body's root, as in SMPL.
        frame_rate: frames a second; None for a still person.
        body: the body model that the parameters belong to; `body_name` is what files call it.
        start: the number of the first frame in the film.
    """

    name: str
    betas: Float[Tensor, " s"]
    rotations: Float[Tensor, "t 24 3 3"]
    translation: Float[Tensor, "t 3"]
    frame_rate: float | None
    body: BodyModel
    body_name: str
    start: int = 0

    @classmethod
    def of(cls, person: Person, name: str) -> "Motion":
        """Somebody in a photo."""
        return cls(
            name, person.betas, person.rotations[None], person.translation[None], None, person.body, person.body_name
        )

    def small(self) -> "Motion":
        """The same person with the small body of a bundled model, whose shapes and joints are the same."""
        return replace(self, body=load_body(self.body_name, "small"))

    def __len__(self) -> int:
        """The number of frames."""
        return len(self.rotations)

    @torch.no_grad()
    def posed(self, frames: slice = slice(None)) -> BodyOutput:
        """The body in these frames, camera frame, metres; all at once, so a long film wants a few at a time."""
        rotations, translation = self.rotations[frames], self.translation[frames]
        return self.body(self.betas.expand(len(rotations), -1), rotations, translation)

    @torch.no_grad()
    def joints(self) -> Float[Tensor, "t 24 3"]:
        """SMPL's 24 joints in each frame, camera frame, metres; without the mesh, so of a long film as well."""
        rest = self.body.rest_joints(self.betas).expand(len(self), 24, 3)
        return pose_joints(rest, self.rotations, self.translation)[1]

    @torch.no_grad()
    def moved(self, move: Float[Tensor, "4 4"]) -> "Motion":
        """The same in the frame that a rigid move, such as `grounded`, leads to."""
        pelvis = self.body.rest_joints(self.betas)[0].expand(len(self), 3)
        turn = move[:3, :3].expand(len(self), 3, 3)
        rotations, translation = turn_about_origin(turn, pelvis, self.rotations, self.translation)
        return replace(self, rotations=rotations, translation=translation + move[:3, 3])


def as_seen() -> Float[Tensor, "4 4"]:
    """world_from_camera of files that keep the camera's place: y up, the camera at the origin looking along -z."""
    return torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))


@torch.no_grad()
def grounded(motions: Sequence[Motion], up: Float[Tensor, "3"] | None = None) -> Float[Tensor, "4 4"]:
    """world_from_camera, a rigid move, of files that want people on the ground: y up, the lowest point of the first
    frames at y = 0, the first person facing +z, everybody's middle at x = z = 0.

    Args:
        motions: at least one.
        up: a unit vector in the camera frame; the camera's own without one.
    """
    up = torch.tensor([0.0, -1.0, 0.0]) if up is None else up
    facing = motions[0].rotations[0, 0, :, 2]
    ahead = facing - (facing @ up) * up
    if ahead.norm() < 1e-3:  # who lies faces up or down: their head points back or ahead
        head = motions[0].rotations[0, 0, :, 1] * -torch.sign(facing @ up)
        ahead = head - (head @ up) * up
    ahead = ahead / ahead.norm()
    turn = torch.stack([torch.linalg.cross(up, ahead), up, ahead])
    first = [motion.posed(slice(0, 1)) for motion in motions]
    points = torch.cat([each.vertices[0] for each in first]) @ turn.T
    pelvises = torch.stack([each.joints[0, 0] for each in first]) @ turn.T
    middle = pelvises.mean(0)
    move = torch.eye(4)
    move[:3, :3] = turn
    move[:3, 3] = -torch.stack([middle[0], points[:, 1].min(), middle[2]])
    return move
