"""Chosen points of the body (joints, keypoints, bits of surface) and their analytic Jacobians over a `Bodies`.

Any fixed mean of skinned vertices is linear in the joints' motions: sum_k G_k (m_k - w_k r_k) + w_k j_k, where joint k
turned to G_k and moved from r_k to j_k, w_k is its share of the point and m_k = sum_i a_i w_ik v_i the share's moment.
So a landmark costs the same whether it is one vertex or the mean of many, and its Jacobian is lever arms.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from nbf.body.bodies import Bodies
from nbf.body.joints import JOINT_SETS, PARENT, ancestry, world_rotations
from nbf.body.model import BodyModel
from nbf.errors import InputError
from nbf.geometry.products import by_matrix, by_vectors

_ACROSS = torch.eye(3, 2)
# The axes after x, y and z, and those before them.
_AFTER, _BEFORE = torch.tensor([1, 2, 0]), torch.tensor([2, 0, 1])


@dataclass(frozen=True)
class Landmarks:
    """n points fixed to the body, apart from the body model so that only they are computed."""

    shares: Float[Tensor, "n 24"]
    """Part of each joint in a point; sums to one."""
    moments: Float[Tensor, "n 24 3"]
    """Mean T-posed place times share, metres, at betas = 0."""
    moment_dirs: Float[Tensor, "n 24 3 s"]
    """Metres per standard deviation."""
    joint_template: Float[Tensor, "24 3"]
    joint_dirs: Float[Tensor, "24 3 s"]

    @classmethod
    def vertices(cls, body: BodyModel, index: Int64[Tensor, " n"]) -> "Landmarks":
        """Vertices of the body. Pose blend shapes (SMPL's) are left out: millimetres, and they have no lever arm."""
        return cls.means(body, index[:, None], torch.ones_like(index[:, None], dtype=body.template.dtype))

    @classmethod
    def means(cls, body: BodyModel, index: Int64[Tensor, "n c"], weights: Float[Tensor, "n c"]) -> "Landmarks":
        """Weighted means of c vertices each."""
        shares = body.dense_weights[index] * weights[..., None]
        return cls(
            shares.sum(1),
            torch.einsum("nck,nci->nki", shares, body.template[index]),
            torch.einsum("nck,ncis->nkis", shares, body.shape_dirs[index]),
            body.joint_template,
            body.joint_dirs,
        )

    @classmethod
    def keypoints(cls, body: BodyModel, kind: str) -> "Landmarks":
        """Keypoints of the body; kind: smpl24, coco17 or lsp14, as `BodyModel.keypoints`."""
        if kind not in JOINT_SETS:
            raise InputError(f"keypoint kind: expected one of {', '.join(JOINT_SETS)}, got {kind!r}")
        if kind == "smpl24":
            eye = torch.eye(24).to(body.joint_template)
            return cls(
                eye,
                eye[..., None] * body.joint_template,
                eye[..., None, None] * body.joint_dirs,
                body.joint_template,
                body.joint_dirs,
            )
        rows = slice(0, 17) if kind == "coco17" else slice(17, 31)
        return cls.means(body, body.keypoint_vertices[rows], body.keypoint_weights[rows])

    def __add__(self, other: "Landmarks") -> "Landmarks":
        """Both sets of points of the same body, so that they are placed together."""
        return Landmarks(
            torch.cat([self.shares, other.shares]),
            torch.cat([self.moments, other.moments]),
            torch.cat([self.moment_dirs, other.moment_dirs]),
            self.joint_template,
            self.joint_dirs,
        )

    def mixed(self, matrix: Float[Tensor, "m n"]) -> "Landmarks":
        """Points that are means of these: each row of `matrix` sums to one."""
        moments, dirs = (torch.einsum("mn,n...->m...", matrix, value) for value in (self.moments, self.moment_dirs))
        return Landmarks(matrix @ self.shares, moments, dirs, self.joint_template, self.joint_dirs)

    def __len__(self) -> int:
        return len(self.shares)

    # What does not depend on people is made once. The template is the last column, beside those of the betas.

    @cached_property
    @torch.inference_mode(False)
    def bones(self) -> Float[Tensor, "24 3 c"]:
        """From each joint's parent to the joint; 0 for the pelvis."""
        joints = torch.cat([self.joint_dirs, self.joint_template[..., None]], -1)
        return joints - joints[PARENT.to(joints.device)]

    @cached_property
    @torch.inference_mode(False)
    def local(self) -> Float[Tensor, "24 3 n c"]:
        """Moments about the joints instead of the origin."""
        joints = torch.cat([self.joint_dirs, self.joint_template[..., None]], -1)
        moments = torch.cat([self.moment_dirs, self.moments[..., None]], -1)
        return (moments - self.shares[..., None, None] * joints).permute(1, 2, 0, 3).contiguous()

    @cached_property
    @torch.inference_mode(False)
    def local_dirs(self) -> Float[Tensor, "72 r"]:
        """The columns of the betas alone."""
        return self.local[..., :-1].flatten(2).flatten(0, 1)

    @cached_property
    @torch.inference_mode(False)
    def shares_below(self) -> Float[Tensor, "24 1 n"]:
        """Part that each joint and all that hangs on it have in a point."""
        return (self.shares @ ancestry(self.shares)).mT[:, None]


@dataclass(frozen=True)
class Placed:
    """Points, in camera metres (d = 3) or pixels (d = 2), and how they move with a step of the state."""

    points: Float[Tensor, "b n d"]
    jacobian: Float[Tensor, "b n d p"] | None
    """None where only values were asked for."""

    def __getitem__(self, points: slice | list[int]) -> "Placed":
        return Placed(self.points[:, points], None if self.jacobian is None else self.jacobian[:, points])

    def mixed(self, matrix: Float[Tensor, "m n"]) -> "Placed":
        """Sums of the points, each row of `matrix` the factors of one: differences, means."""
        jacobian = None if self.jacobian is None else torch.einsum("mn,bn...->bm...", matrix, self.jacobian)
        return Placed(matrix @ self.points, jacobian)


def place(
    landmarks: Landmarks, state: Bodies, jacobian: bool = True, world: Float[Tensor, "b 24 3 3"] | None = None
) -> Placed:
    """The landmarks of posed bodies. `world`: the state's `world_rotations`, for who has them already."""
    world = world_rotations(state.rotations) if world is None else world
    tree, count, shapes = ancestry(world), len(landmarks), state.betas.shape[1]
    one_more = functional.pad(state.betas, (0, 1), value=1.0)
    # How bones, as they are turned, and so joints change with each of the betas; the last column is the template's.
    turned = world.index_select(1, PARENT.to(world.device)) @ landmarks.bones
    reach = (tree @ turned.flatten(2)).unflatten(2, (3, shapes + 1))
    joints = by_vectors(reach, one_more[:, None].expand(-1, 24, -1)) + state.pelvis[:, None]
    local = by_matrix(one_more, landmarks.local.flatten(0, 2).T).unflatten(1, (24, 3, count))
    if not jacobian:
        still = landmarks.shares @ joints
        return Placed(torch.baddbmm(still, local.flatten(1, 2).mT, world.mT.flatten(1, 2)), None)
    # Each joint's part of each point, (b, 24, 3, n). Turning a joint moves what hangs on it, whose lever arms add up.
    parts = torch.addcmul(world @ local, joints[..., None], landmarks.shares.mT[:, None])
    below = (tree.mT @ parts.flatten(2)).unflatten(2, (3, count))
    arms = torch.addcmul(below, joints[..., None], landmarks.shares_below, value=-1)
    columns = [
        _turn_columns(world, arms),
        _place_columns(state).expand(-1, count, 3, 3),
        _shape_columns(landmarks, world, reach[..., :shapes]),
    ]
    return Placed(below[:, 0].mT, torch.cat(columns, -1))


def _turn_columns(world: Float[Tensor, "b 24 3 3"], arms: Float[Tensor, "b 24 3 n"]) -> Float[Tensor, "b n 3 72"]:
    """Cross products of the joints' own axes (columns of their frames) with the arms."""
    after, before = _AFTER.to(world.device), _BEFORE.to(world.device)
    (y, z), (arm_y, arm_z) = ([value.index_select(2, axis) for axis in (after, before)] for value in (world, arms))
    turns = (y[..., None] * arm_z[:, :, :, None]).addcmul_(z[..., None], arm_y[:, :, :, None], value=-1)
    return turns.permute(0, 4, 2, 1, 3).flatten(3)


def _place_columns(state: Bodies) -> Float[Tensor, "b 1 3 3"]:
    """All points move with the pelvis: z times a change of its ray, and along the ray with log depth."""
    across = state.pelvis[:, 2, None, None] * _ACROSS.to(state.pelvis)
    return torch.cat([across, state.pelvis[..., None]], 2)[:, None]


def _shape_columns(
    landmarks: Landmarks, world: Float[Tensor, "b 24 3 3"], reach: Float[Tensor, "b 24 3 s"]
) -> Float[Tensor, "b n 3 s"]:
    """Points are carried by their joints, which the betas move (`reach`), and lie elsewhere from them."""
    count, shapes = len(landmarks), reach.shape[-1]
    carried = (landmarks.shares @ reach.flatten(2)).unflatten(2, (3, shapes))
    # One matrix product: (b, 3, 72) x (72, n*s).
    turned = (world.transpose(1, 2).flatten(2) @ landmarks.local_dirs).unflatten(2, (count, shapes))
    return carried + turned.transpose(1, 2)
