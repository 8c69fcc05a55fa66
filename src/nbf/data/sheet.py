"""Labelled pictures as people look at them: one sheet of them, with their labels drawn over."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from PIL import Image
from torch import Tensor

from nbf.body.model import BodyModel
from nbf.data.joint_orders import ORDERS
from nbf.data.labelled import IGNORE, UNKNOWN, BodyLabel, LabelledPerson, LabelledPicture, LensCamera
from nbf.errors import DataError
from nbf.geometry import matrix_from_axis_angle
from nbf.render import (
    Tile,
    contact_sheet,
    draw_box,
    draw_joints,
    draw_mesh,
    faded,
    over,
    over_labels,
    resized,
)

LEGEND = (
    "blue: the person's left, red: right; rings: unsure; thin and pale: 3D joints through the labelled camera; yellow: "
    "boxes, grey and crossed: ignored"
)
# Pixels; panels in a row of the sheet.
_TILE, _COLUMNS = 360, 4
_SPECIAL = {"parts24": {UNKNOWN: (230, 230, 230), IGNORE: (0, 0, 0)}, "mask": {1: (60, 210, 90), IGNORE: (0, 0, 0)}}

Models = Callable[[BodyLabel], BodyModel | None]
"""The body model that parameters are of; None where it is not at hand."""


def row(picture: LabelledPicture, models: Models) -> Tile:
    """The picture with boxes and joints, each of its label maps over it, and its bodies if their models are at hand.

    Raises:
        DataError: the picture or a label map cannot be read, or they do not belong together.
    """
    pixels = picture.pixels()
    zoom = _TILE / max(pixels.shape[:2])
    photo = resized(pixels, zoom)
    panels = [_people(photo.copy(), picture, zoom)]
    for each in picture.maps:
        labels = each.read()
        if labels.shape != pixels.shape[:2]:
            raise DataError(
                f"{picture.name}: expected a label map ({each.scheme}) of the picture's {pixels.shape[:2]} pixels, got "
                f"{labels.shape}"
            )
        panels.append(over_labels(faded(photo), labels, _SPECIAL.get(each.scheme)))
    posed = [(model, person.body) for person in picture.people if person.body and (model := models(person.body))]
    if posed and picture.camera is not None:
        panels.append(_meshed(photo, posed, picture.camera, zoom))
    known = sum(not person.ignore for person in picture.people)
    people = {0: "nobody", 1: "1 person"}.get(known, f"{known} people")
    return Tile(f"{picture.name}, {picture.split}: {people}", panels)


def sheet(rows: Sequence[Tile], title: str) -> Image.Image:
    """All pictures, some in a row, captions above."""
    panels = max((len(each.panels) for each in rows), default=1)
    return contact_sheet(rows, max(1, _COLUMNS // panels), title, LEGEND)


def _people(photo: Image.Image, picture: LabelledPicture, zoom: float) -> Image.Image:
    # The ignored below: they may cover the picture.
    for person in sorted(picture.people, key=lambda person: not person.ignore):
        if person.box is not None:
            draw_box(photo, person.box * zoom, person.ignore)
        if person.joints_2d is not None:
            joints = person.joints_2d
            draw_joints(photo, ORDERS[joints.order], joints.points * zoom, joints.weight)
        if picture.camera is not None:
            _project(photo, person, picture.camera, zoom)
    return photo


def _project(photo: Image.Image, person: LabelledPerson, camera: LensCamera, zoom: float) -> None:
    joints = person.joints_3d
    if joints is None or person.relative:
        return
    seen = (joints.weight > 0) & (joints.points[:, 2] > 0)
    points = np.zeros((len(seen), 2))
    points[seen] = camera.project(joints.points[seen]) * zoom
    draw_joints(photo, ORDERS[joints.order], points, np.where(seen, joints.weight, 0), pale=True)


def _meshed(
    photo: Image.Image, posed: list[tuple[BodyModel, BodyLabel]], camera: LensCamera, zoom: float
) -> Image.Image:
    for model, label in posed:
        vertices = camera_vertices(model, label)
        photo = over(photo, draw_mesh(vertices[None], model.faces, camera.pinhole().scaled(zoom), *photo.size))
    return photo


def camera_vertices(model: BodyModel, label: BodyLabel) -> Float[Tensor, "v 3"]:
    """The vertices of a labelled body in the camera's frame, metres.

    Raises:
        DataError: the label has more shape components than the model.
    """
    if len(label.betas) > model.shape_count:
        raise DataError(
            f"expected a body model with {len(label.betas)} shape components, as its label has, got one with "
            f"{model.shape_count}; give another file with --body"
        )
    betas = torch.zeros(model.shape_count)
    betas[: len(label.betas)] = torch.from_numpy(label.betas)
    rotations = matrix_from_axis_angle(torch.from_numpy(label.pose))
    vertices = model(betas[None], rotations[None], torch.from_numpy(label.translation)[None]).vertices[0]
    turn, shift = _rigid(label.camera_from_world)
    return vertices @ turn.T + shift


def _rigid(matrix: Float[ndarray, "3 4"]) -> tuple[Tensor, Tensor]:
    both = torch.from_numpy(np.asarray(matrix, np.float32))
    return both[:, :3], both[:, 3]
