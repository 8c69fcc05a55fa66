"""Rigged bodies as binary glTF 2.0 (https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html).

Every person is a skinned mesh in the T-pose of their own shape, with SMPL's 24 joints as its skeleton and the pose in
the joints' rotations: a viewer shows the person posed, an animator can pose them anew. glTF skins exactly as SMPL does
(linear blend skinning), so the file holds the same surface as `BodyModel`.
"""

import json
import math
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.joints import PARENTS, SMPL24
from nbf.body.model import BodyModel, dense_weights
from nbf.files import replacing
from nbf.geometry.camera import Camera
from nbf.geometry.quaternions import quaternion_from_matrix
from nbf.raster.attributes import vertex_normals

_MAGIC, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
_FLOAT, _UINT8, _UINT32 = 5126, 5121, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_COMPONENT = {np.dtype(np.float32): _FLOAT, np.dtype(np.uint8): _UINT8, np.dtype(np.uint32): _UINT32}
_SKIN_SET = 4
"""glTF holds the influences of a vertex in sets of four: JOINTS_0, JOINTS_1 ..."""

_CLAY = [0.62, 0.50, 0.42, 1.0]
"""Linear RGB of the surface: clay, to look like nobody in particular."""


def write_glb(
    path: str | Path,
    body: BodyModel,
    betas: Float[Tensor, "n s"],
    rotations: Float[Tensor, "n 24 3 3"],
    translation: Float[Tensor, "n 3"],
    *,
    camera: Camera | None = None,
    size: tuple[int, int] | None = None,
) -> None:
    """Write n people into one scene.

    Args:
        betas: shape, standard deviations.
        rotations: parent_from_joint; the root's is cam_from_body.
        translation: metres, OpenCV camera frame; written y up (half a turn about x), camera at the origin.
        camera: with `size` (width, height in pixels), adds the photo's camera to the scene.
    """
    scene = _Scene(body)
    for index in range(len(betas)):
        scene.add_person(f"person_{index}", betas[index], rotations[index], translation[index])
    if camera is not None and size is not None:
        scene.add_camera(float(camera.focal), *size)
    with replacing(path) as draft:
        draft.write_bytes(scene.to_bytes())


class _Scene:
    """A glTF document under construction: its JSON lists and its binary buffer."""

    def __init__(self, body: BodyModel) -> None:
        self.body = body
        self.buffer = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []
        self.nodes: list[dict[str, Any]] = []
        self.roots: list[int] = []
        self.meshes: list[dict[str, Any]] = []
        self.skins: list[dict[str, Any]] = []
        self.cameras: list[dict[str, Any]] = []
        self.vertex, triangles, attributes = _surface(body)
        self.shared = {name: self._accessor(values, kind, _ARRAY_BUFFER) for name, values, kind in attributes}
        self.indices = self._accessor(triangles.reshape(-1), "SCALAR", _ELEMENT_ARRAY_BUFFER)

    def add_person(self, name: str, betas: Tensor, rotations: Tensor, translation: Tensor) -> None:
        rest, joints = _rest_vertices(self.body, betas, rotations), self.body.rest_joints(betas)
        normals = vertex_normals(rest, self.body.faces)
        first = len(self.nodes)
        self._add_skeleton(joints, rotations, translation)
        self.skins.append(
            {
                "name": name,
                "inverseBindMatrices": self._accessor(_inverse_bind_matrices(joints), "MAT4"),
                "skeleton": first,
                "joints": list(range(first, first + len(SMPL24))),
            }
        )
        points = _float32(rest[self.vertex])
        position = self._accessor(points, "VEC3", _ARRAY_BUFFER)
        # The specification wants the bounds of positions, and of nothing else here.
        self.accessors[position] |= {"min": points.min(axis=0).tolist(), "max": points.max(axis=0).tolist()}
        normal = self._accessor(_unit(normals[self.vertex]), "VEC3", _ARRAY_BUFFER)
        attributes = {"POSITION": position, "NORMAL": normal, **self.shared}
        self.meshes.append(
            {"name": name, "primitives": [{"attributes": attributes, "indices": self.indices, "material": 0}]}
        )
        skinned = {"name": name, "mesh": len(self.meshes) - 1, "skin": len(self.skins) - 1}
        self.nodes.append({**skinned, "extras": {"betas": [round(value, 5) for value in betas.tolist()]}})
        self.roots += [first, len(self.nodes) - 1]

    def add_camera(self, focal: float, width: int, height: int) -> None:
        """glTF knows no principal point: a photo's camera looks through its middle."""
        view = {"yfov": 2 * math.atan(height / (2 * focal)), "aspectRatio": width / height, "znear": 0.01}
        self.cameras.append({"name": "photo", "type": "perspective", "perspective": view})
        self.nodes.append({"name": "photo", "camera": 0})
        self.roots.append(len(self.nodes) - 1)

    def to_bytes(self) -> bytes:
        document: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "Neural Body Fitting"},
            "scene": 0,
            "scenes": [{"nodes": self.roots}],
            "nodes": self.nodes,
            "meshes": self.meshes,
            "skins": self.skins,
            "materials": [
                {
                    "name": "clay",
                    "pbrMetallicRoughness": {"baseColorFactor": _CLAY, "metallicFactor": 0.0, "roughnessFactor": 0.7},
                }
            ],
            "accessors": self.accessors,
            "bufferViews": self.views,
            "buffers": [{"byteLength": len(self.buffer)}],
        }
        if self.cameras:
            document["cameras"] = self.cameras
        text = json.dumps(document, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        parts = struct.pack("<II", len(text), _JSON_CHUNK) + text
        parts += struct.pack("<II", len(self.buffer), _BINARY_CHUNK) + bytes(self.buffer)
        return struct.pack("<III", _MAGIC, 2, 12 + len(parts)) + parts

    def _add_skeleton(self, joints: Tensor, rotations: Tensor, translation: Tensor) -> None:
        flip = torch.diag(rotations.new_tensor([1.0, -1.0, -1.0]))
        local = rotations.clone()
        local[0] = flip @ rotations[0]
        offsets = joints.clone()
        offsets[1:] -= joints[torch.as_tensor(PARENTS)[1:]]
        offsets[0] = flip @ (joints[0] + translation)
        quaternions = quaternion_from_matrix(local.double()).roll(-1, -1)  # glTF writes x, y, z, w
        first = len(self.nodes)
        for index, name in enumerate(SMPL24):
            node = {"name": name, "translation": offsets[index].tolist(), "rotation": quaternions[index].tolist()}
            children = [first + child for child, parent in enumerate(PARENTS) if parent == index]
            self.nodes.append({**node, "children": children} if children else node)

    def _accessor(self, values: np.ndarray, kind: str, target: int | None = None) -> int:
        data = np.ascontiguousarray(values)
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.buffer), "byteLength": data.nbytes}
        self.views.append(view if target is None else {**view, "target": target})
        self.buffer += data.tobytes() + bytes(-data.nbytes % 4)
        self.accessors.append(
            {
                "bufferView": len(self.views) - 1,
                "componentType": _COMPONENT[data.dtype],
                "count": len(data),
                "type": kind,
            }
        )
        return len(self.accessors) - 1


