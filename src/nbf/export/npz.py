"""People as NumPy archives, under the names that SMPL and AMASS tools use: written, and read back.

`KEYS` is the one list of what such a file holds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast, get_args
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import torch
from torch import Tensor

from nbf import __version__
from nbf.arguments import path as checked_path
from nbf.body.files import bundled_body
from nbf.body.model import BodyModel, BodyOutput
from nbf.certainty import Certainty
from nbf.errors import InputError
from nbf.export.world import CAMERA, UNIT
from nbf.files import replacing
from nbf.geometry import Camera, Crop, axis_angle_from_matrix, matrix_from_axis_angle
from nbf.geometry.camera import Lens
from nbf.nets.segmenter import INPUT_SIZE
from nbf.people import KINDS, PartMap, People, Person
from nbf.pictures import MAX_PIXELS, Picture, PictureLike, read_picture
from nbf.reading import Array, Damaged, read_npz, refusing

BODY = "anny24"
"""The one body model whose results can be read: a file names its body model, it does not contain it."""


_FAR = 1e6
"""Far beyond any picture in pixels, and anybody in metres; squares of it are still exact enough."""
_ROUNDING = 1e-3
"""Of shares, when results are computed."""
_LEAST_VARIANCE = 1e-6
"""Of the least over the greatest number in a covariance."""
_LONGEST_NAME = 255
_SHAPES_OFF = 100.0
"""Betas that no body has."""


@dataclass(frozen=True)
class Key:
    """One array of a file of n people."""

    what: str
    shape: tuple[int | str, ...]
    """Behind the number of people, where there is one; letters are sizes that the body model has."""
    read: bool = True
    """Whether reading needs it; the rest follows from what does."""
    low: float = -_FAR
    high: float = _FAR
    """The least and the greatest number that reading takes."""
    nan: bool = False
    """Whether it may be unknown."""
    optional: bool = False
    """Whether older files lack it, of whom it is unknown then."""
    dtype: Any = np.float32


KEYS = {
    "betas": Key(
        "shape, standard deviations of the body model's components", ("s",), low=-_SHAPES_OFF, high=_SHAPES_OFF
    ),
    "poses": Key("axis-angle of the 24 joints in SMPL's order, radians; as AMASS", (72,), low=-100, high=100),
    "global_orient": Key("the first of them: cam_from_body", (3,), read=False),
    "body_pose": Key("the rest; as smplx", (69,), read=False),
    "trans": Key("translation in the camera frame (x right, y down, z forward), metres", (3,)),
    "vertices": Key("camera frame, metres", ("v", 3)),
    **{f"joints_3d_{kind}": Key("camera frame, metres", (n, 3), read=False) for kind, n in KINDS.items()},
    **{f"joints_2d_{kind}": Key("pixels of the upright picture", (n, 2), read=False) for kind, n in KINDS.items()},
    "focal": Key("pixels", (), low=1),
    "center": Key("principal point, pixels", (2,)),
    "image_size": Key("width, height of the upright picture, pixels", (2,), dtype=np.int64),
    "box": Key("x0, y0, x1, y1, pixels", (4,)),
    "score": Key("0..1", (), low=0, high=1 + _ROUNDING),
    "parts": Key("part probabilities in the crop, float16", (25, 64, 64), low=0, high=1 + _ROUNDING),
    "parts_center": Key("centre of that crop in the picture, pixels", (2,)),
    "parts_size": Key("its side, pixels", (), low=1),
    "keypoints": Key("COCO-17 as seen by the segmenter: x, y pixels, score", (17, 3)),
    "measurements": Key("value and standard deviation of nbf.body.measure.MEASUREMENTS", (7, 2), read=False),
    "certainty_joint_error": Key(
        "metres; this and what follows as nbf.certainty.Certainty says", (24,), low=0, nan=True
    ),
    "certainty_cells": Key("cells of the part map", (14,), low=0, high=64 * 64),
    "certainty_seen": Key("0..1", (14,), low=-_ROUNDING, high=1 + _ROUNDING, nan=True),
    "certainty_cut": Key("0..1", (14,), low=-_ROUNDING, high=1 + _ROUNDING, nan=True),
    "certainty_entropy": Key("nats", (14,), low=-_ROUNDING, high=10, nan=True),
    "certainty_guessed": Key("bool", (14,), dtype=bool),
    "certainty_shape_covariance": Key("of betas", ("s", "s"), nan=True),
    "certainty_keypoint_covariance": Key(
        "of COCO-17 of the body, pixels squared", (17, 2, 2), low=-(_FAR**2), high=_FAR**2, nan=True, optional=True
    ),
}
"""What the file holds of every person; beside it `faces` (F, 3), counter-clockwise from outside, `body_model`, the name
of the body model that betas and vertices belong to, `lens`, how the focal length came about, empty where unknown,
`picture`, the name of the photo, and what the file says of itself.
"""
_STATEMENT = {"nbf": __version__, "unit": UNIT, "frame": CAMERA}
_READ = {
    "body_model": Array("U", ()),
    "lens": Array("U", (), optional=True),
    "picture": Array("U", (), optional=True),
    **{
        name: Array(key.dtype, ("n", *key.shape), key.low, key.high, key.nan, key.optional)
        for name, key in KEYS.items()
        if key.read
    },
}
_WANTED = (
    "a .npz that nbf predict wrote",
    "files of AMASS and other programs do not say what was seen in the picture, and those of older versions not all: "
    "predict again",
)


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
    body = {
        "faces": persons[0].faces.numpy(),
        "body_model": np.array(persons[0].body_name),
        "lens": np.array(persons[0].camera.lens or ""),
        "picture": np.array(Path(persons[0].picture.name).name),
        **{name: np.array(text) for name, text in _STATEMENT.items()},
    }
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
            white one of the right size with its name, so that `overlay` and `summary` draw on white.

    Raises:
        InputError: the file is missing, damaged, from another program or for another body model, or the picture cannot
            be read or has another size.
    """
    path = checked_path(path, "path")
    known, lens, name = _read(path)
    sizes = known["vertices"].shape[1], known["betas"].shape[1]
    body = bundled_body(BODY, *sizes)
    if body is None:
        raise InputError(
            f"{path}: {sizes[0]} vertices and {sizes[1]} betas are those of another version of {BODY}; predict again "
            "with this version of nbf"
        )
    width, height = map(int, known["image_size"][0])
    with refusing(InputError, path, *_WANTED):
        _check(known)
    seen = _blank(width, height, name or str(path)) if picture is None else read_picture(picture)
    if (seen.width, seen.height) != (width, height):
        raise InputError(
            f"picture: expected the one that {path} is about, {width} x {height}, got {seen.name}, "
            f"{seen.width} x {seen.height}"
        )
    rotations = matrix_from_axis_angle(known["poses"].reshape(-1, 24, 3))
    with torch.no_grad():
        posed = body(known["betas"], rotations, known["trans"])
    if not bool((posed.joints[:, 0, 2] > 0).all() and posed.vertices.isfinite().all()):
        raise InputError(f"{path}: expected people in front of the camera, got some behind it; predict again")
    cameras = Camera(known["focal"], known["center"], lens)
    persons = tuple(_person(i, known, cameras[i], rotations, posed, body, seen) for i in range(len(rotations)))
    return People(persons, seen, persons[0].camera)


