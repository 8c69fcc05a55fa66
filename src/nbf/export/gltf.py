"""Binary glTF 2.0, the container: lists of JSON and one buffer of numbers
(https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html)."""

import json
import struct
from collections import defaultdict
from typing import Any, Literal

import numpy as np

from nbf.reading import Damaged, from_json

_MAGIC, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
_COMPONENTS = {
    5121: np.dtype(np.uint8),
    5123: np.dtype(np.uint16),
    5125: np.dtype(np.uint32),
    5126: np.dtype(np.float32),
}
_CODES = {kind: code for code, kind in _COMPONENTS.items()}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}

Use = Literal["vertices", "indices"]
"""What a graphics card takes numbers for."""
_TARGETS = {"vertices": 34962, "indices": 34963}


class Document:
    """A glTF document under construction."""

    def __init__(self) -> None:
        self._lists: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._buffer = bytearray()

    def add(self, kind: str, **entry: Any) -> int:
        """A further entry of the list of this kind (nodes, meshes ...); its index."""
        self._lists[kind].append(entry)
        return len(self._lists[kind]) - 1

    def update(self, kind: str, index: int, **entry: Any) -> None:
        """More about an entry."""
        self._lists[kind][index] |= entry

    def count(self, kind: str) -> int:
        """How many entries a list has."""
        return len(self._lists[kind])

    def view(self, data: bytes, use: Use | None = None) -> int:
        """Bytes in the buffer; the index of their view."""
        start = len(self._buffer)
        self._buffer += data + bytes(-len(data) % 4)
        view = {"buffer": 0, "byteOffset": start, "byteLength": len(data)}
        return self.add("bufferViews", **view, **({} if use is None else {"target": _TARGETS[use]}))

    def numbers(
        self, values: np.ndarray, kind: str, use: Use | None = None, *, normalized: bool = False, bounds: bool = False
    ) -> int:
        """An array (n, ...) of n elements of a kind, SCALAR to MAT4; the index of its accessor.

        `normalized` whole numbers mean shares of the largest; `bounds` gives least and greatest values along, which
        positions and times must have.
        """
        more: dict[str, Any] = {"normalized": True} if normalized else {}
        if bounds:
            rows = np.ascontiguousarray(values.reshape(len(values), -1).T)  # several times as fast as columns
            more |= {"min": rows.min(axis=1).tolist(), "max": rows.max(axis=1).tolist()}
        return self._accessor(self.view(np.ascontiguousarray(values).tobytes(), use), values, kind, **more)

    def several(self, values: np.ndarray, kind: str) -> list[int]:
        """Arrays (k, n, ...) of one view; the indices of their k accessors."""
        view = self.view(np.ascontiguousarray(values).tobytes())
        return [self._accessor(view, each, kind, byteOffset=i * each.nbytes) for i, each in enumerate(values)]

    def _accessor(self, view: int, values: np.ndarray, kind: str, **more: Any) -> int:
        code = _CODES[values.dtype]
        return self.add("accessors", bufferView=view, componentType=code, count=len(values), type=kind, **more)

    def to_bytes(self, roots: list[int], extras: dict[str, Any]) -> bytes:
        """The file: a scene of some nodes, with what else is to be said of it."""
        document = {
            "asset": {"version": "2.0", "generator": "Neural Body Fitting", "extras": extras},
            "scene": 0,
            "scenes": [{"nodes": roots}],
            **self._lists,
            "buffers": [{"byteLength": len(self._buffer)}],
        }
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        parts = struct.pack("<II", len(text), _JSON_CHUNK) + text
        parts += struct.pack("<II", len(self._buffer), _BINARY_CHUNK) + bytes(self._buffer)
        return struct.pack("<III", _MAGIC, 2, 12 + len(parts)) + parts


class Binary:
    """A binary glTF file of ours that was read: its JSON, which may be anything, and its numbers."""

    def __init__(self, data: bytes) -> None:
        """Raises Damaged where the bytes are no such file."""
        if len(data) < 20 or struct.unpack_from("<II", data) != (_MAGIC, 2):
            raise Damaged("no binary glTF 2.0")
        if struct.unpack_from("<I", data, 8) != (len(data),):
            raise Damaged("it is cut short, or something follows it")
        size, kind = struct.unpack_from("<II", data, 12)
        end = 20 + size
        if kind != _JSON_CHUNK or len(data) < end + 8 or struct.unpack_from("<I", data, end + 4) != (_BINARY_CHUNK,):
            raise Damaged("expected a chunk of JSON and one of numbers, got others or less")
        self.json: Any = from_json(data[20:end])
        self._buffer = memoryview(data)[end + 8 :]

    def numbers(self, index: Any) -> np.ndarray:
        """The array (n, width) of an accessor. Raises Damaged; of JSON that is not as it should be, whatever lists and
        dictionaries raise."""
        accessor = self.json["accessors"][index]
        view = self.json["bufferViews"][accessor["bufferView"]]
        dtype, width = _COMPONENTS[accessor["componentType"]], _WIDTHS[accessor["type"]]
        start, count = view.get("byteOffset", 0) + accessor.get("byteOffset", 0), accessor["count"]
        if not all(isinstance(value, int) and value >= 0 for value in (start, count)) or "byteStride" in view:
            raise Damaged("expected an array without gaps, got another")
        if start + count * width * dtype.itemsize > len(self._buffer):
            raise Damaged("an array ends beyond the file")
        return (
            np.frombuffer(self._buffer, dtype.newbyteorder("<"), count * width, start)
            .reshape(count, width)
            .astype(dtype)
        )
