"""Valid files made invalid: bytes flipped, cut and spliced; arrays and JSON replaced by odd ones.

Seeded, so that a file is the same each time. What reads the files, and what is valid, is in `readers.py`.
"""

import io
import json
import struct
import zipfile
import zlib
from random import Random
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

_ODD_NUMBERS = (0, -1, 1, 25, 255, 1e38, -1e38, 1e-40, 1e300, float("nan"), float("inf"), 2**31, 2**63 - 1, -(2**63))
_ODD_VALUES: tuple[Any, ...] = (
    *(None, True, "", "x" * 5000, "\ud800", "\x00", "../..", [], {}, [[]], 10**400, 10**9, -1, 0, 0.5, 1e38),
    *(float("nan"), float("inf"), 2**63, "7", [1], {"a": 1}),
)
_DTYPES = ("f2", "f4", "f8", ">f4", "i1", "i8", "u1", "u8", "b1", "c8", "U3", "S3", "M8[s]", "V4", "g")
# So many zeros, 2.6 GB, lie in bombs of 3 MB.
_BOMB, _BLOCK = 2600 << 20, 1 << 20


def mutated(data: bytes, kind: str, rng: Random) -> bytes:
    """One of many changes to a file of the kind npz, json, jsonl, safetensors, glb, or any other (bytes alone)."""
    change = {"npz": _npz, "json": _json, "jsonl": _json_lines, "safetensors": _safetensors, "glb": _glb}.get(kind)
    if change is None or rng.random() < 0.3:
        return _bytes(data, rng)
    return change(data, rng)


def _bytes(data: bytes, rng: Random) -> bytes:
    changed, size = bytearray(data), len(data)
    start, length = rng.randrange(size), rng.randrange(1, 1 + max(1, size // rng.choice((2, 10, 100))))
    way = rng.randrange(8)
    if way == 0:
        for _ in range(rng.choice((1, 3, 30, 300))):
            changed[rng.randrange(size)] = rng.randrange(256)
    elif way == 1:  # headers
        for _ in range(rng.choice((1, 4))):
            changed[rng.randrange(min(size, 300))] = rng.choice((0, 1, 127, 128, 255))
    elif way == 2:  # directories at the end
        for _ in range(rng.choice((1, 4))):
            changed[-rng.randrange(1, 1 + min(size, 300))] = rng.choice((0, 1, 127, 128, 255))
    elif way == 3:
        del changed[start:]
    elif way == 4:
        del changed[start : start + length]
    elif way == 5:
        changed[start:start] = changed[: min(length, 10_000)]
    elif way == 6:
        changed[start : start + length] = bytes(length)
    else:
        other = rng.randrange(size)
        changed[start : start + length] = changed[other : other + length]
    return bytes(changed)


def _npz(data: bytes, rng: Random) -> bytes:
    if rng.random() < 0.03:
        return rng.choice((b"", b"\x93NUMPY" + bytes(100), _npy(np.zeros(3)), json.dumps([1]).encode()))
    with np.load(io.BytesIO(data)) as file:
        members = {f"{name}.npy": file[name] for name in file.files}
    file = io.BytesIO()
    chosen = rng.sample(sorted(members), rng.choice((1, 1, 1, 2)) if len(members) > 1 else 1)
    if rng.random() < 0.03:
        return bomb(chosen[0], members[chosen[0]].dtype)
    with zipfile.ZipFile(file, "w", rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))) as out:
        for name, array in members.items():
            if name not in chosen:
                out.writestr(name, _npy(array))
            elif rng.random() < 0.9:
                out.writestr(name, odd_npy(array, rng))
        if rng.random() < 0.05:
            out.NameToInfo.clear()  # or it warns of a name that is there already
            out.writestr(chosen[0], _npy(members[chosen[0]]))
    return file.getvalue()


def odd_npy(array: np.ndarray, rng: Random) -> bytes:
    """The array as .npy, of another shape, kind or value, or with a header that lies."""
    if rng.random() < 0.15:
        raw = bytearray(_npy(array))
        old = str(array.shape).encode()
        new = rng.choice((b"(10000000000,)", b"(-1,)", b"(1,1,1,1,1,1,1)", b"('a',)", b"((((", b"(0,)", b"()"))
        return bytes(raw.replace(old, new[: len(old)].ljust(len(old)), 1))
    try:
        return _npy(odd_array(array, rng))
    except (ValueError, TypeError, OverflowError):  # no such conversion
        return _npy(np.zeros(3))


