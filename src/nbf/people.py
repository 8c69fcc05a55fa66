"""Results: the `People` in a picture, each a frozen `Person`. Drawing and file formats live in render/ and export/."""

import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from nbf.arguments import shown, whole
from nbf.body.joints import JOINT_SETS
from nbf.body.measure import MEASUREMENTS, measurement_jacobian
from nbf.body.model import BodyModel, BodyOutput
from nbf.body.parts import MERGE
from nbf.certainty import Certainty
from nbf.errors import InputError
from nbf.geometry import Camera, Crop, axis_angle_from_matrix
from nbf.pictures import Picture, check_size

KINDS = {kind: len(names) for kind, names in JOINT_SETS.items()}
"""Joint sets, and how many joints each has; names and order in `nbf.body.joints`."""


@dataclass(frozen=True, eq=False)
class PartMap:
    """Which pixel shows which part of a person: the evidence that the body was fitted to, or may be compared with.

    Attributes:
        probabilities: (25, h, w); 0 is background, 1..24 the parts of `nbf.body.parts`.
        crop: the square window of the picture that the map covers.
    """

    probabilities: Float[Tensor, "25 h w"]
    crop: Crop

    def labels(self, width: int, height: int) -> UInt8[np.ndarray, "{height} {width}"]:
        """The most likely part of each pixel of the picture; 0 outside of the crop. Raises InputError where no picture
        has this size."""
        from nbf.render.parts import part_labels

        check_size(whole(width, "width"), whole(height, "height"), "labels")
        return part_labels(self.probabilities, self.crop, width, height)


@dataclass(frozen=True, eq=False)
class Person:
    """One person: body parameters, the mesh they mean, and the evidence. CPU tensors, OpenCV camera frame, metres.

    Attributes:
        betas: (S,) shape, standard deviations.
        rotations: (24, 3, 3) parent_from_joint; the root's is cam_from_body.
        translation: (3,) metres; moves the body's root, as in SMPL.
        camera: the picture's camera, pixels.
        box: (4,) x0, y0, x1, y1 in pixels of the upright picture.
        score: how sure the locator is that somebody is here, 0..1; 1 for boxes that the caller gave.
        parts: the part map that the segmenter saw, or somebody gave.
        keypoints: (17, 3) COCO-17 as the segmenter saw them: x, y in pixels of the upright picture and a score in 0..1;
            all scores are 0 where nobody looked.
        body: the body model that the parameters belong to; `body_name` is what files call it.
        posed: that model's output for them.
        certainty: how much of the person the picture shows, and how far off the body may be.
        picture: where the person was seen.
    """

    betas: Float[Tensor, " s"]
    rotations: Float[Tensor, "24 3 3"]
    translation: Float[Tensor, "3"]
    camera: Camera
    box: Float[Tensor, "4"]
    score: float
    parts: PartMap
    keypoints: Float[Tensor, "17 3"]
    body: BodyModel
    body_name: str
    posed: BodyOutput
    certainty: Certainty
    picture: Picture

    @property
    def vertices(self) -> Float[Tensor, "v 3"]:
        """Camera frame, metres."""
        return self.posed.vertices

    @property
    def faces(self) -> Int64[Tensor, "f 3"]:
        """Counter-clockwise from outside."""
        return self.body.faces

    def joints_3d(self, kind: str = "smpl24") -> Float[Tensor, "k 3"]:
        """Joints in the camera frame, metres. `kind` is smpl24, coco17 or lsp14; raises InputError for any other."""
        if not isinstance(kind, str) or kind not in KINDS:
            raise InputError(f"joint kind: expected one of {', '.join(KINDS)}, got {shown(kind)}")
        return self.body.keypoints(self.posed, kind)

    def joints_2d(self, kind: str = "smpl24") -> Float[Tensor, "k 2"]:
        """Joints in pixels of the upright picture (x, y; the first pixel covers 0..1); may lie outside of it."""
        return self.camera.project(self.joints_3d(kind))

    @cached_property
    def measurements(self) -> dict[str, tuple[float, float]]:
        """Height, mass, girths and lengths (`nbf.body.measure`), each with the standard deviation that the picture
        leaves (nan where the method does not say); metres and kilograms, as the names' endings say."""
        values, slopes = measurement_jacobian(self.body, self.betas)
        spread = torch.einsum("mi,ij,mj->m", slopes, self.certainty.shape_covariance, slopes).clamp_min(0).sqrt()
        return {name: (float(v), float(s)) for name, v, s in zip(MEASUREMENTS, values, spread)}

    @property
    def guessed_faces(self) -> Bool[Tensor, " f"]:
        """Faces of the parts whose place is a guess."""
        return torch.cat([torch.zeros(1, dtype=torch.bool), self.certainty.guessed])[MERGE[14][self.body.face_parts]]

    def numpy(self) -> dict[str, np.ndarray]:
        """Parameters, mesh, joints, camera and part map as arrays, under the names that the NPZ file uses."""
        from nbf.export.npz import arrays

        return {name: np.asarray(values[0]) for name, values in arrays([self]).items()} | {"faces": self.faces.numpy()}

    def export(
        self, path: str | Path, *, rig: str = "smpl", ground: bool = False, skin: str = "clay", detail: str = "full"
    ) -> Path:
        """Write this person alone; see `People.export`. What the photo shows of others is taken for this person's."""
        from nbf.export import write

        return write([self], path, rig=rig, ground=ground, skin=skin, detail=detail)

    def overlay(self, max_side: int = 1024) -> Image.Image:
        """The mesh over the picture, guessed parts hatched, the longer side at most `max_side` pixels."""
        return self._alone().overlay(max_side)

    def _repr_html_(self) -> str:
        """What notebooks show: a still, a view to turn and the measurements."""
        return self._alone()._repr_html_()

    def _repr_png_(self) -> bytes:
        return self._alone()._repr_png_()

    def _alone(self) -> "People":
        return People((self,), self.picture, self.camera)


