"""Hostile SMPL files: each gives a body or a ModelFileError, in little memory, and leaves nothing behind."""

import io
import pickle
import pickletools
import random
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from tests.smpl import python2_pickle, tiny_smpl

from nbf.body.files import load_body
from nbf.errors import ModelFileError

# Memory that one file may take beyond what the process has.
MOST_MEMORY = 500 << 20


@pytest.fixture(scope="module")
def warm() -> None:
    """Whatever is allocated once only, at the first use of torch, is not a file's."""
    load_body("anny24", detail="small")


@pytest.fixture(autouse=True)
def little_memory(warm: None) -> Iterator[None]:
    """Asking for more than MOST_MEMORY raises MemoryError, which nothing catches."""
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MOST_MEMORY, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.fixture(autouse=True)
def sound_numpy() -> Iterator[None]:
    """numpy, scipy and pickle work afterwards as before."""
    yield
    array = np.arange(6.0).reshape(2, 3)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for value in (array, np.float64(3), array.dtype):
            assert np.all(pickle.loads(pickle.dumps(value, protocol)) == value)
    frombuffer: Any = array.__reduce_ex__(5)[0]
    assert vars(frombuffer) == {}
    assert frombuffer.__name__ == "_frombuffer"
    assert not np.dtype("f8").hasobject
    assert np.dtype("O").hasobject


def outcome(folder: Path, data: bytes, name: str = "smpl.pkl") -> str:
    """The message of the ModelFileError, or nothing where a body is loaded. Anything else is raised."""
    (folder / name).write_bytes(data)
    try:
        load_body(folder / name)
        message = ""
    except ModelFileError as error:
        message = str(error)
    assert not message or (name in message and len(message) < 1500 + len(str(folder)))
    return message


