"""Files spoilt in the ways that downloads and disks spoil them."""

import re
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest

from nbf.errors import DataError


def spoilt(data: bytes, count: int, seed: int = 0) -> list[bytes]:
    """Cut short, with bytes changed, or with a stretch left out, said twice or zeroed."""
    draw = np.random.default_rng(seed)
    found = [b"", data[: len(data) // 2]]
    while len(found) < count:
        start, length = int(draw.integers(len(data))), int(draw.integers(1, 40))
        end = min(start + length, len(data))
        changed = bytes(draw.integers(0, 256, 1 + int(draw.integers(3)), dtype=np.uint8))
        middle = [changed + data[start + len(changed) : end], b"", data[start:end] * 2, bytes(end - start)]
        found.append(data[:start] + middle[int(draw.integers(4))] + data[end:])
    return found


def refuses_or_reads(path: Path, read: Callable[[], object], count: int = 40, needed: bool = True) -> None:
    """Whatever stands in the file, it is read or there is one clean error; some are refused. So it is if the file is
    cut in two, where the error names it, or missing, if it is needed."""
    data, refused = path.read_bytes(), 0
    for raw in spoilt(data, count):
        path.write_bytes(raw)
        with suppress(DataError):
            read()
            continue
        refused += 1
    assert refused > 1
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=re.escape(path.name)):
        read()
    path.unlink()
    with pytest.raises(DataError) if needed else nullcontext():
        read()
    path.write_bytes(data)
    read()
