"""The body model M(betas, rotations): blend shapes, a tree of 24 joints and linear blend skinning.

Source: SMPL (Loper et al., SIGGRAPH Asia 2015), whose structure and conventions this follows; the default body that is
loaded into it is made from Anny (Brégier et al., 2025).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from nbf.arguments import shown
from nbf.body.joints import PARENT, ancestry, world_rotations
from nbf.errors import InputError

# Bodies skinned at a time on a CPU: their blended transforms (12 numbers a vertex) then stay in its cache.
_SKIN_CHUNK = 2


@dataclass(frozen=True)
class BodyOutput:
    """Posed bodies, metres, in the frame that the root rotation and the translation lead to."""

    vertices: Float[Tensor, "*batch v 3"]
    joints: Float[Tensor, "*batch 24 3"]
    """SMPL's 24 joints."""
    transforms: Float[Tensor, "*batch 24 3 4"]
    """Each joint's rigid motion from the T-posed body of that shape to the posed one."""


@dataclass(frozen=True)
class BodyData:
    """What makes a body model; v vertices, f faces, s shape components, k joints a vertex, u texture points."""

    template: Float[Tensor, "v 3"]
    """T-posed body at betas = 0, metres, y up, facing +z."""
    shape_dirs: Float[Tensor, "v 3 s"]
    """Metres per standard deviation of each shape component."""
    joint_template: Float[Tensor, "24 3"]
    joint_dirs: Float[Tensor, "24 3 s"]
    skin_joints: Int64[Tensor, "v k"]
    skin_weights: Float[Tensor, "v k"]
    """Sums to one over k."""
    faces: Int64[Tensor, "f 3"]
    """Counter-clockwise from outside."""
    uv: Float[Tensor, "u 2"]
    """Texture points, origin at the lower left corner of the picture (OBJ)."""
    faces_uv: Int64[Tensor, "f 3"]
    face_parts: Int64[Tensor, "f"]
    """Label 1..24 of nbf.body.parts."""
    bounds: Float[Tensor, "2 3"]
    """Corners of the box that surface coordinates are measured in."""
    keypoint_vertices: Int64[Tensor, "31 c"]
    """The vertices whose weighted mean is each keypoint: COCO's 17, then LSP's 14."""
    keypoint_weights: Float[Tensor, "31 c"]
    shape_samples: Float[Tensor, "n s"]
    """Draws of betas from the population."""
    shape_info: Float[Tensor, "n 4"]
    """For each draw: age in years, gender (0 male .. 1 female), height in metres, mass in kilograms; nan if unknown."""
    pose_dirs: Float[Tensor, "v 3 207"] | None = None
    """Metres per entry of the 23 rotation matrices less identity (SMPL's pose blend shapes)."""


class BodyModel(nn.Module):
    """A parametric body as a module whose tensors are buffers, so `.to(device, dtype)` moves all of it."""

    template: Tensor
    shape_dirs: Tensor
    joint_template: Tensor
    joint_dirs: Tensor
    skin_joints: Tensor
    skin_weights: Tensor
    faces: Tensor
    uv: Tensor
    faces_uv: Tensor
    face_parts: Tensor
    bounds: Tensor
    surface: Tensor
    keypoint_vertices: Tensor
    keypoint_weights: Tensor
    shape_samples: Tensor
    shape_info: Tensor
    pose_dirs: Tensor | None
    dense_weights: Tensor

    def __init__(self, data: BodyData) -> None:
        super().__init__()
        for name, value in vars(data).items():
            self.register_buffer(name, value)
        low, high = data.bounds
        self.register_buffer("surface", ((data.template - low) / (high - low)).clamp(0, 1))
        self.register_buffer("dense_weights", dense_weights(data.skin_joints, data.skin_weights), persistent=False)

    @property
    def shape_count(self) -> int:
        """Number of shape components S."""
        return self.shape_dirs.shape[-1]

    def rest_joints(self, betas: Float[Tensor, "*batch s"]) -> Float[Tensor, "*batch 24 3"]:
        """Joints of the T-posed body of each shape, metres."""
        return self.joint_template + (betas @ self.joint_dirs.flatten(0, 1).T).unflatten(-1, (24, 3))

    def rest_vertices(self, betas: Float[Tensor, "*batch s"]) -> Float[Tensor, "*batch v 3"]:
        """The T-posed body of each shape, metres."""
        return self.template + (betas @ self.shape_dirs.flatten(0, 1).T).unflatten(-1, self.template.shape)

    def forward(
        self,
        betas: Float[Tensor, "*batch s"],
        rotations: Float[Tensor, "*batch 24 3 3"],
        translation: Float[Tensor, "*batch 3"],
    ) -> BodyOutput:
        """Posed bodies.

        `betas` are standard deviations of shape. `rotations` turn each joint relative to its parent, about axes that
        are the world's in the T-pose; the root turns about the pelvis joint of the shape (SMPL). `translation` is
        added last.

        Raises InputError where the number of shape components is not the model's, or an argument has another shape.
        """
        for name, value, ends in (("rotations", rotations, (24, 3, 3)), ("translation", translation, (3,))):
            if not all(isinstance(given, Tensor) for given in (betas, value)) or value.shape != betas.shape[:-1] + ends:
                raise InputError(
                    f"{name}: expected tensors (*batch, {', '.join(map(str, ends))}) beside betas (*batch, s), got "
                    f"{shown(value)} beside {shown(betas)}"
                )
        if betas.shape[-1] != self.shape_count:
            raise InputError(
                f"betas: expected {self.shape_count} shape components in the last dimension, got {betas.shape[-1]}; "
                "this body model's `shape_count` says how many to give"
            )
        transforms, joints = pose_joints(self.rest_joints(betas), rotations, translation)
        rest = self.rest_vertices(betas)
        if self.pose_dirs is not None:
            bend = (rotations[..., 1:, :, :] - torch.eye(3, dtype=rotations.dtype, device=rotations.device)).flatten(-3)
            rest = rest + (bend @ self.pose_dirs.flatten(0, 1).T).unflatten(-1, self.template.shape)
        return BodyOutput(_skin(rest, self.dense_weights, transforms), joints, transforms)

    def keypoints(self, output: BodyOutput, kind: str) -> Float[Tensor, "*batch k 3"]:
        """Keypoints of posed bodies; kind: smpl24 (the model's joints), coco17 or lsp14 (read off the surface)."""
        if kind == "smpl24":
            return output.joints
        if kind not in ("coco17", "lsp14"):
            raise InputError(f"keypoint kind: expected smpl24, coco17 or lsp14, got {kind!r}")
        rows = slice(0, 17) if kind == "coco17" else slice(17, 31)
        picked = output.vertices[..., self.keypoint_vertices[rows], :]
        return (picked * self.keypoint_weights[rows, :, None]).sum(-2)