def _person(
    i: int,
    known: Mapping[str, Tensor],
    camera: Camera,
    rotations: Tensor,
    posed: BodyOutput,
    body: BodyModel,
    picture: Picture,
) -> Person:
    return Person(
        betas=known["betas"][i],
        rotations=rotations[i],
        translation=known["trans"][i],
        camera=camera,
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


def _read(path: str | Path) -> tuple[dict[str, Tensor], Lens | None, str]:
    """The arrays that reading needs, as tensors, each on its own as `KEYS` has it; how the focal length came about; the
    name of the photo, empty where unknown."""
    with refusing(InputError, path, *_WANTED):
        arrays = read_npz(path, _READ)
        model, lens = str(arrays.pop("body_model")), str(arrays.pop("lens", ""))
        name = str(arrays.pop("picture", ""))[:_LONGEST_NAME]
        if lens and lens not in get_args(Lens):
            raise Damaged(f"expected one of {', '.join(get_args(Lens))} in lens, got {lens[:80]!a}")
        if len(arrays["betas"]) == 0:
            raise Damaged("it holds nobody")
    if model != BODY:
        raise InputError(f"{path}: expected the body model {BODY}, got {model[:80]!a}; predict again with {BODY}")
    if (arrays["image_size"] != arrays["image_size"][0]).any():
        raise InputError(f"{path}: expected people in one picture, got several picture sizes; give a file for each")
    width, height = map(int, arrays["image_size"][0])
    if not (min(width, height) > 0 and width * height <= MAX_PIXELS):
        raise InputError(f"{path}: expected image_size of a picture, got {width} x {height}; predict again")
    for key in KEYS.keys() & _READ.keys() - arrays.keys():
        arrays[key] = np.full((len(arrays["betas"]), *KEYS[key].shape), np.nan, np.float32)
    known = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return known, cast(Lens, lens) if lens else None, name


def _check(known: Mapping[str, Tensor]) -> None:
    """What arrays must be besides numbers in a range. Raises Damaged."""
    box, parts, keypoints = known["box"], known["parts"], known["keypoints"]
    if not bool((box[:, 2:] > box[:, :2]).all()):
        raise Damaged("expected x0 < x1 and y0 < y1 in box")
    reach, size = known["parts_size"][:, None] / 2, known["image_size"]
    windows = {
        "box": (box[:, :2], box[:, 2:]),
        "parts_center": (known["parts_center"] - reach, known["parts_center"] + reach),
    }
    for name, (low, high) in windows.items():
        if not bool(((high > 0) & (low < size)).all()):
            raise Damaged(f"expected a window of the picture in {name}, got one beside it")
    # Two thousandths of rounding for each part.
    if not bool(((parts.sum(1) - 1).abs() < 25 * 2 * _ROUNDING).all()):
        raise Damaged("expected probabilities that sum to one in parts")
    if not bool(((keypoints[..., 2] >= 0) & (keypoints[..., 2] <= 1 + _ROUNDING)).all()):
        raise Damaged("expected scores from 0 to 1 in keypoints")
    for covariance in known["certainty_shape_covariance"].double():
        if bool(covariance.isnan().all()):
            continue
        largest = covariance.abs().max()
        even = bool(((covariance - covariance.mT).abs() <= _ROUNDING * largest).all())
        # Steeper ones have no inverse in float32.
        if not even or not bool(torch.linalg.eigvalsh(covariance)[0] > _LEAST_VARIANCE * largest.clamp_min(1e-3)):
            raise Damaged("expected nan, or a covariance that can be inverted, in certainty_shape_covariance")


def _blank(width: int, height: int, name: str) -> Picture:
    return Picture(np.full((height, width, 3), 255, np.uint8), name)
