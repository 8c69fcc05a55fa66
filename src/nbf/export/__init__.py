"""Bodies -> files of other programs, and back.

Mesh files (GLB, OBJ, PLY) are y up, in metres, with the camera at the origin looking along -z: the OpenCV camera frame
turned half a turn about x. NPZ keeps the OpenCV camera frame, as SMPL tools for pictures do. Every file appears whole
or not at all.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from nbf.arguments import path as checked_path
from nbf.errors import InputError
from nbf.export.film import write_turntable
from nbf.export.glb import write_glb
from nbf.export.mesh import write_obj, write_ply
from nbf.export.npz import load_people, write_npz
from nbf.export.page import write_html
from nbf.motion import Motion
from nbf.people import Person

__all__ = ["load_people", "write", "write_glb", "write_html", "write_npz", "write_obj", "write_ply", "write_turntable"]


def write(persons: Sequence[Person], path: str | Path) -> Path:
    """Write people in one picture into one file, by its suffix: .glb, .obj, .ply or .npz.

    Raises:
        InputError: another suffix, or nobody to write.
    """
    path = checked_path(path, "path")
    if not persons:
        raise InputError(f"{path}: nobody to export, the picture has no people; check `if people:` first")
    body, picture, camera = persons[0].body, persons[0].picture, persons[0].camera

    def stacked(name: str) -> torch.Tensor:
        return torch.stack([getattr(person, name) for person in persons])

    match path.suffix.lower():
        case ".glb":
            size = (picture.width, picture.height)
            values = (stacked(name) for name in ("betas", "rotations", "translation"))
            write_glb(path, body, *values, camera=camera, size=size)
        case ".obj":
            write_obj(path, stacked("vertices"), body.faces, body.uv, body.faces_uv)
        case ".ply":
            write_ply(path, stacked("vertices"), body.faces)
        case ".npz":
            write_npz(path, persons)
        case ".html":
            write_html(path, persons)
        case ".gif" | ".mp4":
            write_turntable(path, [Motion.of(person, f"person_{index}") for index, person in enumerate(persons)])
        case suffix:
            raise InputError(f"{path}: expected .glb, .obj, .ply or .npz, got {suffix or 'no suffix'!r}")
    return path
