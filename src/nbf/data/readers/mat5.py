"""Whether a Matlab file of version 5 to 7.2 holds together, for scipy's reader, which crashes on some that do not.

The format: MathWorks, "MAT-File Format" (R2023b). A file is a header of 128 bytes and elements, each a tag (kind,
bytes) and its data, padded to eight bytes; up to four bytes lie within the tag. Elements may be packed by zlib.
"""

import math
import struct
import zlib

_HEADER = 128
# Kinds of element: bytes of a number; a matrix; one that is packed.
_NUMBERS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
_MATRIX, _PACKED = 14, 15
# Classes of matrix: of matrices, of fields, of text, of numbers. Objects, functions and sparse ones no data set has.
_CELL, _STRUCT, _TEXT = 1, 2, 4
_CLASSES = range(6, 16)
_COMPLEX = 0x0800
# A file may unpack to so many bytes, and have matrices within matrices so deep.
_MOST_BYTES, _DEEPEST = 1 << 31, 32


class Broken(ValueError):  # noqa: N818
    """The file is damaged, or has what no data set has."""


def check_mat5(data: bytes | memoryview) -> None:
    """Raises Broken where an element reaches out of another, or is not as long as its matrix is large."""
    if len(data) < _HEADER or data[126:128] not in (b"IM", b"MI"):
        raise Broken("it has no header of a Matlab file")
    walk = _Walk("<" if data[126:128] == b"IM" else ">")
    walk.all(memoryview(data)[_HEADER:])


class _Walk:
    def __init__(self, order: str) -> None:
        self._order, self._left = order, _MOST_BYTES

    def all(self, data: memoryview) -> None:
        at = 0
        while at < len(data):
            kind, body, at = self._element(data, at)
            if kind == _PACKED:
                kind, body, _ = self._element(self._unpacked(body), 0)
            if kind != _MATRIX:
                raise Broken(f"it has an element of kind {kind} between its variables")
            self._matrix(body, 0)

    def _unpacked(self, body: memoryview) -> memoryview:
        stream = zlib.decompressobj()
        try:
            data = stream.decompress(body, self._left)
        except zlib.error as error:
            raise Broken(f"it cannot be unpacked: {error}") from error
        self._left -= len(data)
        if not stream.eof:
            raise Broken("a packed variable is cut short, or huge")
        return memoryview(data)

    def _element(self, data: memoryview, at: int) -> tuple[int, memoryview, int]:
        """Kind, data, and where the next one starts."""
        if at + 8 > len(data):
            raise Broken("it is cut short")
        kind, size = struct.unpack_from(f"{self._order}II", data, at)
        if kind >> 16:
            kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise Broken("a short element has more than four bytes")
        else:
            start = at + 8
            # Packed ones are not padded.
            end = start + (size if kind == _PACKED else -(-size // 8) * 8)
        if start + size > len(data):
            raise Broken("an element reaches out of what it lies in")
        return kind, data[start : start + size], end

    def _numbers(self, data: memoryview, at: int, kinds: tuple[int, ...], what: str) -> tuple[memoryview, int]:
        kind, body, at = self._element(data, at)
        if kind not in kinds or len(body) % _NUMBERS[kind]:
            raise Broken(f"expected {what}, got {len(body)} bytes of kind {kind}")
        return body, at

    def _matrix(self, data: memoryview, depth: int) -> None:
        if not data:  # an empty one has nothing at all
            return
        if depth > _DEEPEST:
            raise Broken(f"it has matrices within matrices over {_DEEPEST} deep")
        flags, at = self._numbers(data, 0, (6,), "the flags of a matrix")
        sizes, at = self._numbers(data, at, (5, 6), "the size of a matrix")
        _, at = self._numbers(data, at, (1, 2, 16), "the name of a matrix")
        if len(flags) != 8 or len(sizes) < 8:
            raise Broken("a matrix has no class or size")
        word = struct.unpack_from(f"{self._order}I", flags)[0]
        shape = struct.unpack(f"{self._order}{len(sizes) // 4}i", sizes)
        if min(shape) < 0 or len(shape) > 32 or math.prod(shape) > _MOST_BYTES:
            raise Broken(f"expected the size of a matrix, got {shape}"[:100])
        self._content(data, at, word, math.prod(shape), depth)

    def _content(self, data: memoryview, at: int, word: int, count: int, depth: int) -> None:
        kind = word & 0xFF
        if kind == _STRUCT:
            length, at = self._numbers(data, at, (5,), "how long the names of fields are")
            names, at = self._numbers(data, at, (1,), "the names of fields")
            longest = struct.unpack(f"{self._order}i", length)[0] if len(length) == 4 else 0
            if longest <= 0 or len(names) % longest:
                raise Broken("names of fields are not as long as it says")
            count *= len(names) // longest
        if kind in (_STRUCT, _CELL):
            for _ in range(count):
                inner, body, at = self._element(data, at)
                if inner != _MATRIX:
                    raise Broken(f"expected a matrix within a matrix, got an element of kind {inner}")
                self._matrix(body, depth + 1)
            return
        if kind != _TEXT and kind not in _CLASSES:
            raise Broken(f"it has a matrix of class {kind}, which is not read")
        for _ in range(2 if word & _COMPLEX else 1):
            part, body, at = self._element(data, at)
            if part not in _NUMBERS:
                raise Broken(f"expected numbers, got an element of kind {part}")
            # Letters may have more bytes than one.
            if kind != _TEXT and len(body) != count * _NUMBERS[part]:
                raise Broken(f"expected {count} numbers in a matrix, got {len(body)} bytes")