def odd_array(array: np.ndarray, rng: Random) -> np.ndarray:
    """Of another shape, kind or value."""
    way = rng.randrange(9)
    with np.errstate(all="ignore"):
        if way == 0:
            return array.reshape(-1)
        if way == 1:
            return array[..., None] if rng.random() < 0.5 else array[None]
        if way == 2:
            return array[: rng.randrange(2)] if array.ndim else np.zeros((0,), array.dtype)
        if way == 3:
            return array.T
        if way == 4:
            return array.astype(rng.choice(_DTYPES))
        if way == 5:
            return np.array(rng.choice(("text", 0, 1.5, {}, None, [[1, 2]])))
        flat = array.astype(array.dtype, copy=True).reshape(-1)
        if flat.size == 0 or flat.dtype.kind not in "fiub":
            return np.concatenate([flat, flat])
        odd = np.array(rng.choice(_ODD_NUMBERS), np.float64).astype(flat.dtype)
        if way == 6:
            flat[rng.randrange(flat.size)] = odd
        elif way == 7:
            flat[:] = odd
        else:
            start = rng.randrange(flat.size)
            stop = start + rng.randrange(1, 1 + flat.size)
            flat[start:stop] = -flat[start:stop][::-1] if flat.dtype.kind == "f" else flat[start:stop][::-1]
        return flat.reshape(array.shape)


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


def bomb(name: str, dtype: Any, size: int = _BOMB) -> bytes:
    """An archive that is small and unpacks to one array of `size` bytes of zeros."""
    dtype = np.dtype(dtype) if np.dtype(dtype).kind in "fiub" else np.dtype("f4")
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": dtype.str, "fortran_order": False, "shape": (size // dtype.itemsize,)}
    )
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = pack.compress(head.getvalue()) + pack.flush(zlib.Z_FULL_FLUSH)
    # After a full flush nothing refers to what was before, so that a block may be there again and again.
    block = pack.compress(bytes(_BLOCK)) + pack.flush(zlib.Z_FULL_FLUSH)
    packed = first + block * (size // _BLOCK) + pack.flush()
    total = len(head.getvalue()) + size
    common = struct.pack("<HHHHHLLLHH", 20, 0, 8, 0, 33, 0, len(packed), total, len(name), 0)
    local = b"PK\3\4" + common + name.encode()
    central = b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + name.encode()
    end = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local) + len(packed), 0)
    return local + packed + central + end


def _json(data: bytes, rng: Random) -> bytes:
    way = rng.random()
    if way < 0.03:
        return rng.choice((b"[" * 100_000, b'{"a":' * 50_000, b"", b"null", b"7", b"[]", b"{}", b'"x"', b"9" * 5000))
    if way < 0.06:
        text = data.decode()
        return rng.choice(
            (text.encode("utf-16"), b"\xef\xbb\xbf" + data, data + b"\xff", data + data, text.encode("utf-32"))
        )
    if way < 0.09 and b"{" in data:  # a name that is there twice
        return data.replace(b"{", b'{"a": 1, "a": 2, ', 1)
    return json.dumps(odd_tree(json.loads(data), rng), ensure_ascii=rng.random() < 0.9).encode(errors="surrogatepass")


def odd_tree(tree: Any, rng: Random) -> Any:
    """A JSON value with one place in it changed."""
    places: list[tuple[Any, Any]] = []

    def collect(value: Any) -> None:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            places.append((value, key))
            collect(inner)

    whole = [tree]
    collect(whole)
    # As likely an inner node as one of its many numbers.
    nodes = [place for place in places if isinstance(place[0][place[1]], dict | list)]
    holder, key = rng.choice(nodes if nodes and rng.random() < 0.4 else places)
    old, way = holder[key], rng.randrange(7)
    if way == 0 and isinstance(holder, dict):
        del holder[key]
    elif way == 1 and isinstance(old, list) and old:
        old.append(old[0]) if rng.random() < 0.5 else old.pop()
    elif way == 2:
        other, at = rng.choice(places)
        holder[key] = json.loads(json.dumps(other[at]))
    elif way == 3:
        deep = old
        for _ in range(rng.choice((1, 30, 200))):
            deep = [deep] if rng.random() < 0.5 else {"a": deep}
        holder[key] = deep
    elif way == 4 and isinstance(holder, dict):
        holder[rng.choice((f"{key}_", "", "\ud800"))] = holder.pop(key)
    else:
        holder[key] = rng.choice(_ODD_VALUES)
    return whole[0]


def _json_lines(data: bytes, rng: Random) -> bytes:
    lines = data.splitlines()
    index = rng.randrange(len(lines))
    lines[index] = _json(lines[index], rng)
    return b"\n".join(lines)


def _safetensors(data: bytes, rng: Random) -> bytes:
    size = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8 : 8 + size])
    if rng.random() < 0.4:
        raw = json.dumps(odd_tree(head, rng)).encode()
        return struct.pack("<Q", rng.choice((len(raw), len(raw), len(raw), 2**62, 0))) + raw + data[8 + size :]
    tensors, metadata = load_tensors(data), head.get("__metadata__")
    name = rng.choice(sorted(tensors))
    try:
        tensors[name] = np.ascontiguousarray(odd_array(tensors[name], rng))
        return save_tensors(tensors, metadata)
    except (ValueError, TypeError, OverflowError, SafetensorError):  # no such conversion, or no such kind there
        return _bytes(data, rng)


def _glb(data: bytes, rng: Random) -> bytes:
    """With other JSON in the first chunk."""
    size = struct.unpack_from("<I", data, 12)[0]
    text = _json(data[20 : 20 + size], rng)
    rest = data[20 + size :]
    return data[:8] + struct.pack("<II", 20 + len(text) + len(rest), len(text)) + data[16:20] + text + rest