@dataclass(frozen=True, eq=False)
class People(Sequence[Person]):
    """The people in one picture, the surest first; empty where nobody was found."""

    persons: tuple[Person, ...]
    picture: Picture
    camera: Camera

    def __len__(self) -> int:
        return len(self.persons)

    @overload
    def __getitem__(self, index: int) -> Person: ...
    @overload
    def __getitem__(self, index: slice) -> "People": ...
    def __getitem__(self, index: int | slice) -> "Person | People":
        if isinstance(index, slice):
            return People(self.persons[index], self.picture, self.camera)
        return self.persons[index]

    def __iter__(self) -> Iterator[Person]:
        return iter(self.persons)

    def __repr__(self) -> str:
        who = "1 person" if len(self) == 1 else f"{len(self)} people"
        lens = "" if self.camera.lens is None else f", lens: {self.camera.lens}"
        return f"People({who} in {self.picture.name}, {self.picture.width} x {self.picture.height} px{lens})"

    def numpy(self) -> list[dict[str, np.ndarray]]:
        """`Person.numpy` of everybody."""
        return [person.numpy() for person in self]

    def export(
        self, path: str | Path, *, rig: str = "smpl", ground: bool = False, skin: str = "clay", detail: str = "full"
    ) -> Path:
        """Write everybody into one file, by its ending, in metres.

        .glb, .usd and .fbx (rigged: T-pose mesh with the pose in its joints), .bvh (skeleton of one person), .obj and
        .ply (posed mesh) are y up; .npz (SMPL and AMASS keys), .csv (joints) and .coco.json (keypoints) are in the
        camera frame, .amass.npz (one person) has z up. docs/files.md has all of it.

        Args:
            path: the file; missing folders are made.
            rig: what joints are called in files with a skeleton: smpl, vrm, mixamo or unreal.
            ground: people stand on the ground, the first of them facing +z, in place of where the camera saw them.
            skin: of bodies in .glb: clay; parts, the 24 parts in colours; photo, as the photo shows them.
            detail: of bodies in .glb: full or small.

        Raises:
            InputError: another ending, an unknown word, nobody to export, several people for a file of one, or a format
                needs what is not installed.
        """
        from nbf.export import write

        return write(self.persons, path, rig=rig, ground=ground, skin=skin, detail=detail)

    def overlay(self, max_side: int = 1024) -> Image.Image:
        """The meshes over the picture, nearer people in front, guessed parts hatched; the longer side is at most
        `max_side` pixels. Raises InputError where that is none."""
        from nbf.render.overlay import overlay

        max_side = whole(max_side, "max_side")
        meshes = _vertices(self.persons), _faces(self.persons)
        return overlay(self.picture.pixels, *meshes, self.camera, max_side, _guessed(self.persons))

    def summary(self) -> Image.Image:
        """Photo, part map, mesh over the photo and mesh from the side, next to each other."""
        from nbf.render.summary import summary

        parts = [(person.parts.probabilities, person.parts.crop) for person in self]
        meshes = _vertices(self.persons), _faces(self.persons)
        return summary(self.picture.pixels, parts, *meshes, self.camera, guessed=_guessed(self.persons))

    def _repr_html_(self) -> str:
        """What notebooks show: a still, a view to turn and the measurements."""
        from nbf.export.page import cell

        return cell(self)

    def _repr_png_(self) -> bytes:
        """What notebooks show that run no scripts."""
        from nbf.export.page import STILL

        png = io.BytesIO()
        self.overlay(STILL).save(png, "png")
        return png.getvalue()

    def part_labels(self) -> UInt8[np.ndarray, "h w"]:
        """The most likely part of each pixel of the picture; where people overlap, of the surest of them."""
        labels = np.zeros((self.picture.height, self.picture.width), np.uint8)
        for person in self:
            own = person.parts.labels(self.picture.width, self.picture.height)
            labels = np.where(labels == 0, own, labels)
        return labels

    def to_json(self) -> str:
        """Everything but meshes and maps: boxes, scores, body parameters, joints, camera, measurements, certainty."""
        return json.dumps(
            {
                "picture": self.picture.name,
                "width": self.picture.width,
                "height": self.picture.height,
                "camera": {
                    "focal": float(self.camera.focal),
                    "center": self.camera.center.tolist(),
                    "lens": self.camera.lens,
                },
                "people": [_record(person) for person in self],
            },
            indent=1,
        )


