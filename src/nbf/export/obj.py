"""Posed meshes as OBJ (Wavefront), an object a person."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from nbf.arguments import path as checked_path
from nbf.errors import InputError
from nbf.export.mesh import Mesh, points_and_normals
from nbf.export.text import decimals, integers, lines
from nbf.export.world import World
from nbf.files import replacing
from nbf.reading import Damaged, read_text, refusing, to_numbers

_MOST_BYTES = 1 << 26


def write_obj(
    path: str | Path,
    vertices: Float[Tensor, "n v 3"],
    faces: Int64[Tensor, "f 3"],
    uv: Float[Tensor, "u 2"],
    faces_uv: Int64[Tensor, "f 3"],
    world: World,
    remark: str,
) -> None:
    """Write n meshes of one topology as the objects `person_0`, `person_1` ...

    Args:
        vertices: camera frame, metres.
        faces: counter-clockwise from outside.
        uv: texture points, origin at the lower left; may be empty.
        faces_uv: the texture point of each corner of `faces`.
        world: the file's frame.
        remark: what the file says of itself, on one line.
    """
    points, normals = points_and_normals(vertices, faces, world)
    blocks = [f"# {remark}\n".encode()]
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


def _rows(tag: bytes, values: np.ndarray) -> bytes:
    columns = [column for number in decimals(values).swapaxes(0, 1) for column in (b" ", number)]
    return lines(tag, *columns)


def read_obj(path: str | Path) -> dict[str, Mesh]:
    """The meshes in an OBJ file of any program, by the names of their objects; faces of more corners become triangles.

    Raises:
        InputError: the file is missing, damaged, or holds no mesh.
    """
    path = checked_path(path, "path")
    with refusing(InputError, path, "an OBJ file", "export it anew"):
        points: list[Sequence[str]] = []
        triangles: dict[str, list[list[int]]] = {}
        name = ""
        for line in read_text(path, _MOST_BYTES).splitlines():
            match line.split():
                case ["v", *rest]:
                    points.append(rest[:3])
                case ["o", *rest]:
                    name = " ".join(rest)
                case ["f", *corners]:
                    fan = [_index(corner, len(points)) for corner in corners]
                    triangles.setdefault(name, []).extend([fan[0], *pair] for pair in pairwise(fan[1:]))
        vertices = to_numbers(_floats(points), None, 3, dtype=np.float64) if points else np.zeros((0, 3))
        meshes = {}
        for name, rows in triangles.items():
            faces = np.array(rows, np.int64).reshape(-1, 3)
            if len(faces) == 0 or faces.min() < 0 or faces.max() >= len(vertices):
                raise Damaged(f"expected faces between {len(vertices)} vertices, got others")
            used, own = np.unique(faces, return_inverse=True)
            meshes[name] = Mesh(vertices[used], own.reshape(-1, 3))
        if not meshes:
            raise Damaged("it holds no mesh")
        return meshes


def _index(corner: str, count: int) -> int:
    """Of a vertex, from 0; the file's numbers count from 1, or backwards from -1."""
    number = corner.partition("/")[0]
    if not number.removeprefix("-").isdecimal() or len(number) > 12:
        raise Damaged(f"expected the number of a vertex in a face, got {corner[:40]!a}")
    return int(number) - 1 if int(number) > 0 else count + int(number)


def _floats(rows: list[Sequence[str]]) -> list[list[float]]:
    try:
        return [[float(word) for word in row] for row in rows]
    except ValueError as error:
        raise Damaged(f"expected numbers: {error}"[:200]) from error
