"""Results that were saved earlier, read back: the NPZ file of `People.export` -> `People`."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nbf.body.files import load_body
from nbf.body.model import BodyModel, BodyOutput
from nbf.certainty import Certainty
from nbf.errors import InputError
from nbf.geometry import Camera, Crop, matrix_from_axis_angle
from nbf.nets.segmenter import INPUT_SIZE
from nbf.people import PartMap, People, Person
from nbf.pictures import MAX_PIXELS, Picture, PictureLike, read_picture

BODY = "anny24"
"""The one body model whose results can be read: a file names its body model, it does not contain it."""

_SHAPES: dict[str, tuple[int | str, ...]] = {
    "betas": ("s",),
    "poses": (72,),
    "trans": (3,),
    "vertices": ("v", 3),
    "focal": (),
    "center": (2,),
    "image_size": (2,),
    "box": (4,),
    "score": (),
    "parts": (25, 64, 64),
    "parts_center": (2,),
    "parts_size": (),
    "keypoints": (17, 3),
    "certainty_joint_error": (24,),
    "certainty_cells": (14,),
    "certainty_seen": (14,),
    "certainty_cut": (14,),
    "certainty_entropy": (14,),
    "certainty_guessed": (14,),
    "certainty_shape_covariance": ("s", "s"),
}
"""What is read, and its shape behind the number of people; the rest of `nbf.export.npz.KEYS` follows from these."""

_MAYBE_NAN = ("certainty_seen", "certainty_cut", "certainty_entropy")


def load_people(path: str | Path, picture: PictureLike | None = None) -> People:
    """The people in a file that `People.export`, `Person.export` or `nbf predict` wrote.

    Equal to what was saved within the file's precision: float16 for part maps, 1e-5 for rotations. Meshes and joints
    are computed anew from the parameters.

    Args:
        path: the .npz file.
        picture: the picture that the people are in. The file does not contain it: without one, `People.picture` is a
            white one of the right size with the file's name, so that `overlay` and `summary` draw on white.

    Raises:
        InputError: the file is missing, damaged, from another program or for another body model, or the picture cannot
            be read or has another size.
    """
    arrays = _checked(_read(path), path)
    known = {
        name: torch.from_numpy(arrays[name].astype(bool if name == "certainty_guessed" else np.float32))
        for name in _SHAPES
    }
    body = _body(arrays["vertices"].shape[1], known["betas"].shape[1], path)
    width, height = map(int, arrays["image_size"][0])
    seen = _blank(width, height, path) if picture is None else read_picture(picture)
    if (seen.width, seen.height) != (width, height):
        raise InputError(
            f"picture: expected the one that {path} is about, {width} x {height}, got {seen.name}, "
            f"{seen.width} x {seen.height}"
        )
    rotations = matrix_from_axis_angle(known["poses"].reshape(-1, 24, 3))
    with torch.no_grad():
        posed = body(known["betas"], rotations, known["trans"])
    persons = tuple(_person(i, known, rotations, posed, body, seen) for i in range(len(rotations)))
    return People(persons, seen, persons[0].camera)


def _person(
    i: int, known: Mapping[str, Tensor], rotations: Tensor, posed: BodyOutput, body: BodyModel, picture: Picture
) -> Person:
    return Person(
        betas=known["betas"][i],
        rotations=rotations[i],
        translation=known["trans"][i],
        camera=Camera(known["focal"][i], known["center"][i]),
        box=known["box"][i],
        score=float(known["score"][i]),
        parts=PartMap(known["parts"][i], Crop(known["parts_center"][i], known["parts_size"][i], INPUT_SIZE)),
        keypoints=known["keypoints"][i],
        body=body,
        body_name=BODY,
        posed=BodyOutput(posed.vertices[i], posed.joints[i], posed.transforms[i]),
        certainty=Certainty(**{field.name: known[f"certainty_{field.name}"][i] for field in fields(Certainty)}),
        picture=picture,
    )


def _read(path: str | Path) -> dict[str, np.ndarray]:
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            return {}  # a lone array (.npy)
        with file:
            return {name: file[name] for name in {*_SHAPES, "body_model"} & set(file.files)}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a .npz that nbf predict wrote") from None
    # Readers of damaged archives raise whatever their parsers happen to meet (BadZipFile, zlib.error, ValueError ...).
    except Exception as error:
        raise InputError(f"{path}: cannot be read ({error}); expected a .npz that nbf predict wrote") from error


def _checked(arrays: dict[str, np.ndarray], path: str | Path) -> dict[str, np.ndarray]:
    missing = sorted({*_SHAPES, "body_model"} - set(arrays))
    if missing:
        raise InputError(
            f"{path}: expected a .npz that nbf predict wrote, got one without {', '.join(missing)}; files of AMASS and "
            "other programs do not say what was seen in the picture, and those of older versions not all: predict again"
        )
    if str(arrays["body_model"]) != BODY:
        raise InputError(
            f"{path}: expected the body model {BODY}, got {str(arrays['body_model'])!r}; predict again with {BODY}"
        )
    sizes: dict[str, int] = {}
    for name, tail in _SHAPES.items():
        array, expected = arrays[name], ("n", *tail)
        fits = array.ndim == len(expected) and all(
            got == (sizes.setdefault(side, got) if isinstance(side, str) else side)
            for side, got in zip(expected, array.shape, strict=True)
        )
        if not fits or len(array) == 0 or array.dtype.kind not in "fiub":
            raise InputError(
                f"{path}: expected numbers of shape ({', '.join(map(str, expected))}) in {name}, got {array.dtype} of "
                f"shape {array.shape}; the file was changed or damaged, predict again"
            )
        if name not in _MAYBE_NAN and not np.isfinite(array).all():
            raise InputError(f"{path}: expected finite numbers in {name}, got nan or infinity; predict again")
    if (arrays["image_size"] != arrays["image_size"][0]).any():
        raise InputError(f"{path}: expected people in one picture, got several picture sizes; give a file for each")
    return arrays


def _body(vertices: int, components: int, path: str | Path) -> BodyModel:
    """The level of detail that the file was made with."""
    for detail in ("full", "small"):
        body = load_body(BODY, detail)
        if (len(body.template), body.shape_count) == (vertices, components):
            return body
    raise InputError(
        f"{path}: {vertices} vertices and {components} betas are those of another version of {BODY}; predict "
        "again with this version of nbf"
    )


def _blank(width: int, height: int, path: str | Path) -> Picture:
    if not (min(width, height) > 0 and width * height <= MAX_PIXELS):
        raise InputError(f"{path}: expected image_size of a picture, got {width} x {height}; predict again")
    return Picture(np.full((height, width, 3), 255, np.uint8), str(path))
