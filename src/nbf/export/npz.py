"""People as NumPy archives, under the names that SMPL and AMASS tools use: written, and read back.

`KEYS` is the one list of what such a file holds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import torch
from torch import Tensor

from nbf.arguments import path as checked_path
from nbf.body.files import load_body
from nbf.body.model import BodyModel, BodyOutput
from nbf.certainty import Certainty
from nbf.errors import InputError
from nbf.files import replacing
from nbf.geometry import Camera, Crop, axis_angle_from_matrix, matrix_from_axis_angle
from nbf.nets.segmenter import INPUT_SIZE
from nbf.people import KINDS, PartMap, People, Person
from nbf.pictures import MAX_PIXELS, Picture, PictureLike, read_picture

BODY = "anny24"
"""The one body model whose results can be read: a file names its body model, it does not contain it."""


@dataclass(frozen=True)
class Key:
    """One array of a file of n people."""

    what: str
    shape: tuple[int | str, ...]
    """Behind the number of people, where there is one; letters are sizes that the body model has."""
    read: bool = True
    """Whether reading needs it; the rest follows from what does."""
    nan: bool = False
    """Whether it may be unknown."""


KEYS = {
    "betas": Key("shape, standard deviations of the body model's components", ("s",)),
    "poses": Key("axis-angle of the 24 joints in SMPL's order, radians; as AMASS", (72,)),
    "global_orient": Key("the first of them: cam_from_body", (3,), read=False),
    "body_pose": Key("the rest; as smplx", (69,), read=False),
    "trans": Key("translation in the camera frame (x right, y down, z forward), metres", (3,)),
    "vertices": Key("camera frame, metres", ("v", 3)),
    **{f"joints_3d_{kind}": Key("camera frame, metres", (n, 3), read=False) for kind, n in KINDS.items()},
    **{f"joints_2d_{kind}": Key("pixels of the upright picture", (n, 2), read=False) for kind, n in KINDS.items()},
    "focal": Key("pixels", ()),
    "center": Key("principal point, pixels", (2,)),
    "image_size": Key("width, height of the upright picture, pixels", (2,)),
    "box": Key("x0, y0, x1, y1, pixels", (4,)),
    "score": Key("0..1", ()),
    "parts": Key("part probabilities in the crop, float16", (25, 64, 64)),
    "parts_center": Key("centre of that crop in the picture, pixels", (2,)),
    "parts_size": Key("its side, pixels", ()),
    "keypoints": Key("COCO-17 as seen by the segmenter: x, y pixels, score", (17, 3)),
    "measurements": Key("value and standard deviation of nbf.body.measure.MEASUREMENTS", (7, 2), read=False),
    "certainty_joint_error": Key("metres; this and what follows as nbf.certainty.Certainty says", (24,), nan=True),
    "certainty_cells": Key("cells of the part map", (14,)),
    "certainty_seen": Key("0..1", (14,), nan=True),
    "certainty_cut": Key("0..1", (14,), nan=True),
    "certainty_entropy": Key("nats", (14,), nan=True),
    "certainty_guessed": Key("bool", (14,)),
    "certainty_shape_covariance": Key("of betas", ("s", "s"), nan=True),
}
"""What the file holds of every person; beside it `faces` (F, 3), counter-clockwise from outside, and `body_model`, the
name of the body model that betas and vertices belong to."""
_READ = {name: key for name, key in KEYS.items() if key.read}


def arrays(persons: Sequence[Person]) -> dict[str, np.ndarray]:
    """The arrays of n people, n first, as `KEYS` has them."""

    def stacked(values: Iterator[Tensor], dtype: torch.dtype = torch.float32) -> np.ndarray:
        return torch.stack(list(values)).to(dtype).numpy()

    poses = stacked(axis_angle_from_matrix(person.rotations).reshape(-1) for person in persons)
    arrays = {
        "betas": stacked(person.betas for person in persons),
        "poses": poses,
        "global_orient": poses[:, :3],
        "body_pose": poses[:, 3:],
        "trans": stacked(person.translation for person in persons),
        "vertices": stacked(person.vertices for person in persons),
        "focal": stacked(person.camera.focal for person in persons),
        "center": stacked(person.camera.center for person in persons),
        "image_size": np.array([[person.picture.width, person.picture.height] for person in persons]),
        "box": stacked(person.box for person in persons),
        "score": np.array([person.score for person in persons], np.float32),
        "parts": stacked((person.parts.probabilities for person in persons), torch.float16),
        "parts_center": stacked(person.parts.crop.center for person in persons),
        "parts_size": stacked(person.parts.crop.size for person in persons),
        "keypoints": stacked(person.keypoints for person in persons),
        "measurements": np.array([list(person.measurements.values()) for person in persons], np.float32),
        **{
            f"certainty_{field.name}": stacked(
                (getattr(person.certainty, field.name) for person in persons),
                torch.bool if field.name == "guessed" else torch.float32,
            )
            for field in fields(Certainty)
        },
    }
    for kind in KINDS:
        arrays[f"joints_3d_{kind}"] = stacked(person.joints_3d(kind) for person in persons)
        arrays[f"joints_2d_{kind}"] = stacked(person.joints_2d(kind) for person in persons)
    return arrays


def write_npz(path: str | Path, persons: Sequence[Person]) -> None:
    """Write people in one picture, compressed."""
    body = {"faces": persons[0].faces.numpy(), "body_model": np.array(persons[0].body_name)}
    # As `numpy.savez_compressed`, whose level takes thrice the time for files that are 4 % smaller.
    with replacing(path) as draft, ZipFile(draft, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in {**arrays(persons), **body}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


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
    path = checked_path(path, "path")
    arrays = _checked(_read(path), path)
    known = {
        name: torch.from_numpy(arrays[name].astype(bool if name == "certainty_guessed" else np.float32))
        for name in _READ
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
            return {name: file[name] for name in {*_READ, "body_model"} & set(file.files)}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a .npz that nbf predict wrote") from None
    # Readers of damaged archives raise whatever their parsers happen to meet (BadZipFile, zlib.error, ValueError ...).
    except Exception as error:
        raise InputError(f"{path}: cannot be read ({error}); expected a .npz that nbf predict wrote") from error


def _checked(arrays: dict[str, np.ndarray], path: str | Path) -> dict[str, np.ndarray]:
    missing = sorted({*_READ, "body_model"} - set(arrays))
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
    for name, key in _READ.items():
        array, expected = arrays[name], ("n", *key.shape)
        fits = array.ndim == len(expected) and all(
            got == (sizes.setdefault(side, got) if isinstance(side, str) else side)
            for side, got in zip(expected, array.shape, strict=True)
        )
        if not fits or len(array) == 0 or array.dtype.kind not in "fiub":
            raise InputError(
                f"{path}: expected numbers of shape ({', '.join(map(str, expected))}) in {name}, got {array.dtype} of "
                f"shape {array.shape}; the file was changed or damaged, predict again"
            )
        if not key.nan and not np.isfinite(array).all():
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