def bare(state: bytes, item: bytes = b"'f8'", flags: bytes = b"I0\n") -> bytes:
    """An array with the opcodes of a state in place of its own, its dtype with flags."""
    dtype = b"cnumpy\ndtype\n(S" + item + b"\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\n" + flags + b"tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    return b"(dS'v_template'\n" + array + b"(I1\n(I1\nt" + dtype + b"I00\n" + state + b"tbs."


def sparse_record(kind: bytes, **fields: bytes) -> bytes:
    """A table whose J_regressor is a sparse matrix with the opcodes given for its attributes, the rest as it should."""
    state = b"".join(b"S'" + key.encode() + b"'\n" + value + b"s" for key, value in fields.items())
    record = b"cscipy.sparse." + kind[:3] + b"\n" + kind + b"\n)\x81}" + state + b"b"
    table = {key: value for key, value in tiny_smpl().items() if key != "J_regressor"}
    return python2_pickle(table, 2)[:-1] + b"U\x0bJ_regressor" + record + b"s."


def numbers(values: np.ndarray) -> bytes:
    """The opcodes of an array."""
    return python2_pickle(values, 2)[2:-1]


# On the reader of the first release these crashed the process, spoilt it, or raised something else.
CRASHES = {
    "dtype without its object flags": bare(b"S'" + b"A" * 8 + b"'\n", b"'O8'"),
    "dtype with a structure's flags": bare(b"S'" + b"A" * 8 + b"'\n", b"'f8'", b"I63\n"),
    "dtype of nothing": bare(b"S'AAAAAAAA'\n", b"'V8'"),
    "state of a function of numpy's": b"cnumpy.core.numeric\n_frombuffer\n(N}S'__name__'\nS'x'\nstb.",
    "state of numpy's array class": b"cnumpy\nndarray\n(N}S'x'\nS'x'\nstb.",
    "state of a helper": b"c_codecs\nencode\n(N}S'x'\nI1\nstb.",
    "state of a class": b"cchumpy.ch\nCh\n(N}S'__init__'\nI1\nstb.",
    "state of a dictionary": b"(d}S'x'\nI1\nsb.",
    "state set twice": b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\ntb(I3\nS'|'\ntb.",
    "strides through frombuffer": b"cnumpy.core.numeric\n_frombuffer\n(S'AAAAAAAA'\n(S'f8'\n(I9\nttS'C'\ntR.",
    "array class called": b"cnumpy\nndarray\n((I1000\nI1000\nI1000\nttR.",
    "array class called anew": b"(dS'v_template'\ncnumpy\nndarray\n((I99999\nI99999\ntt\x81s.",
    "indices beyond the matrix": sparse_record(
        b"coo_matrix",
        row=numbers(np.array([99], np.int64)),
        col=numbers(np.array([1 << 40])),
        data=numbers(np.ones(1)),
        _shape=b"K\x18K0\x86",
    ),
    "negative indices": sparse_record(
        b"csc_matrix",
        indptr=numbers(np.arange(49)),
        indices=numbers(np.full(48, -(1 << 40))),
        data=numbers(np.ones(48)),
        _shape=b"K\x18K0\x86",
    ),
    "objects added up": sparse_record(
        b"csc_matrix",
        indptr=numbers(np.arange(49)),
        indices=numbers(np.zeros(48, np.int64)),
        data=numbers(np.array([dict() for _ in range(48)])),
        _shape=b"K\x18K0\x86",
    ),
    "lines that do not add up": sparse_record(
        b"csr_matrix",
        indptr=numbers(np.array([0, 2**62, 2])),
        indices=numbers(np.zeros(2, np.int64)),
        data=numbers(np.ones(2)),
        _shape=b"K\x02K0\x86",
    ),
}


@pytest.mark.parametrize("name", CRASHES)
def test_what_crashed_or_spoilt_the_process_is_refused(tmp_path: Path, name: str):
    assert outcome(tmp_path, CRASHES[name])


def test_no_object_of_a_library_is_built_or_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Python's unpickler is not used, and neither scipy nor chumpy comes in."""

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError

    data = pickle.dumps(tiny_smpl() | {"J_regressor": sparse.coo_matrix(tiny_smpl()["J_regressor"])}, 2)
    for name in ("Unpickler", "_Unpickler", "load", "loads"):
        monkeypatch.setattr(pickle, name, never)
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    assert outcome(tmp_path, data) == ""


def doubled(start: bytes, double: bytes, rounds: int) -> bytes:
    return start + double * rounds + b"."


LAUGHS = {
    "bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 33) + b"AAAA.",
    "text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"AAAA.",
    "bytearray": b"\x80\x05\x96" + struct.pack("<Q", (1 << 64) - 1) + b"AAAA.",
    "old string": b"T" + struct.pack("<I", (1 << 32) - 1) + b"AAAA.",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.",
    "integer": b"\x8b" + struct.pack("<I", (1 << 31) - 1) + b"AAAA.",
    "long integer that is there": b"\x8b" + struct.pack("<I", 1 << 20) + b"\x7f" * (1 << 20) + b".",
    "digits": b"I" + b"9" * 1_000_000 + b"\n.",
    "digits of a long": b"L" + b"9" * 4000 + b"L\n.",
    "memo": b"Nr\xff\xff\xff\xffNp99999999999999\n.",
    "nested tuples": doubled(b")", b"\x85", 250_000),
    "nested lists": doubled(b"]", b"2a", 120_000),
    "nested marks": b"(" * 250_000 + b".",
    "nested records": doubled(b"N", b"0cchumpy.ch\nCh\n)\x81q\x00h\x00h\x00\x86b", 25_000),
    "tuples doubled": b"(d" + b"S'v_template'\n" + b")" + b"2\x86" * 100_000 + b"s.",
    "keys doubled": b"}" + b")" + b"2\x86" * 50 + b"Ns.",
    "lists doubled": b"(dS'v_template'\n(" + b"F1\n" * 9 + b"l" + b"q\x000(h\x00h\x00h\x00h\x00h\x00l" * 40 + b"s.",
    "list in a list": b"(dS'v_template'\n(" + b"F1\n" * 9999 + b"lq\x000(" + b"h\x00" * 9999 + b"ls.",
    "list of itself": b"(dS'v_template'\n]2as.",
    "table of itself": b"}q\x00S'v_template'\nh\x00s.",
    "record of itself": b"(dS'v_template'\ncchumpy.ch\nCh\n)\x81q\x00}S'x'\nh\x00sbs.",
    "bytes encoded again and again": b"V" + b"A" * 1_000_000 + b"\nq\x000c_codecs\nencode\nq\x01h\x00S'latin1'\n"
    + b"\x86q\x02" + b"h\x01h\x02R" * 60_000 + b".",
    "pairs copied again and again": b"ccollections\nOrderedDict\nq\x00(" + b"(S'a'\nNt" * 1000 + b"l\x85q\x01"
    + b"h\x00h\x01R" * 100_000 + b".",
    "steps": b"]" * 300_000 + b".",
    "numbers": b"(" + b"G\x3f\xf0\x00\x00\x00\x00\x00\x00" * 300_000 + b"l.",
    "shape": bare(b"S'" + b"A" * 8 + b"'\n").replace(b"(I1\nt", b"(I99999999\nI99999999\nt"),
    "shape that overflows": bare(b"S''\n").replace(b"(I1\nt", b"(I4294967296\nI4294967296\nt"),
    "shape below zero": bare(b"S'AAAAAAAA'\n").replace(b"(I1\nt", b"(I-1\nt"),
    "shape of nothing": bare(b"S''\n").replace(b"(I1\nt", b"(L999999999999999999L\nI0\nt"),
    "dimensions": bare(b"S'AAAAAAAA'\n").replace(b"(I1\nt", b"(" + b"I1\n" * 1000 + b"t"),
    "sparse shape": sparse_record(
        b"coo_matrix",
        row=numbers(np.zeros(1, np.int64)),
        col=numbers(np.zeros(1, np.int64)),
        data=numbers(np.ones(1)),
        _shape=b"J\x00\x00\x00\x10J\x00\x00\x00\x10\x86",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAUGHS)
def test_a_small_file_cannot_ask_for_much(tmp_path: Path, name: str):
    assert len(LAUGHS[name]) < 15_000_000
    assert outcome(tmp_path, LAUGHS[name])


@pytest.mark.parametrize("announced", [True, False])
def test_a_small_npz_cannot_ask_for_much(tmp_path: Path, announced: bool):
    """312 MB of zeros in a file of 1 MB; and an array whose header tells of bytes that are not there."""
    shape = (13 << 20, 3) if announced else (1 << 40, 3)
    with (
        zipfile.ZipFile(tmp_path / "made.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open("v_template.npy", "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": shape})
        for _ in range(312 if announced else 1):
            member.write(bytes(1 << 20))
    assert outcome(tmp_path, (tmp_path / "made.npz").read_bytes(), "smpl.npz")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_malice_in_an_npz_is_refused(tmp_path: Path, protocol: int):
    for attack in (*CRASHES.values(), pickle.dumps(eval, protocol)):
        member = io.BytesIO()
        np.lib.format.write_array_header_1_0(member, {"descr": "|O", "fortran_order": False, "shape": ()})
        with zipfile.ZipFile(tmp_path / "made.npz", "w") as file:
            file.writestr("v_template.npy", member.getvalue() + attack)
        assert outcome(tmp_path, (tmp_path / "made.npz").read_bytes(), "smpl.npz")


# What streams of opcodes are made of: every opcode of pickletools, with arguments that mean something or nothing.
NAMES = (
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("scipy.sparse._csc", "csc_matrix"),
    ("scipy.sparse", "coo_array"),
    ("chumpy.ch", "Ch"),
    ("chumpy.reordering", "Select"),
    ("copy_reg", "_reconstructor"),
    ("__builtin__", "object"),
    ("collections", "OrderedDict"),
    ("_codecs", "encode"),
    ("os", "system"),
)
WORDS = (b"v_template", b"x", b"a", b"idxs", b"f8", b"O8", b"<", b"|", b"latin1", b"AAAAAAAA", b"data", b"_shape", b"")


def argument(rng: random.Random, kind: str) -> bytes:
    """The bytes after an opcode, for a kind of argument as pickletools names it."""
    text = rng.choice(WORDS)
    number = rng.choice((0, 1, 2, 3, 8, 24, 255, rng.randrange(1 << 32)))
    module, name = (part.encode() for part in rng.choice(NAMES))
    made: dict[str, Callable[[], bytes]] = {
        "uint1": lambda: bytes([number % 256]),
        "uint2": lambda: struct.pack("<H", number % (1 << 16)),
        "int4": lambda: struct.pack("<I", number),
        "uint4": lambda: struct.pack("<I", number),
        "uint8": lambda: struct.pack("<Q", number),
        "float8": lambda: rng.randbytes(8),
        "decimalnl_short": lambda: b"%d\n" % number,
        "decimalnl_long": lambda: b"%dL\n" % number,
        "floatnl": lambda: b"%d.5\n" % number,
        "stringnl": lambda: b"'" + text + b"'\n",
        "unicodestringnl": lambda: text + b"\n",
        "stringnl_noescape": lambda: text + b"\n",
        "stringnl_noescape_pair": lambda: module + b"\n" + name + b"\n",
        "long1": lambda: b"\x02\x00\x01",
        "long4": lambda: b"\x02\x00\x00\x00\x00\x01",
    }
    if kind in made:
        return made[kind]()
    size = {"1": "<B", "4": "<I", "8": "<Q"}[kind[-1]]
    return struct.pack(size, len(text)) + text


def test_any_stream_of_opcodes_gives_a_clean_error(tmp_path: Path):
    rng = random.Random(0)
    opcodes = [op for op in pickletools.opcodes if op.name != "STOP"]
    # What builds, calls and names, oftener than the rest.
    likely = [op for op in opcodes if op.name in ("GLOBAL", "REDUCE", "BUILD", "NEWOBJ", "TUPLE", "MARK", "EMPTY_DICT")]
    reasons: set[str] = set()
    for _ in range(2000):
        stream = b"(d" * rng.randrange(2)
        for op in rng.choices(opcodes + 4 * likely, k=rng.randrange(1, 40)):
            stream += op.code.encode("latin1") + (argument(rng, op.arg.name) if op.arg else b"")
        reason = outcome(tmp_path, stream + b".")
        assert reason
        reasons.add(reason)
    # The streams get somewhere: they fail in many ways.
    assert len(reasons) > 20


def pieces(data: bytes) -> list[bytes]:
    """A pickle cut before each of its opcodes; genops cannot read Python 2's binary strings in protocol 0."""
    starts = [position for _, _, position in pickletools.genops(data)] + [len(data)]
    return [data[start:end] for start, end in pairwise(starts)]


def test_mutated_files_give_a_body_or_a_clean_error(tmp_path: Path):
    table = tiny_smpl()
    chosen = [sparse.csc_matrix(table["J_regressor"]), sparse.coo_array(table["J_regressor"])]
    legal = [
        pieces(pickle.dumps(table | {"J_regressor": regressor}, protocol))
        for regressor in chosen
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ]
    legal += [pieces(python2_pickle(table | {"J_regressor": chosen[0]}, 2))]
    rng = random.Random(1)
    bodies = 0
    for _ in range(300):
        stream = list(rng.choice(legal))
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            place, other = rng.randrange(len(stream)), rng.randrange(len(stream))
            piece = bytearray(stream[place])
            change = rng.randrange(6)
            if change == 0:
                stream[place], stream[other] = stream[other], stream[place]
            elif change == 1:
                stream[place] = stream[other]
            elif change == 2:
                stream.insert(place, rng.choice(rng.choice(legal)))
            elif change == 3 and len(stream) > 1:
                del stream[place]
            elif change == 4:
                # The opcode, its length, or what it holds.
                piece[rng.randrange(min(len(piece), 12))] = rng.randrange(256)
                stream[place] = bytes(piece)
            else:
                stream[place] = bytes(piece[: rng.randrange(len(piece) + 1)])
        bodies += outcome(tmp_path, b"".join(stream)) == ""
    # Neither are all refused, nor is nothing checked.
    assert 0 < bodies < 250


def test_mutated_npz_give_a_body_or_a_clean_error(tmp_path: Path):
    file = io.BytesIO()
    regressor = np.array(sparse.csc_matrix(tiny_smpl()["J_regressor"]), dtype=object)
    np.savez(file, allow_pickle=True, **tiny_smpl() | {"J_regressor": regressor})
    whole = file.getvalue()
    # The headers of the archive and of its arrays, not the numbers.
    places = [at + shift for mark in (b"PK", b"\x93NUMPY") for at in _found(whole, mark) for shift in range(140)]
    rng = random.Random(2)
    for _ in range(200):
        data = bytearray(whole)
        for place in rng.choices(places, k=rng.choice((1, 1, 3))):
            data[min(place, len(data) - 1)] = rng.randrange(256)
        outcome(tmp_path, bytes(data), "smpl.npz")


def _found(data: bytes, mark: bytes) -> Iterator[int]:
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + 1)