@lru_cache(maxsize=2)  # a batch of photos has one body model
def _surface(body: BodyModel) -> tuple[np.ndarray, np.ndarray, list[tuple[str, np.ndarray, str]]]:
    """What all people with a body model share: the body's vertex of each file vertex, the faces, and attributes: name,
    values and kind."""
    vertex, uv, triangles = _split_seams(body)
    coordinates = [] if uv is None else [("TEXCOORD_0", uv, "VEC2")]
    return vertex, triangles, _skinning(body, vertex) + coordinates


def _skinning(body: BodyModel, vertex: np.ndarray) -> list[tuple[str, np.ndarray, str]]:
    """JOINTS_k and WEIGHTS_k of these vertices: four influences a set, the strongest first, weights summing to 1."""
    weights = body.skin_weights.detach().cpu().numpy().astype(np.float64)
    joints = body.skin_joints.cpu().numpy()
    order = np.argsort(-weights, axis=1, kind="stable")
    weights, joints = np.take_along_axis(weights, order, axis=1), np.take_along_axis(joints, order, axis=1)
    sets = max(1, math.ceil(np.count_nonzero(weights > 0, axis=1).max() / _SKIN_SET))
    count = min(sets * _SKIN_SET, weights.shape[1])
    padded = np.zeros((len(weights), sets * _SKIN_SET), np.float32)
    padded[:, :count] = weights[:, :count] / weights[:, :count].sum(axis=1, keepdims=True)
    named = np.zeros(padded.shape, np.uint8)
    # The specification wants joint 0 where the weight is 0.
    named[:, :count] = np.where(padded[:, :count] > 0, joints[:, :count], 0)
    sets_of = [slice(start, start + _SKIN_SET) for start in range(0, sets * _SKIN_SET, _SKIN_SET)]
    return [
        entry
        for index, columns in enumerate(sets_of)
        for entry in (
            (f"JOINTS_{index}", named[vertex, columns], "VEC4"),
            (f"WEIGHTS_{index}", padded[vertex, columns], "VEC4"),
        )
    ]


def _split_seams(body: BodyModel) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """glTF indexes positions and texture coordinates together, so a vertex on a texture seam becomes several.

    Returns the body's vertex of each file vertex, its texture coordinates (None if the body has none) and the faces.
    """
    faces = body.faces.cpu().numpy()
    if len(body.uv) == 0:
        return np.arange(len(body.template)), None, faces.astype(np.uint32)
    # Pairs of vertex and texture point as one number, which is far faster to sort than pairs.
    pairs = faces.reshape(-1) * len(body.uv) + body.faces_uv.cpu().numpy().reshape(-1)
    unique, corner = np.unique(pairs, return_inverse=True)
    vertex, point = np.divmod(unique, len(body.uv))
    # The body's v grows upwards (OBJ), glTF's downwards.
    uv = _float32(body.uv)[point]
    uv[:, 1] = 1 - uv[:, 1]
    return vertex, uv, corner.reshape(-1, 3).astype(np.uint32)


def _rest_vertices(body: BodyModel, betas: Tensor, rotations: Tensor) -> Tensor:
    """The T-posed body that linear blend skinning turns into the posed one: with SMPL's pose blend shapes, if any."""
    if body.pose_dirs is None:
        return body.rest_vertices(betas)
    posed = body(betas, rotations, betas.new_zeros(3))
    blended = torch.einsum("vj,jab->vab", dense_weights(body.skin_joints, body.skin_weights), posed.transforms)
    return torch.linalg.solve(blended[..., :3], posed.vertices - blended[..., 3])


def _inverse_bind_matrices(joints: Tensor) -> np.ndarray:
    """Rest frames are world-aligned: each matrix only moves its joint to the origin. Column-major, as glTF has it."""
    matrices = np.tile(np.eye(4, dtype=np.float32), (len(joints), 1, 1))
    matrices[:, 3, :3] = -joints.detach().cpu().numpy()
    return matrices.reshape(-1, 16)


def _unit(normals: Tensor) -> np.ndarray:
    """Unit normals; up where a vertex belongs to no face."""
    values = _float32(normals)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.where(length > 1e-6, values / np.maximum(length, 1e-6), np.array([0, 1, 0], np.float32)).astype(
        np.float32
    )


def _float32(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy().astype(np.float32)
