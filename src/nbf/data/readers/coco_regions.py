"""Regions of a picture as COCO writes them: polygons, or runs of pixels (cocodataset/cocoapi, common/maskApi.h).

Polygons lie in our pixels: COCO's own tool takes a pixel for covered where its centre, at half-integers, is. Runs go
down the columns, the first of them outside; compressed ones are text.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from nbf.data.readers.checked import numbers
from nbf.errors import DataError

# Bits of the largest number in a compressed run: those of a picture that anybody has, and its sign.
_MOST_BITS = 40


def read_region(value: Any, height: int, width: int, where: str) -> Bool[ndarray, "{height} {width}"]:
    """The pixels of a region: a list of polygons (x, y, x, y, ...), or runs (`counts` and `size`, height first).

    Raises:
        DataError: it is neither, or of another size; `where` says in which file.
    """
    if isinstance(value, list):
        inside = np.zeros((height, width), bool)
        for polygon in value:
            inside |= _filled(_corners(polygon, where), height, width)
        return inside
    if not isinstance(value, dict) or "counts" not in value:
        raise DataError(f"{where}: expected polygons or runs, got {str(value)[:60]}; get the data set anew")
    counts = value["counts"]
    runs = numbers(_decompressed(counts, where) if isinstance(counts, str) else counts, (None,), where)
    size = numbers(value.get("size"), (2,), where)
    if tuple(size) != (height, width) or (runs < 0).any() or (runs % 1).any() or runs.sum() != height * width:
        raise DataError(
            f"{where}: expected runs over {height} x {width} pixels, got {runs.sum():.0f} pixels of "
            f"{size[0]:.0f} x {size[1]:.0f}; get the data set anew"
        )
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs.astype(np.int64))
    return inside.reshape(width, height).T


def _corners(polygon: Any, where: str) -> Float[ndarray, "n 2"]:
    flat = numbers(polygon, (None,), where)
    if len(flat) % 2:
        raise DataError(f"{where}: expected x and y of each corner, got {len(flat)} numbers; get the data set anew")
    return flat.reshape(-1, 2)


def _filled(corners: Float[ndarray, "n 2"], height: int, width: int) -> Bool[ndarray, "{height} {width}"]:
    """Pixels whose centre an odd number of edges has on its left."""
    crossed = np.zeros((height, width + 1), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0)):
        first, end = np.ceil(np.clip([min(y0, y1) - 0.5, max(y0, y1) - 0.5], 0, height)).astype(int)
        rows = np.arange(first, end)
        x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0) if y1 != y0 else 0)
        crossed[rows, np.ceil(np.clip(x - 0.5, 0, width)).astype(int)] ^= True
    return np.logical_xor.accumulate(crossed, axis=1)[:, :-1]


def _decompressed(text: str, where: str) -> list[int]:
    """Each letter carries five bits, the lowest first, and whether more follow; from the fourth run on, what is written
    is the difference to the last but one."""
    runs: list[int] = []
    value = bits = 0
    for letter in text:
        piece = ord(letter) - 48
        value |= (piece & 31) << bits
        bits += 5
        if not 0 <= piece < 64 or bits > _MOST_BITS:
            raise DataError(f"{where}: expected compressed runs, got {text[:40]!a}; get the data set anew")
        if piece & 32:
            continue
        if piece & 16:
            value -= 1 << bits
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = bits = 0
    if bits:
        raise DataError(f"{where}: compressed runs are cut short; get the data set anew")
    return runs
