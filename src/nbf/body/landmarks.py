"""Chosen points of the body (joints, keypoints, bits of surface) and their analytic Jacobians over a `Bodies`.

Any fixed mean of skinned vertices is linear in the joints' motions: sum_k G_k (m_k - w_k r_k) + w_k j_k, where joint k
turned to G_k and moved from r_k to j_k, w_k is its share of the point and m_k = sum_i a_i w_ik v_i the share's moment.
So a landmark costs the same whether it is one vertex or the mean of many, and its Jacobian is lever arms.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nbf.body.bodies import PLACE, SHAPE_START, TURNS, Bodies
from nbf.body.joints import JOINT_SETS, PARENTS
from nbf.body.model import BodyModel, pose_joints
from nbf.errors import InputError
from nbf.geometry.products import by_matrix


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


def place(landmarks: Landmarks, state: Bodies, jacobian: bool = True) -> Placed:
    """The landmarks of posed bodies."""
    rest = landmarks.joint_template + by_matrix(state.betas, landmarks.joint_dirs.flatten(0, 1).T).unflatten(
        -1, (24, 3)
    )
    transforms, joints = pose_joints(rest, state.rotations, state.pelvis - rest[:, 0])
    frames = transforms[..., :3]
    count = len(landmarks)
    moments = landmarks.moments + by_matrix(state.betas, landmarks.moment_dirs.flatten(0, 2).T).unflatten(
        -1, (count, 24, 3)
    )
    shares = landmarks.shares
    if not jacobian:
        still = joints - (frames @ rest[..., None])[..., 0]
        turned = moments.flatten(2) @ frames.permute(0, 1, 3, 2).flatten(1, 2)
        return Placed(turned + shares @ still, None)
    local = moments - shares[..., None] * rest[:, None]
    # Each joint's part of a point, (b, n, 3, 24).
    parts = torch.einsum("bkij,bnkj->bnik", frames, local) + shares[:, None] * joints.mT[:, None]
    above = ancestry(parts)
    # Turning joint a moves what hangs on it; its lever arms add up to one arm a point.
    arms = parts @ above - (shares @ above)[:, None] * joints.mT[:, None]
    columns = parts.new_empty(*parts.shape[:3], state.freedoms)
    turns = columns[..., TURNS].unflatten(-1, (24, 3))
    for axis in range(3):  # the cross product of the joint's own axes (columns of its frame) with the arms
        y, z = (axis + 1) % 3, (axis + 2) % 3
        torch.mul(frames[:, None, :, y], arms[:, :, z, :, None], out=(out := turns[:, :, axis]))
        out.addcmul_(frames[:, None, :, z], arms[:, :, y, :, None], value=-1)
    columns[..., PLACE] = _place_columns(state)
    columns[..., SHAPE_START:] = _shape_columns(landmarks, frames, count)
    return Placed(parts.sum(-1), columns)


def _place_columns(state: Bodies) -> Float[Tensor, "b 1 3 3"]:
    """All points move with the pelvis: z times a change of its ray, and along the ray with log depth."""
    depth = state.pelvis[:, 2]
    columns = torch.zeros(len(depth), 3, 3, dtype=depth.dtype, device=depth.device)
    columns[:, 0, 0] = columns[:, 1, 1] = depth
    columns[:, :, 2] = state.pelvis
    return columns[:, None]


def _shape_columns(landmarks: Landmarks, frames: Float[Tensor, "b 24 3 3"], count: int) -> Float[Tensor, "b n 3 s"]:
    dirs = landmarks.joint_dirs
    moved = [torch.zeros_like(frames[:, 0] @ dirs[0])]  # the pelvis stays where the state puts it
    for joint, parent in enumerate(PARENTS[1:], start=1):
        moved.append(moved[parent] + frames[:, parent] @ (dirs[joint] - dirs[parent]))
    carried = torch.einsum("nk,bkis->bnis", landmarks.shares, torch.stack(moved, 1))
    local = landmarks.moment_dirs - landmarks.shares[..., None, None] * dirs
    size = local.shape[-1]
    # One matrix product: (b, 3, 24*3) x (24*3, n*s).
    turned = frames.transpose(1, 2).flatten(2) @ local.permute(1, 2, 0, 3).reshape(72, count * size)
    return carried + turned.unflatten(-1, (count, size)).transpose(1, 2)


def ancestry(like: Tensor) -> Float[Tensor, "24 24"]:
    """1 where column a is joint k (the row) or above it."""
    table = torch.eye(24, dtype=like.dtype)
    for joint, parent in enumerate(PARENTS[1:], start=1):
        table[joint] += table[parent]
    return table.to(like.device)
