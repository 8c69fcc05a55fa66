"""Posed meshes as OBJ (Wavefront) and PLY (Stanford) files."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from nbf.export.text import decimals, integers, lines
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
    blocks = [b"# Neural Body Fitting; metres, y up, camera at the origin looking along -z\n"]
    textured = len(uv) > 0
    if textured:
        blocks.append(_rows(b"vt", uv.numpy()))
    count, size = points.shape[:2]
    # Numbers come up in many corners: each is written once, then copied.
    vertex, texture = integers(np.arange(1, count * size + 1)), integers(np.arange(1, len(uv) + 1))
    for index in range(count):
        blocks += [b"o person_%d\n" % index, _rows(b"v", points[index]), _rows(b"vn", normals[index]), b"s 1\n"]
        columns: list[bytes | np.ndarray] = [b"f"]
        for corner in range(3):
            own = vertex[faces[:, corner].numpy() + index * size]
            columns += [b" ", own, b"/", texture[faces_uv[:, corner].numpy()] if textured else b"", b"/", own]
        blocks.append(lines(*columns))
    with replacing(path) as draft:
        draft.write_bytes(b"".join(blocks))


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


def _rows(tag: bytes, values: np.ndarray) -> bytes:
    columns = [column for number in decimals(values).swapaxes(0, 1) for column in (b" ", number)]
    return lines(tag, *columns)
