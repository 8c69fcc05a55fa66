"""Bodies of one model for the people of a data set, whatever its own labels are parameters of: what training needs.

`nbf data bodies` writes them; `nbf.body` says what the numbers mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy import ndarray

from nbf.errors import DataError
from nbf.files import replacing
from nbf.reading import Array, Damaged, read_npz, refusing

# Metres, radians or units of shape that only fits that ran away have.
_FAR = 1e6
_ARRAYS = {
    "data": Array(np.str_, ()),
    "body_name": Array(np.str_, ()),
    "names": Array(np.str_, ("n",)),
    "person": Array(np.int64, ("n",), low=0),
    "betas": Array(np.float32, ("n", "s"), low=-_FAR, high=_FAR, nan=True),
    "pose": Array(np.float32, ("n", 24, 3), low=-_FAR, high=_FAR, nan=True),
    "translation": Array(np.float32, ("n", 3), low=-_FAR, high=_FAR, nan=True),
    "error": Array(np.float32, ("n",), low=0, high=_FAR, nan=True),
    "kept": Array(bool, ("n",)),
}
_FITTED = ("betas", "pose", "translation", "error")


@dataclass(frozen=True, eq=False)
class SetBodies:
    """n bodies, each tied to a person by the picture's name and the person's place in it. Those that are kept have
    finite numbers."""

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
        arrays = {name: np.concatenate([getattr(each, name) for each in files]) for name in list(_ARRAYS)[2:]}
        return cls(files[0].data, files[0].body_name, **arrays)

    def save(self, path: Path) -> None:
        """Write a compressed .npz, with nan for the numbers of fits that ran away."""
        arrays = {name: np.asarray(getattr(self, name)) for name in _ARRAYS}
        arrays |= {name: np.where(np.abs(arrays[name]) <= _FAR, arrays[name], np.float32(np.nan)) for name in _FITTED}
        with replacing(path) as draft:
            np.savez_compressed(draft, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "SetBodies":
        """Read what `nbf data bodies` wrote.

        Raises:
            DataError: the file is missing, damaged or something else.
        """
        with refusing(DataError, path, "bodies for a data set", "make them with `nbf data bodies`"):
            arrays = read_npz(path, _ARRAYS)
            if not all(bool(np.isfinite(arrays[name][arrays["kept"]]).all()) for name in _FITTED):
                raise Damaged("expected finite numbers of bodies that are kept, got nan")
        return cls(str(arrays.pop("data")), str(arrays.pop("body_name")), **arrays)
