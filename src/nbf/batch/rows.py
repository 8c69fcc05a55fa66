"""People in a photo -> rows of `nbf.batch.schema`, and back to bodies."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from nbf import __version__
from nbf.batch.schema import COLUMNS, PERSON, SCHEMA
from nbf.batch.sources import Photo
from nbf.body.bodies import Bodies
from nbf.body.model import BodyModel
from nbf.errors import InputError
from nbf.export.npz import arrays
from nbf.geometry import matrix_from_axis_angle
from nbf.people import People


def rows(photo: Photo, found: People | Exception, files: Sequence[Sequence[str]] = ()) -> list[dict[str, Any]]:
    """The rows of one photo: one a person, or one that says that nobody is there or what went wrong. `files` are the
    names of what was written of each person."""
    common = {"photo": photo.number, "key": photo.key, "source": photo.shown, "nbf": __version__}
    if isinstance(found, Exception):
        return [common | {"error": str(found)}]
    camera = found.camera
    common |= {
        "width": found.picture.width,
        "height": found.picture.height,
        "focal": float(camera.focal),
        "center": camera.center.tolist(),
        "lens": camera.lens,
    }
    if not found:
        return [common]
    values = arrays(found.persons)
    return [
        common
        | {name: values[name][i].reshape(-1) if COLUMNS[name].shape else float(values[name][i]) for name in PERSON}
        | {"person": i, "body_model": person.body_name, "files": list(files[i]) if files else []}
        for i, person in enumerate(found)
    ]


def table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as Parquet has them."""
    return pa.Table.from_pylist(rows, SCHEMA)


def bodies(table: pa.Table, body: BodyModel) -> Bodies:
    """The bodies in rows, in order, without those that have no person: `bodies(table, body).posed(body)` are meshes.

    Args:
        table: rows with at least the columns betas, poses and trans.
        body: the model that the column body_model names, `nbf.load_body("anny24")`, in any detail.

    Raises:
        InputError: the rows are of another body model, or lack those columns.
    """
    missing = [name for name in ("betas", "poses", "trans") if name not in table.column_names]
    if missing:
        raise InputError(f"table: expected rows that nbf batch wrote, got some without {', '.join(missing)}")
    known = table.filter(table["betas"].is_valid())

    def numbers(name: str, width: int) -> torch.Tensor:
        values = np.array(known[name].combine_chunks().flatten(), np.float32)
        if len(values) != width * len(known):
            raise InputError(f"table: expected {width} numbers a person in {name}; give the body model of these rows")
        return torch.from_numpy(values).reshape(-1, width)

    rotations = matrix_from_axis_angle(numbers("poses", 72).unflatten(1, (24, 3)))
    return Bodies.placed(body, numbers("betas", body.shape_count), rotations, numbers("trans", 3))
