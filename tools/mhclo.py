"""MakeHuman clothes: reading .mhclo maps and garment .obj files, and fitting garments to the base mesh.

The format is MakeHuman's own (`hm08` base mesh of 19158 vertices). A row `i j k  wi wj wk  dx dy dz` puts a garment
vertex at `wi V[i] + wj V[j] + wk V[k] + (dx sx, dy sy, dz sz)`, where `sx = |V[a].x - V[b].x| / d` comes from the line
`x_scale a b d`. While the two vertices of a scale keep their order along the axis the map is linear in V, so a garment
on a linear shape space is itself a linear shape space: `Mapping.anchor` and `Mapping.offset_dirs` make its directions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Integer

from nbf.errors import DataError

BASE_VERTICES = 19158  # hm08
_AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Mapping:
    """One .mhclo file. Vertex order is that of the garment's .obj; indices point into the hm08 base mesh."""

    name: str
    tags: tuple[str, ...]
    corners: Integer[np.ndarray, "n 3"]
    weights: Float[np.ndarray, "n 3"]
    offsets: Float[np.ndarray, "n 3"]
    scale_ends: Integer[np.ndarray, "3 2"]
    scale_lengths: Float[np.ndarray, "3"]
    deleted: Integer[np.ndarray, "d"]
    mesh: Path
    material: Path

    def scales(self, base: Float[np.ndarray, "19158 3"]) -> Float[np.ndarray, "3"]:
        """sx, sy, sz for a shaped base mesh in its rest pose, in decimetres."""
        axes = np.arange(3)
        ends = base[self.scale_ends, axes[:, None]]
        return np.abs(ends[:, 0] - ends[:, 1]) / self.scale_lengths

    def anchor(self, values: Float[np.ndarray, "19158 ..."]) -> Float[np.ndarray, "n ..."]:
        """Mix values of the base vertices by the rows' weights, without the offsets."""
        picked = values[self.corners]
        weights = self.weights.reshape(self.weights.shape + (1,) * (picked.ndim - 2))
        return (picked * weights).sum(1)

    def fit(self, base: Float[np.ndarray, "19158 3"]) -> Float[np.ndarray, "n 3"]:
        """The garment's vertices on a shaped base mesh in its rest pose, both in decimetres: the exact map."""
        return self.anchor(base) + self.offsets * self.scales(base)

    def offset_dirs(
        self, base: Float[np.ndarray, "19158 3"], dirs: Float[np.ndarray, "19158 3 S"]
    ) -> Float[np.ndarray, "n 3 S"]:
        """Derivative of `offsets * scales` along each shape direction: that of |a - b| is sign(a - b) (a' - b')."""
        axes = np.arange(3)
        ends = base[self.scale_ends, axes[:, None]]
        slopes = dirs[self.scale_ends, axes[:, None]]
        scale_dirs = np.sign(ends[:, :1] - ends[:, 1:]) * (slopes[:, 0] - slopes[:, 1]) / self.scale_lengths[:, None]
        return self.offsets[:, :, None] * scale_dirs


@dataclass(frozen=True)
class GarmentMesh:
    """Triangles of a garment's .obj; `uv` per face corner, v downwards as image rows."""

    points: Float[np.ndarray, "n 3"]
    faces: Integer[np.ndarray, "f 3"]
    uv: Float[np.ndarray, "f 3 2"]


