"""What a server does with people, without a word of HTTP: find, refit, write files. Runs in the worker's thread."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

from nbf.body.joints import JOINT_SETS, PARENTS
from nbf.body.parts import COLORS, MERGE, NAMES, PARTS24
from nbf.corrections import Correction
from nbf.errors import InputError
from nbf.export.formats import FORMATS
from nbf.geometry import Crop
from nbf.known import Facts, Known
from nbf.nets.segmenter import INPUT_SIZE
from nbf.people import People, Person
from nbf.pictures import read_stream
from nbf.predictor import Predictor
from nbf.proxy.part_files import write_part_map
from nbf.render.parts import part_labels
from nbf.web.limits import Limits
from nbf.web.results import Result, new_id
from nbf.web.schema import PersonToRefit, RefitRequest

BODIES = {
    "glb": "model/gltf-binary",
    "obj": "model/obj",
    "ply": "application/octet-stream",
    "npz": "application/octet-stream",
    "html": "text/html; charset=utf-8",
    "bvh": "application/octet-stream",
    "amass.npz": "application/octet-stream",
    "coco.json": "application/json",
    "csv": "text/csv; charset=utf-8",
}
"""Files that `People.export` writes within a second and without other programs, by ending, and their media types."""
ALONE = tuple(name for name in BODIES for each in FORMATS.values() if each.alone and f".{name}" in each.endings)
"""Of these, those that hold one person."""
PICTURES = {"photo.jpg": "image/jpeg", "overlay.png": "image/png", "summary.png": "image/png", "parts.png": "image/png"}
"""Files of a whole photo."""

_PHOTO_SIDE = 2048
"""Pixels of the longer side of `photo.jpg`: what screens show."""
_FACTS = tuple(Known.__dataclass_fields__.keys() - {"shape"})


class Service:
    """A predictor, for clients."""

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        self.predictor, self.limits = predictor, limits

    def find(self, photo: bytes, options: dict[str, Any], facts: dict[str, Any]) -> Result:
        """Everybody in a photo; `options` are of `Predictor.predict`, `facts` of `Known`. Raises InputError."""
        picture = read_stream(io.BytesIO(photo), "photo", self.limits.pixels)
        self._check_count(len(options["boxes"] or ()))
        most = min(options.pop("max_people", None) or self.limits.people, self.limits.people)
        people = self.predictor.predict(picture, known=Known(**facts), max_people=most, **options)
        return self._result(people)

    def refit(self, people: People, request: RefitRequest) -> Result:
        """Some of them anew, and others who were missed. Raises InputError."""
        self._check_count(len(request.people))
        missed = iter(self._missed(people, [each.box for each in request.people if each.box is not None]))
        chosen = tuple(next(missed) if each.person is None else _chosen(people, each.person) for each in request.people)
        if len(set(map(id, chosen))) < len(chosen):
            raise InputError("people: expected each person once")
        told: dict[str, Any] = {"focal": request.focal, "center": request.center}
        if chosen:
            told["known"] = [Facts(**{name: getattr(each, name) for name in _FACTS}) for each in request.people]
            told["corrections"] = [_correction(each) for each in request.people]
        return self._result(self.predictor.refit(replace(people, persons=chosen), **told))

    def _missed(self, people: People, boxes: Sequence[list[float]]) -> Sequence[Person]:
        if not boxes:
            return ()
        camera = people.camera
        lens = {"focal": float(camera.focal), "center": camera.center.tolist()}
        return self.predictor.predict(people.picture, boxes=boxes, **lens)

    def _check_count(self, people: int) -> None:
        if people > self.limits.people:
            raise InputError(f"people: expected at most {self.limits.people} at a time, got {people}; ask for fewer")

    def body_file(self, people: People, suffix: str, person: int | None) -> bytes:
        """A file of everybody or of one of them. Raises InputError where there is nobody."""
        if person is not None:
            people = replace(people, persons=(_chosen(people, person),))
        with TemporaryDirectory() as folder:
            return people.export(Path(folder) / f"body.{suffix}").read_bytes()

    def picture_file(self, people: People, name: str) -> bytes:
        """One of `PICTURES`."""
        match name:
            case "photo.jpg":
                photo = Image.fromarray(people.picture.pixels)
                photo.thumbnail((_PHOTO_SIDE, _PHOTO_SIDE))
                return _encoded(photo, "JPEG", quality=90)
            case "parts.png":
                return _labels_png(people.part_labels())
            case "overlay.png":
                return _encoded(people.overlay(), "PNG", compress_level=3)
            case _:
                return _encoded(people.summary(), "PNG", compress_level=3)

    def window_file(self, people: People, person: int) -> bytes:
        """A person's part map as 256 x 256 labels, PNG. Raises InputError where there is no such person."""
        parts = _chosen(people, person).parts
        whole = torch.tensor(float(INPUT_SIZE))
        crop = Crop((whole / 2).expand(2), whole, INPUT_SIZE)
        return _labels_png(part_labels(parts.probabilities, crop, INPUT_SIZE, INPUT_SIZE))

    def vertices_file(self, people: People) -> bytes:
        """float32, little endian: x, y, z of each vertex of each person in the camera's frame, metres."""
        return b"".join(person.vertices.numpy().astype("<f4").tobytes() for person in people)

    def faces_file(self) -> bytes:
        """uint16, little endian: of each face three vertices, counter-clockwise from outside, and its part of 14."""
        body = self.predictor.body
        parts = MERGE[14][body.face_parts]
        return np.concatenate([body.faces.numpy(), parts[:, None].numpy()], axis=1).astype("<u2").tobytes()

    def body_model(self) -> dict[str, Any]:
        """As `nbf.web.schema.BodyModel`."""
        return {
            "joints": {kind: list(names) for kind, names in JOINT_SETS.items()},
            "parents": list(PARENTS),
            "parts": list(PARTS24),
            "colors": COLORS.tolist(),
            "merged_parts": list(NAMES[14]),
            "vertices": len(self.predictor.body.template),
            "faces": len(self.predictor.body.faces),
            "files": list(BODIES),
            "files_of_one": list(ALONE),
        }

    def _result(self, people: People) -> Result:
        id = new_id()
        document = json.loads(people.to_json())
        del document["picture"]
        for person, entry in zip(people, document["people"]):
            crop = person.parts.crop
            entry["keypoints"] = np.round(person.keypoints.double().numpy(), 3).tolist()
            entry["window"] = {"center": crop.center.tolist(), "size": float(crop.size)}
        document = {"id": id, "keep_seconds": 60 * self.limits.keep_minutes} | document
        return Result(id, people, json.dumps(document, allow_nan=False).encode())


def _chosen(people: People, person: int) -> Person:
    if not 0 <= person < len(people):
        raise InputError(
            f"person: expected 0 to {len(people) - 1}, got {person}" if people else "person: there is nobody"
        )
    return people[person]


def _correction(told: PersonToRefit) -> Correction:
    return Correction(
        joints=told.joints, paint=None if told.paint is None else _paint(told.paint), swap=tuple(told.swap)
    )


def _paint(runs: Sequence[tuple[int, int]]) -> np.ndarray:
    """(256, 256) labels. Raises InputError where the runs are of others."""
    expected = f"paint: expected runs of label and count, {INPUT_SIZE**2} labels in all"
    if any(not 0 <= label <= 255 or not 0 <= count <= INPUT_SIZE**2 for label, count in runs):
        raise InputError(f"{expected}, got others")
    if (total := sum(count for _, count in runs)) != INPUT_SIZE**2:
        raise InputError(f"{expected}, got {total}")
    labels, counts = np.array(runs).T
    return np.repeat(labels.astype(np.uint8), counts).reshape(INPUT_SIZE, INPUT_SIZE)


def _labels_png(labels: np.ndarray) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "labels.png"
        write_part_map(labels, path)
        return path.read_bytes()


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()
