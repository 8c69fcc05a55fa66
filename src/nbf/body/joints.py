"""Names, order, tree and mirror images of the joint sets: SMPL's 24, COCO's 17 and LSP's 14.

Sources: SMPL (Loper et al., SIGGRAPH Asia 2015), COCO keypoints (Lin et al., ECCV 2014), Leeds Sports Pose (Johnson &
Everingham, BMVC 2010). `left_*` is the person's own left.
"""

import torch
from jaxtyping import Float
from torch import Tensor

SMPL24 = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hand",
    "right_hand",
)
# Parent of each SMPL joint; the root's is -1.
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

COCO17 = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)

COCO_LEFT_SHOULDER, COCO_RIGHT_HIP = COCO17.index("left_shoulder"), COCO17.index("right_hip")

LSP14 = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "neck",
    "head_top",
)

LIMB_JOINTS = tuple(name for name in LSP14 if name in COCO17)
"""The twelve joints that COCO and LSP both name: shoulders, elbows, wrists, hips, knees and ankles."""

JOINT_SETS = {"smpl24": SMPL24, "coco17": COCO17, "lsp14": LSP14}


def _mirror(names: tuple[str, ...]) -> tuple[int, ...]:
    swap = {"left": "right", "right": "left"}
    partner = ["_".join(swap.get(word, word) for word in name.split("_")) for name in names]
    return tuple(names.index(name) for name in partner)


# MIRROR[kind][k] is the joint that joint k becomes in a mirror.
MIRROR = {kind: _mirror(names) for kind, names in JOINT_SETS.items()}
MIRROR_SMPL24, MIRROR_COCO17, MIRROR_LSP14 = MIRROR["smpl24"], MIRROR["coco17"], MIRROR["lsp14"]


def _levels() -> tuple[tuple[int, ...], ...]:
    depth = [0]
    for parent in PARENTS[1:]:
        depth.append(depth[parent] + 1)
    return tuple(tuple(j for j, d in enumerate(depth) if d == level) for level in range(max(depth) + 1))


# Joints by distance from the root: all of one level can be posed at once.
LEVELS = _levels()

PARENT = torch.tensor((0, *PARENTS[1:]))
"""The parent of each joint, for indexing; the root's is itself."""
_MIRROR = torch.tensor(MIRROR_SMPL24)


def _ancestry() -> Tensor:
    table = torch.eye(24)
    for joint, parent in enumerate(PARENTS[1:], start=1):
        table[joint] += table[parent]
    return table


_ANCESTRY = _ancestry()


def ancestry(like: Tensor) -> Float[Tensor, "24 24"]:
    """1 where column a is joint k (the row) or above it."""
    return _ANCESTRY.to(like)


def _doublings() -> tuple[tuple[int, Tensor], ...]:
    """Of each round of `world_rotations`: the first joint that has an ancestor so far up, and those of it and the next
    ones. Joints are in the order of their levels."""
    above, rounds, far = list(PARENTS), [], 1
    while far < len(LEVELS):
        first = sum(map(len, LEVELS[:far]))
        rounds.append((first, torch.tensor(above[first:])))
        above, far = [-1 if joint < 0 else above[joint] for joint in above], 2 * far
    return tuple(rounds)


_DOUBLINGS = _doublings()


def world_rotations(local: Float[Tensor, "*batch 24 3 3"]) -> Float[Tensor, "*batch 24 3 3"]:
    """Each joint's rotation in the root's frame of reference, from rotations relative to the parent joint.

    By pointer doubling (Wyllie 1979): each round, what a joint holds of its chain becomes twice as long.
    """
    world = local
    for first, above in _DOUBLINGS:
        upper = world.index_select(-3, above.to(world.device))
        world = torch.cat([world[..., :first, :, :], upper @ world[..., first:, :, :]], -3)
    return world


def local_rotations(world: Float[Tensor, "*batch 24 3 3"]) -> Float[Tensor, "*batch 24 3 3"]:
    """Rotations relative to the parent joint: the inverse of `world_rotations`."""
    above = world.index_select(-3, PARENT[1:].to(world.device))
    return torch.cat([world[..., :1, :, :], above.transpose(-1, -2) @ world[..., 1:, :, :]], -3)


def mirror_rotations(rotations: Float[Tensor, "*batch 24 3 3"]) -> Float[Tensor, "*batch 24 3 3"]:
    """Joint rotations of the mirror image of a pose (through the plane x = 0).

    Left and right swap and R becomes S R S with S = diag(-1, 1, 1). The formula holds for the root in any frame whose x
    axis flips in the mirror, so also for the OpenCV camera frame.
    """
    flip = rotations.new_tensor([-1.0, 1.0, 1.0])
    return rotations.index_select(-3, _MIRROR.to(rotations.device)) * flip[:, None] * flip


def torso_length(keypoints: Float[Tensor, "*b 17 2"]) -> Float[Tensor, "*b"]:
    """Left shoulder to right hip of COCO-17, in the unit of the points: PCK@0.2's reference (Sapp & Taskar, "MODEC",
    CVPR 2013)."""
    return (keypoints[..., COCO_LEFT_SHOULDER, :] - keypoints[..., COCO_RIGHT_HIP, :]).norm(dim=-1)