def _record(person: Person) -> dict[str, Any]:
    def rounded(values: Tensor, digits: int) -> list[Any]:
        return np.round(values.double().numpy(), digits).tolist()

    joints = {
        kind: {"3d": rounded(person.joints_3d(kind), 4), "2d": rounded(person.joints_2d(kind), 2)} for kind in KINDS
    }
    return {
        "box": rounded(person.box, 2),
        "score": round(person.score, 4),
        "body_model": person.body_name,
        "betas": rounded(person.betas, 4),
        "poses": rounded(axis_angle_from_matrix(person.rotations).reshape(-1), 5),
        "trans": rounded(person.translation, 4),
        "joints": joints,
        "measurements": {
            name: {"value": round(value, 4), "sigma": None if math.isnan(sigma) else round(sigma, 4)}
            for name, (value, sigma) in person.measurements.items()
        },
        "certainty": person.certainty.record(),
    }


def _vertices(persons: Sequence[Person]) -> Tensor:
    return torch.stack([person.vertices for person in persons]) if persons else torch.zeros(0, 0, 3)


def _guessed(persons: Sequence[Person]) -> Tensor | None:
    return torch.stack([person.guessed_faces for person in persons]) if persons else None


def _faces(persons: Sequence[Person]) -> Tensor:
    return persons[0].faces if persons else torch.zeros(0, 3, dtype=torch.int64)
