"""The one schema of a batch's Parquet files: a row for each person, and one for each photo without any."""

import math
from dataclasses import dataclass

import pyarrow as pa

from nbf import __version__
from nbf.export.npz import KEYS
from nbf.export.world import CAMERA, UNIT

_NUMBER = pa.float32()


@dataclass(frozen=True)
class Column:
    """One column. Arrays are lists, the last index fastest."""

    what: str
    type: pa.DataType
    shape: tuple[int | str, ...] = ()
    """Of an array; letters are sizes that the body model has."""
    always: bool = False
    """Whether every row has it; otherwise it is null where it does not apply."""

    def field(self, name: str) -> pa.Field:
        """As the files have it."""
        sizes = [size for size in self.shape if isinstance(size, int)]
        kind = self.type
        if self.shape:
            element = pa.field("element", kind)  # as Parquet calls it
            kind = pa.list_(element, math.prod(sizes) if len(sizes) == len(self.shape) else -1)
        about = {"description": self.what, "shape": " x ".join(map(str, self.shape))}
        return pa.field(name, kind, not self.always, {key: text for key, text in about.items() if text})


def _as_npz(*names: str) -> dict[str, Column]:
    """Arrays of a person that NPZ files have as well, under the same names."""
    return {name: Column(KEYS[name].what, _NUMBER, KEYS[name].shape) for name in names}


PERSON = _as_npz(
    *("box", "score", "betas", "poses", "trans", "keypoints", "joints_3d_smpl24"),
    *("certainty_joint_error", "measurements"),
)
"""What a row says of a person; null in rows without one."""

COLUMNS = {
    "photo": Column("number of the photo in the list of all, from 0; with person it names a row", pa.int64(), (), True),
    "key": Column("what the photo is called: its path below the input, its name in a tar", pa.string(), (), True),
    "source": Column("path or URL of the file that it was read from", pa.string(), (), True),
    "width": Column("of the upright photo, pixels; null where it could not be read", pa.int32()),
    "height": Column("of the upright photo, pixels; null where it could not be read", pa.int32()),
    **_as_npz("focal", "center"),
    "lens": Column("how the focal length came about: EXIF or guess", pa.string()),
    "person": Column("number of the person in the photo, from 0, the surest first; null where nobody is", pa.int32()),
    **PERSON,
    "body_model": Column("the body model that betas belong to", pa.string()),
    "files": Column("what --format wrote of the person, below the output", pa.string(), ("k",)),
    "error": Column("why the photo has no people; null where it could be looked at", pa.string()),
    "nbf": Column("version that made the row", pa.string(), (), True),
}

SCHEMA = pa.schema(
    [column.field(name) for name, column in COLUMNS.items()],
    {"nbf": __version__, "unit": UNIT, "frame": CAMERA},
)
