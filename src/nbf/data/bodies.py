"""Bodies of one model for the people of a data set, whatever its own labels are parameters of: what training needs.

`nbf data bodies` writes them; `nbf.body` says what the numbers mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy import ndarray

from nbf.errors import DataError
from nbf.files import replacing


@dataclass(frozen=True, eq=False)
class SetBodies:
    """n bodies, each tied to a person by the picture's name and the person's place in it."""

    data: str
    """Name of the data set."""
    body_name: str
    """The body model: anny24, or the fingerprint of a file."""
    names: ndarray
    """(n,) of the pictures."""
    person: Int64[ndarray, " n"]
    betas: Float32[ndarray, "n s"]
    pose: Float32[ndarray, "n 24 3"]
    """Axis-angle, parent_from_joint; the root's is cam_from_body."""
    translation: Float32[ndarray, "n 3"]
    """Metres in the camera's frame, as `BodyModel.forward` takes it."""
    error: Float32[ndarray, " n"]
    """Metres: mean distance of what was fitted from what was labelled."""
    kept: Bool[ndarray, " n"]
    """The fit is good enough to learn from."""

    @cached_property
    def rows(self) -> dict[tuple[str, int], int]:
        """Row of each person whose body is kept."""
        people = zip(self.names.tolist(), self.person.tolist())
        return {who: row for row, (who, kept) in enumerate(zip(people, self.kept.tolist())) if kept}

    @classmethod
    def joined(cls, files: "Sequence[SetBodies]") -> "SetBodies":
        """The people of all files of one data set, such as of several splits.

        Raises:
            DataError: the bodies are of several models.
        """
        if len({(each.data, each.body_name, each.betas.shape[1]) for each in files}) != 1:
            raise DataError(f"bodies: expected files of one data set and one body model, got {len(files)} of several")
        arrays = {name: np.concatenate([getattr(each, name) for each in files]) for name in _FIELDS[2:]}
        return cls(files[0].data, files[0].body_name, **arrays)

    def save(self, path: Path) -> None:
        """Write a compressed .npz."""
        arrays = {name: np.asarray(value) for name, value in vars(self).items() if name in _FIELDS}
        with replacing(path) as draft:
            np.savez_compressed(draft, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "SetBodies":
        """Read what `nbf data bodies` wrote.

        Raises:
            DataError: the file is missing, damaged or something else.
        """
        if not path.is_file():
            raise DataError(f"{path}: no such file; make it with `nbf data bodies`")
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays: dict[str, Any] = {name: file[name] for name in _FIELDS}
            arrays |= {name: str(arrays[name]) for name in ("data", "body_name")}
            return cls(**arrays)
        # Readers of damaged archives raise whatever their parsers happen to meet.
        except Exception as error:
            raise DataError(f"{path}: expected a file of `nbf data bodies`, got {error!r}; make it anew") from error


_FIELDS = tuple(SetBodies.__dataclass_fields__)
