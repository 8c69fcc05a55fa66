"""The T-posed surface of a body and its skin weights, as files for graphics cards have them: a vertex for each pair of
place and texture point."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8, UInt32
from torch import Tensor

from nbf.body.model import BodyModel, dense_weights

INFLUENCES = 4
"""Joints a set: glTF holds the joints that move a vertex in sets of four, JOINTS_0, JOINTS_1 ..."""


@dataclass(frozen=True)
class Surface:
    """What all people with a body model share.

    Attributes:
        vertex: the body's vertex of each of the n vertices.
        triangles: counter-clockwise from outside.
        joints: of k influences a vertex, the strongest first; joint 0 where the weight is 0.
        weights: sum to 1.
        uv: texture points, v downwards; None where the body has none.
        parts: label 1..24 of each vertex, where vertices on borders are divided; otherwise None.
    """

    vertex: Int64[np.ndarray, " n"]
    triangles: UInt32[np.ndarray, "f 3"]
    joints: UInt8[np.ndarray, "n k"]
    weights: Float32[np.ndarray, "n k"]
    uv: Float32[np.ndarray, "n 2"] | None
    parts: Int64[np.ndarray, " n"] | None


@lru_cache(maxsize=4)  # a batch of photos has one body model
def surface(body: BodyModel, by_part: bool = False) -> Surface:
    """The surface of a body; `by_part` divides vertices on borders of parts, so that each part has its colour."""
    faces = body.faces.cpu().numpy()
    textured = len(body.uv) > 0
    points = body.faces_uv.cpu().numpy() if textured else np.zeros_like(faces)
    labels = body.face_parts.cpu().numpy() if by_part else np.zeros(len(faces), np.int64)
    # Triples of vertex, texture point and part as one number, which is far faster to sort than triples.
    uvs, kinds = max(len(body.uv), 1), int(labels.max()) + 1
    keys = (faces * uvs + points) * kinds + labels[:, None]
    unique, corner = np.unique(keys.reshape(-1), return_inverse=True)
    pair, part = np.divmod(unique, kinds)
    vertex, point = np.divmod(pair, uvs)
    uv = body.uv.detach().cpu().numpy().astype(np.float32)[point] if textured else None
    if uv is not None:
        uv[:, 1] = 1 - uv[:, 1]  # the body's v grows upwards, as in OBJ
    joints, weights = _influences(body)
    triangles = corner.reshape(-1, 3).astype(np.uint32)
    return Surface(vertex, triangles, joints[vertex], weights[vertex], uv, part if by_part else None)


def rest_vertices(
    body: BodyModel, betas: Float[Tensor, " s"], rotations: Float[Tensor, "24 3 3"]
) -> Float[Tensor, "v 3"]:
    """The T-posed body that linear blend skinning turns into the posed one: with SMPL's pose blend shapes, if any."""
    if body.pose_dirs is None:
        return body.rest_vertices(betas)
    posed = body(betas, rotations, betas.new_zeros(3))
    blended = torch.einsum("vj,jab->vab", dense_weights(body.skin_joints, body.skin_weights), posed.transforms)
    return torch.linalg.solve(blended[..., :3], posed.vertices - blended[..., 3])


def _influences(body: BodyModel) -> tuple[UInt8[np.ndarray, "v k"], Float32[np.ndarray, "v k"]]:
    """Joints and weights of the body's vertices, k a multiple of `INFLUENCES`."""
    weights = body.skin_weights.detach().cpu().numpy().astype(np.float64)
    joints = body.skin_joints.cpu().numpy()
    order = np.argsort(-weights, axis=1, kind="stable")
    weights, joints = np.take_along_axis(weights, order, axis=1), np.take_along_axis(joints, order, axis=1)
    sets = max(1, math.ceil(np.count_nonzero(weights > 0, axis=1).max() / INFLUENCES))
    count = min(sets * INFLUENCES, weights.shape[1])
    padded = np.zeros((len(weights), sets * INFLUENCES), np.float32)
    padded[:, :count] = weights[:, :count] / weights[:, :count].sum(axis=1, keepdims=True)
    named = np.zeros(padded.shape, np.uint8)
    named[:, :count] = np.where(padded[:, :count] > 0, joints[:, :count], 0)
    return named, padded
