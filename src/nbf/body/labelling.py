"""Which of the 24 parts each face of a T-posed body belongs to, from its skinning and the way it faces."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nbf.body.parts import PARTS24

# Part of the surface that follows each SMPL joint; {side} parts are split further below.
_PART_OF_JOINT = (
    ("torso", (0, 3, 6, 9, 13, 14)),
    ("face", (12, 15)),
    ("left_upper_arm", (16,)),
    ("right_upper_arm", (17,)),
    ("left_lower_arm", (18,)),
    ("right_lower_arm", (19,)),
    ("left_hand", (20, 22)),
    ("right_hand", (21, 23)),
    ("left_upper_leg", (1,)),
    ("right_upper_leg", (2,)),
    ("left_lower_leg", (4,)),
    ("right_lower_leg", (5,)),
    ("left_foot", (7, 10)),
    ("right_foot", (8, 11)),
)
# Rounds of averaging of normals over neighbouring faces, so that front and back part along a clean line.
_SMOOTHING = 6


def label_faces(
    template: Float[Tensor, "v 3"], faces: Int64[Tensor, "f 3"], weights: Float[Tensor, "v 24"]
) -> Int64[Tensor, "f"]:
    """Part 1..24 of every face of a T-posed body (y up, facing +z) with dense skinning weights.

    The limb is the one whose joints move the face most; front and back are told by the smoothed normal, the halves of
    the face by the side of x = 0 that the face lies on.
    """
    corners = template[faces]
    pull = torch.stack([weights[faces][..., list(joints)].sum((-1, -2)) for _, joints in _PART_OF_JOINT], -1)
    limb = pull.argmax(-1)
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    for _ in range(_SMOOTHING):
        sums = torch.zeros_like(template).index_add(0, faces.flatten(), normals.repeat_interleave(3, 0))
        normals = torch.nn.functional.normalize(sums[faces].sum(1), dim=-1)
    front = normals[:, 2] > 0
    left = corners[..., 0].mean(1) > 0
    labels = torch.zeros(len(faces), dtype=torch.int64)
    for index, (name, _) in enumerate(_PART_OF_JOINT):
        if name == "face":
            yes, no, where = "left_face", "right_face", left
        elif name in PARTS24:
            yes, no, where = name, name, front
        else:
            yes, no, where = f"{name}_front", f"{name}_back", front
        part = torch.where(where, PARTS24.index(yes), PARTS24.index(no))
        labels = torch.where(limb == index, part, labels)
    return labels
