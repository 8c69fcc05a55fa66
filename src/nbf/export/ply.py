"""Posed meshes as PLY (Stanford), all people in one mesh."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from nbf.arguments import path as checked_path
from nbf.errors import InputError
from nbf.export.mesh import Mesh, points_and_normals
from nbf.export.world import World
from nbf.files import replacing
from nbf.reading import Damaged, read_bytes, refusing

_MOST_BYTES = 1 << 28
_LONGEST_HEAD = 1 << 14
_NUMBERS = {
    **{"char": "<i1", "uchar": "<u1", "short": "<i2", "ushort": "<u2", "int": "<i4", "uint": "<u4"},
    **{"int8": "<i1", "uint8": "<u1", "int16": "<i2", "uint16": "<u2", "int32": "<i4", "uint32": "<u4"},
    **{"float": "<f4", "double": "<f8", "float32": "<f4", "float64": "<f8"},
}


def write_ply(
    path: str | Path, vertices: Float[Tensor, "n v 3"], faces: Int64[Tensor, "f 3"], world: World, remark: str
) -> None:
    """Write n meshes of one topology as one binary PLY mesh, with normals.

    Args:
        vertices: camera frame, metres.
        faces: counter-clockwise from outside.
        world: the file's frame.
        remark: what the file says of itself, on one line.
    """
    points, normals = points_and_normals(vertices, faces, world)
    count, size = points.shape[:2]
    triangles = (faces.numpy()[None] + size * np.arange(count)[:, None, None]).reshape(-1, 3)
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment {remark}",
        f"element vertex {count * size}",
        *(f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz")),
        f"element face {len(triangles)}",
        "property list uchar int vertex_indices",
        "end_header",
    ]
    rows = np.zeros(len(triangles), dtype=[("corners", "u1"), ("index", "<i4", 3)])
    rows["corners"], rows["index"] = 3, triangles
    with replacing(path) as draft, draft.open("wb") as file:
        file.write(("\n".join(header) + "\n").encode("ascii", "replace"))
        file.write(np.concatenate([points, normals], axis=-1).astype("<f4").tobytes())
        file.write(rows.tobytes())


def read_ply(path: str | Path) -> Mesh:
    """The mesh of triangles in a binary PLY file of any program that writes vertices first and nothing else of faces
    than their corners.

    Raises:
        InputError: the file is missing, damaged, or of another kind of PLY.
    """
    path = checked_path(path, "path")
    with refusing(InputError, path, "a binary PLY file of triangles", "export it anew"):
        data = read_bytes(path, _MOST_BYTES)
        head, end, _ = data[:_LONGEST_HEAD].partition(b"end_header\n")
        text = re.sub(r"(?m)^(comment|obj_info) .*\n", "", head.decode("latin1"))
        found = re.fullmatch(
            r"ply\nformat binary_little_endian 1\.0\nelement vertex (\d{1,9})\n((?:property \w+ \w+\n)+)"
            r"element face (\d{1,9})\nproperty list (?:uchar|uint8) (?:int|uint|int32|uint32) vertex_ind(?:ices|ex)\n",
            text,
        )
        if found is None or not end:
            raise Damaged("its head is another one")
        columns = re.findall(r"property (\w+) (\w+)", found[2])
        names = [name for _, name in columns]
        if (
            len(set(names)) < len(names)
            or not {"x", "y", "z"} <= set(names)
            or any(k not in _NUMBERS for k, _ in columns)
        ):
            raise Damaged("expected vertices with x, y and z")
        vertex = np.dtype([(name, _NUMBERS[kind]) for kind, name in columns])
        face = np.dtype([("corners", "u1"), ("index", "<i4", 3)])
        start, vertices, faces = len(head) + len(end), int(found[1]), int(found[3])
        if start + vertices * vertex.itemsize + faces * face.itemsize != len(data):
            raise Damaged(f"expected {vertices} vertices and {faces} triangles, got another number of bytes")
        points = np.frombuffer(data, vertex, vertices, start)
        corners = np.frombuffer(data, face, faces, start + vertices * vertex.itemsize)
        places = np.stack([points[axis].astype(np.float64) for axis in "xyz"], axis=1)
        if not np.isfinite(places).all() or (corners["corners"] != 3).any():
            raise Damaged("expected finite places and triangles")
        index = corners["index"].astype(np.int64)
        if index.size and not (index.min() >= 0 and index.max() < vertices):
            raise Damaged(f"expected faces between {vertices} vertices, got others")
        return Mesh(places, index)
