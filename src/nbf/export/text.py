"""Many numbers as text at once. A number is a row of bytes; rows that are shorter than others have zeros in them, which
`lines` leaves out."""

import numpy as np
from jaxtyping import Float, Int64, UInt8

_DECIMALS = 6
_LARGEST = 1e12
"""Of what `decimals` does by arithmetic: with six decimals, such numbers fit int64."""


def decimals(values: Float[np.ndarray, "*n"]) -> UInt8[np.ndarray, "*n w"]:
    """Each number as "%.6f" has it, to the byte."""
    if values.dtype != np.float32 or not (np.abs(values) < _LARGEST).all():
        return (
            np.array([b"%.6f" % value for value in values.ravel().tolist()]).view(np.uint8).reshape(*values.shape, -1)
        )
    # Exact: float32 has 24 bits, 10^6 is 14 bits times a power of two, float64 has 53. Ties go to the even digit.
    scaled = np.rint(np.abs(values.astype(np.float64)) * 10**_DECIMALS).astype(np.int64)
    whole, fraction = np.divmod(scaled, 10**_DECIMALS)
    sign = np.where(np.signbit(values), ord("-"), 0).astype(np.uint8)[..., None]
    point = np.full_like(sign, ord("."))
    return np.concatenate([sign, integers(whole), point, _digits(fraction, _DECIMALS)], axis=-1)


def integers(values: Int64[np.ndarray, "*n"]) -> UInt8[np.ndarray, "*n w"]:
    """Each number, none of them negative, in digits."""
    width = len(str(values.max(initial=0)))
    digits = _digits(values, width)
    for place in range(width - 1):
        digits[..., place] *= values >= 10 ** (width - 1 - place)
    return digits


def lines(*columns: bytes | UInt8[np.ndarray, "n _"]) -> bytes:
    """A line for each row of the columns: numbers of `decimals` and `integers`, or what is the same in every line."""
    count = next(len(column) for column in columns if not isinstance(column, bytes))
    parts = [np.frombuffer(c, np.uint8)[None].repeat(count, axis=0) if isinstance(c, bytes) else c for c in columns]
    return np.concatenate([*parts, np.full((count, 1), ord("\n"), np.uint8)], axis=1).tobytes().translate(None, b"\0")


def _digits(values: np.ndarray, width: int) -> np.ndarray:
    """The last `width` digits of each number."""
    digits = np.empty((*values.shape, width), np.uint8)
    for place in reversed(range(width)):
        tenth = values // 10
        digits[..., place] = values - tenth * 10 + ord("0")
        values = tenth
    return digits