def pose_joints(
    rest_joints: Float[Tensor, "*batch 24 3"],
    rotations: Float[Tensor, "*batch 24 3 3"],
    translation: Float[Tensor, "*batch 3"],
) -> tuple[Float[Tensor, "*batch 24 3 4"], Float[Tensor, "*batch 24 3"]]:
    """Forward kinematics: each joint's rigid motion from the T-pose, and the posed joints."""
    world = world_rotations(rotations)
    parent = PARENT[1:].to(world.device)
    offsets = rest_joints[..., 1:, :] - rest_joints.index_select(-2, parent)
    bones = (world.index_select(-3, parent) @ offsets[..., None])[..., 0]
    joints = ancestry(bones) @ torch.cat([rest_joints[..., :1, :] + translation[..., None, :], bones], -2)
    shift = joints[..., None] - world @ rest_joints[..., None]
    return torch.cat([world, shift], -1), joints


def turn_about_origin(
    turn: Float[Tensor, "*batch 3 3"],
    rest_pelvis: Float[Tensor, "*batch 3"],
    rotations: Float[Tensor, "*batch 24 3 3"],
    translation: Float[Tensor, "*batch 3"],
) -> tuple[Float[Tensor, "*batch 24 3 3"], Float[Tensor, "*batch 3"]]:
    """Rotations and translations with which posed bodies stand turned about the origin, so about the camera.

    `rest_pelvis` is the first of `BodyModel.rest_joints`: the root turns about it, and it is not the origin.
    """
    root = turn @ rotations[..., 0, :, :]
    placed = (turn @ (rest_pelvis + translation)[..., None])[..., 0]
    return torch.cat([root[..., None, :, :], rotations[..., 1:, :, :]], -3), placed - rest_pelvis


def dense_weights(joints: Int64[Tensor, "v k"], weights: Float[Tensor, "v k"]) -> Float[Tensor, "v 24"]:
    """Skinning weights of all 24 joints from those of the k strongest."""
    return weights.new_zeros(len(weights), 24).scatter_add(1, joints, weights)


def skin(
    points: Float[Tensor, "*batch n 3"],
    joints: Int64[Tensor, "n k"],
    weights: Float[Tensor, "n k"],
    transforms: Float[Tensor, "*batch 24 3 4"],
) -> Float[Tensor, "*batch n 3"]:
    """Linear blend skinning of any T-posed points (a garment's, say) by a body's `BodyOutput.transforms`."""
    return _skin(points, dense_weights(joints, weights), transforms)


def skin_rows(
    coordinates: Float[Tensor, "p 3 n"], weights: Float[Tensor, "n 24"], transforms: Float[Tensor, "p 24 3 4"]
) -> Float[Tensor, "p 3 n"]:
    """`skin` with coordinates before points and dense weights: everything then runs along contiguous rows."""
    rows = transforms.reshape(-1, 24, 12).transpose(1, 2)
    posed: list[Tensor] = []
    size = _SKIN_CHUNK if rows.device.type == "cpu" else max(len(rows), 1)
    for chunk, p in zip(rows.split(size), coordinates.split(size)):
        motion = (chunk @ weights.T).unflatten(1, (3, 4))
        moved = motion[:, :, 3]
        for axis in range(3):
            moved = torch.addcmul(moved, motion[:, :, axis], p[:, axis, None])
        posed.append(moved)
    return torch.cat(posed)


def _skin(points: Tensor, weights: Tensor, transforms: Tensor) -> Tensor:
    batch, n = transforms.shape[:-3], len(weights)
    coordinates = points.expand(*batch, n, 3).reshape(-1, n, 3).transpose(1, 2)
    return skin_rows(coordinates, weights, transforms.reshape(-1, 24, 3, 4)).transpose(1, 2).reshape(*batch, n, 3)
