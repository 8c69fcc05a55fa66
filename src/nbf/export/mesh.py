"""Posed meshes as OBJ (Wavefront) and PLY (Stanford) files."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from nbf.files import replacing
from nbf.raster.attributes import vertex_normals

FLIP = np.array([1.0, -1.0, -1.0], np.float32)
"""OpenCV camera frame (y down, z forward) <-> y up, z backward: half a turn about x, so handedness stays."""


def write_obj(
    path: str | Path,
    vertices: Float[Tensor, "n v 3"],
    faces: Int64[Tensor, "f 3"],
    uv: Float[Tensor, "u 2"],
    faces_uv: Int64[Tensor, "f 3"],
) -> None:
    """Write n meshes of one topology as the objects `person_0`, `person_1` ... of one OBJ file.

    Args:
        vertices: camera frame, metres; written y up.
        faces: counter-clockwise from outside.
        uv: texture points, origin at the lower left; may be empty.
        faces_uv: the texture point of each corner of `faces`.
    """
    points, normals = _points_and_normals(vertices, faces)
    lines = ["# Neural Body Fitting; metres, y up, camera at the origin looking along -z"]
    textured = len(uv) > 0
    if textured:
        lines.append(_rows("vt", uv.numpy()))
    corner = "%d/%d/%d" if textured else "%d//%d"
    row = f"f {corner} {corner} {corner}"
    for index in range(len(points)):
        lines += [f"o person_{index}", _rows("v", points[index]), _rows("vn", normals[index]), "s 1"]
        own = faces.numpy() + 1 + index * points.shape[1]
        numbers = np.stack((own, faces_uv.numpy() + 1, own) if textured else (own, own), axis=-1)
        lines.append("\n".join([row] * len(own)) % tuple(numbers.reshape(-1).tolist()))
    with replacing(path) as draft:
        draft.write_text("\n".join(lines) + "\n")


def write_ply(path: str | Path, vertices: Float[Tensor, "n v 3"], faces: Int64[Tensor, "f 3"]) -> None:
    """Write n meshes of one topology as one binary PLY mesh, with normals.

    Args:
        vertices: camera frame, metres; written y up.
        faces: counter-clockwise from outside.
    """
    points, normals = _points_and_normals(vertices, faces)
    count, size = points.shape[:2]
    triangles = (faces.numpy()[None] + size * np.arange(count)[:, None, None]).reshape(-1, 3)
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment Neural Body Fitting; metres, y up, camera at the origin looking along -z",
        f"element vertex {count * size}",
        *(f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz")),
        f"element face {len(triangles)}",
        "property list uchar int vertex_indices",
        "end_header",
    ]
    rows = np.zeros(len(triangles), dtype=[("corners", "u1"), ("index", "<i4", 3)])
    rows["corners"], rows["index"] = 3, triangles
    with replacing(path) as draft, draft.open("wb") as file:
        file.write(("\n".join(header) + "\n").encode("ascii"))
        file.write(np.concatenate([points, normals], axis=-1).astype("<f4").tobytes())
        file.write(rows.tobytes())


def _points_and_normals(vertices: Tensor, faces: Tensor) -> tuple[np.ndarray, np.ndarray]:
    return vertices.numpy() * FLIP, vertex_normals(vertices, faces).numpy() * FLIP


def _rows(tag: str, values: np.ndarray) -> str:
    line = tag + " %.6f" * values.shape[1]
    return "\n".join([line] * len(values)) % tuple(values.reshape(-1).tolist())