def read_mapping(path: Path) -> Mapping:
    """Read an .mhclo file.

    Raises DataError naming the file if a keyword that the map needs is missing or a row is neither 1 nor 9 numbers.
    """
    words: dict[str, list[str]] = {}
    tags, rows, deleted = [], [], []
    mode = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        key, _, rest = line.partition(" ")
        if re.fullmatch(r"-?\d+", key):  # rows and vertex ranges are the only lines that start with a number
            if mode == "delete_verts":
                deleted.extend(_ranges(line))
            elif mode == "verts":
                rows.append(_row(line, path))
            continue
        if key in ("verts", "delete_verts"):
            mode = key
        elif key == "tag":
            tags.append(rest.strip())
        else:
            words[key] = rest.split()
    missing = [k for k in ("obj_file", "material", "x_scale", "y_scale", "z_scale") if k not in words]
    if missing or not rows:
        raise DataError(
            f"{path.name}: expected an .mhclo map with vertex rows, missing {missing or 'rows'}; get the file anew"
        )
    table = np.array(rows)
    scale = np.array([[float(x) for x in words[f"{axis}_scale"]] for axis in _AXES])
    return Mapping(
        name=path.stem,
        tags=tuple(tags),
        corners=table[:, :3].astype(np.int64),
        weights=table[:, 3:6],
        offsets=table[:, 6:],
        scale_ends=scale[:, :2].astype(np.int64),
        scale_lengths=scale[:, 2],
        deleted=np.array(sorted(set(deleted)), dtype=np.int64),
        mesh=path.parent / words["obj_file"][0],
        material=path.parent / words["material"][0],
    )


def _row(line: str, path: Path) -> list[float]:
    numbers = [float(x) for x in line.split()]
    if len(numbers) == 1:  # glued to one base vertex
        return [numbers[0], numbers[0], numbers[0], 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    if len(numbers) != 9:
        raise DataError(f"{path.name}: expected vertex rows of 1 or 9 numbers, got {len(numbers)} in {line!r}")
    return numbers


def _ranges(line: str) -> list[int]:
    out: list[int] = []
    for first, last in re.findall(r"(\d+)(?:\s*-\s*(\d+))?", line):
        out.extend(range(int(first), int(last or first) + 1))
    return out


def read_mesh(path: Path) -> GarmentMesh:
    """Read a garment's .obj: `v`, `vt` and polygons with `v/vt` corners, cut into triangle fans.

    Raises DataError naming the file if it has no textured faces.
    """
    points, texture, faces, uv = [], [], [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split()
        if not parts:
            continue
        if parts[0] == "v":
            points.append([float(x) for x in parts[1:4]])
        elif parts[0] == "vt":
            texture.append([float(x) for x in parts[1:3]])
        elif parts[0] == "f":
            corners = [[int(x) - 1 for x in part.split("/")[:2]] for part in parts[1:]]
            for second, third in pairwise(corners[1:]):
                faces.append([corners[0][0], second[0], third[0]])
                uv.append([corners[0][1], second[1], third[1]])
    if not faces or not texture:
        raise DataError(
            f"{path.name}: expected an .obj with v/vt faces, got {len(faces)} faces and {len(texture)} vt lines"
        )
    flat = np.array(texture)[np.array(uv)]
    flat[..., 1] = 1.0 - flat[..., 1]
    return GarmentMesh(np.array(points), np.array(faces, dtype=np.int64), flat)


def read_material(path: Path) -> Path:
    """The diffuse texture that an .mhmat names. Raises DataError if it names none."""
    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, rest = line.strip().partition(" ")
        if key == "diffuseTexture":
            return path.parent / rest.strip()
    raise DataError(f"{path.name}: expected a diffuseTexture line, got none; use a material with a texture")


def hidden_faces(faces: Integer[np.ndarray, "f 3"], deleted: Integer[np.ndarray, "d"]) -> Bool[np.ndarray, "f"]:
    """Faces (of base-mesh vertex indices) all of whose vertices a garment hides."""
    gone = np.zeros(BASE_VERTICES, dtype=bool)
    gone[deleted] = True
    return np.all(gone[faces], axis=1)


def mix_skinning(
    weights: Float[np.ndarray, "19158 J"], mapping: Mapping, top: int = 4
) -> tuple[Integer[np.ndarray, "n top"], Float[np.ndarray, "n top"]]:
    """Top joints and weights of garment vertices: base weights mixed by the rows, negatives cut, normalised to 1.

    Rows may lie outside their triangle (weights below 0 or above 1), which mixed naively gives negative bone weights.
    """
    mixed = np.clip(mapping.anchor(weights), 0.0, None)
    joints = np.argsort(-mixed, axis=1, kind="stable")[:, :top]
    picked = np.take_along_axis(mixed, joints, axis=1)
    return joints, picked / picked.sum(1, keepdims=True)
