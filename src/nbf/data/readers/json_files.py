"""JSON files of data sets: the reader of `nbf.reading`, whose refusals become errors of data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbf.errors import DataError
from nbf.reading import read_json as read
from nbf.reading import refusing

# Bytes of a file. COCO's largest has half a GB.
_MOST_BYTES = 1 << 30


def read_json(path: Path, make: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The value in a JSON file.

    Args:
        path: the file.
        make: what becomes of each object as soon as it is read; the largest files would not fit into memory as lists.

    Raises:
        DataError: the file is missing or no JSON.
    """
    with refusing(DataError, path, "JSON", "get the data set anew; docs/datasets says what goes where"):
        return read(path, make, _MOST_BYTES)
