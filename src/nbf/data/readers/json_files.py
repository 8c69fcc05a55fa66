"""JSON files of data sets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbf.errors import DataError


def read_json(path: Path, make: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The value in a JSON file.

    Args:
        path: the file.
        make: what becomes of each object as soon as it is read; the largest files would not fit into memory as lists.

    Raises:
        DataError: the file is missing or no JSON.
    """
    try:
        return json.loads(path.read_bytes(), object_hook=make)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; docs/datasets says what goes where") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error}); get the data set anew") from error
