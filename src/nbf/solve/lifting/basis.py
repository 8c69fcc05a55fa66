"""Bases of poses: what every lifted pose is a sum of few of; learnt by tools/bake_pose_basis.py.

A pose is 41 points of the average body: COCO's 17 keypoints, then SMPL's 24 joints, metres, relative to the pelvis,
turned as a whole onto the mean pose, so that which way somebody faces belongs to the camera alone. The frame is the
body's (y up, facing +z). The bases hold the mirror image of each of their members.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jaxtyping import Float, Inexact
from safetensors.torch import load_file, save_file
from torch import Tensor

from nbf.body.joints import COCO17, MIRROR_COCO17, MIRROR_SMPL24, PARENTS, SMPL24
from nbf.geometry import project_to_rotation

ASSET = Path(__file__).resolve().parents[2] / "assets" / "pose_basis.safetensors"
SEEN = slice(0, 17)
"""The points of a pose that pictures show, COCO's."""
JOINTS = slice(17, 41)
"""The points of a pose that are the body's joints, SMPL's."""
MIRROR_POINTS = (*MIRROR_COCO17, *(17 + joint for joint in MIRROR_SMPL24))
BONES = ([17 + parent for parent in PARENTS[1:]], list(range(18, 41)))
"""Points at which the 23 bones begin and end."""


def point(name: str) -> int:
    """Where a joint of SMPL, or else a keypoint of COCO, stands among the 41 points."""
    return 17 + SMPL24.index(name) if name in SMPL24 else COCO17.index(name)


@dataclass(frozen=True)
class PoseBasis:
    """What the methods are to know of poses."""

    mean: Float[Tensor, "41 3"]
    """Metres; its own mirror image."""
    lengths: Float[Tensor, "23"]
    """Of the average body's bones, metres."""
    deviations: Float[Tensor, "k 41 3"]
    """Of unit length; poses are the mean and a few of these, times factors of either sign, in metres."""
    shapes: Float[Tensor, "m 41 3"]
    """Of unit length; poses are a few of these, times positive factors, in metres."""
    limbs: Float[Tensor, "4 n 6"]
    """How limbs are held, in the order of `nbf.solve.lifting.limits.KINDS`."""
    reach: Float[Tensor, "4"]
    """No training pose holds a limb farther than this from the nearest of those."""

    @classmethod
    @cache
    def load(cls, path: Path = ASSET) -> "PoseBasis":
        """What `save` wrote: the bundled bases."""
        return cls(**{name: value.float() for name, value in load_file(path).items()})

    def save(self, path: Path) -> None:
        """Write as float16 safetensors."""
        save_file({name: value.half().contiguous() for name, value in vars(self).items()}, path)

    def to(self, like: Tensor) -> "PoseBasis":
        """With the type and on the device of another tensor."""
        return PoseBasis(**{name: value.to(like) for name, value in vars(self).items()})


def bones(points: Float[Tensor, "*b 41 3"]) -> Float[Tensor, "*b 23 3"]:
    """The 23 bones as vectors."""
    start, end = BONES
    return points[..., end, :] - points[..., start, :]


def mirrored(points: Inexact[Tensor, "*b 41 3"]) -> Inexact[Tensor, "*b 41 3"]:
    """Mirror images of poses, or of parts of a basis."""
    return points[..., list(MIRROR_POINTS), :] * points.real.new_tensor([-1.0, 1.0, 1.0])


def turned_onto(points: Float[Tensor, "*b 41 3"], target: Float[Tensor, "41 3"]) -> Float[Tensor, "*b 41 3"]:
    """Poses turned about the pelvis to be nearest to another one."""
    return points @ project_to_rotation(target.mT @ points).mT
