"""Read a pickle file as plain values, without running anything that the file asks for.

A pickle is a program: it names functions and classes, has them called and sets their attributes. Python's own
`pickle.Unpickler` with a guarded `find_class` is not enough. Whatever that returns can be called, built and altered by
the file's next opcode: a numpy.dtype whose object flags the file clears crashes the process, and attributes that are
set on a shared function stay for all that comes after. It also sets memory aside for lengths and memo numbers that
the file merely claims.

So the opcodes are interpreted here. A name that the file gives becomes a `Name`, and to call it, or to set its state,
makes or fills a `Made`, a note of what was asked. No value that the interpreter holds is a class or a function, no
attribute is ever set, no key is ever hashed, and nothing is decoded, so there is nothing to attack. Memory is bounded
by the file's own bytes and `MOST_STEPS`: strings stay slices of the file. `nbf.body.stored` turns the values that
are wanted into arrays, and checks them.

Source: PEP 307, 3154 and 574, and Python's Lib/pickletools.py, which defines each opcode.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from mmap import mmap
from typing import Any, Literal

from nbf.reading import Damaged

MOST_STEPS = 1 << 18
"""Opcodes in a file; SMPL files have a few hundred. Each takes at most some 200 bytes of memory."""

_LONGEST_LINE = 1000
# Bytes, and characters, of 128 bits.
_LONGEST_INTEGER = 16
_LONGEST_DIGITS = 41
_HIGHEST_PROTOCOL = 5

_BUILTIN_NAMES = ("object", "set", "frozenset", "bytes", "bytearray")
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
_SPARSE_NAMES = tuple(f"{kind}_{what}" for kind in ("csc", "csr", "coo") for what in ("matrix", "array"))


class Unsafe(ValueError):  # noqa: N818
    """The file names, or does, what no SMPL file has a use for."""


@dataclass(frozen=True, eq=False, slots=True)
class Name:
    """A function or class that the file names. It is never looked up."""

    module: str
    name: str


@dataclass(frozen=True, eq=False, slots=True)
class Text:
    """A string as it stands in the file. Python 2 wrote bytes and text alike, so which it is depends on its use."""

    raw: memoryview
    coding: Literal["bytes", "escape", "utf-8", "raw-unicode-escape"]


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """A dictionary: its keys and values in the order of the file."""

    pairs: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(frozen=True, eq=False, slots=True)
class Made:
    """What the file wants built: what it would call, with which arguments, and at most one state set afterwards."""

    by: Name
    arguments: tuple[Any, ...]
    states: list[Any] = field(default_factory=list)


def read_pickle(
    data: bytes | mmap, known: frozenset[tuple[str, str]] = frozenset(), most_steps: int = MOST_STEPS
) -> Any:
    """The value that a pickle (protocol 0 to 5, also Python 2's) stands for.

    It is None, bool, int, float, `Text`, tuple, list, `Table`, `Name` or `Made`, and may hold itself. Its strings are
    slices of `data`.

    Args:
        data: the file.
        known: names (module, name) that the file may hold besides the parts of SMPL files. They become notes as all do.
        most_steps: opcodes of the longest file that is read.

    Raises Unsafe where the file names anything else, Damaged where it is no whole pickle.
    """
    try:
        return _Interpreter(data, known, most_steps).run()
    except IndexError as error:
        raise Damaged("it takes more values than it has made") from error


def _is_known(module: str, name: str) -> bool:
    if module in ("__builtin__", "builtins"):
        return name in _BUILTIN_NAMES
    if module in ("copy_reg", "copyreg"):
        return name == "_reconstructor"
    if module in _ARRAY_MODULES:
        return name in ("_reconstruct", "scalar", "_frombuffer")
    package = module.split(".")
    if package[:2] == ["scipy", "sparse"]:
        return name in _SPARSE_NAMES
    return package[0] == "chumpy" or (module, name) in (
        ("_codecs", "encode"),
        ("collections", "OrderedDict"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    )


class _Interpreter:
    """The pickle machine: a stack, the stacks below each open mark, and the memo."""

    def __init__(self, data: bytes | mmap, known: frozenset[tuple[str, str]], most_steps: int) -> None:
        self.file, self.data = data, memoryview(data)
        self.known, self.most_steps = known, most_steps
        self.at = self.steps = 0
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        while self.steps < self.most_steps:
            self.steps += 1
            code = self.take(1)[0]
            if code == ord("."):
                return self.stack.pop()
            if code not in _STEPS:
                raise Unsafe(f"opcode 0x{code:02x}") if code in _REFUSED else Damaged(f"no opcode is 0x{code:02x}")
            _STEPS[code](self)
        raise Damaged(f"it has more than {self.most_steps} steps")

    def take(self, size: int) -> memoryview:
        if size < 0 or size > len(self.data) - self.at:
            raise Damaged(f"{size} bytes are announced where {len(self.data) - self.at} are left")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self, most: int = _LONGEST_LINE) -> memoryview:
        """Up to the end of the line, which is passed by."""
        end = self.file.find(b"\n", self.at, self.at + most + 1)
        if end < 0:
            raise Damaged("a line does not end")
        line = self.take(end - self.at)
        self.at += 1
        return line

    def word(self) -> str:
        return bytes(self.line()).decode("latin1")

    def marked(self) -> list[Any]:
        """The values above the last mark, which goes."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def text(self, size: int, coding: Literal["bytes", "utf-8"]) -> None:
        self.push(Text(self.take(size), coding))

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.marked()

    def protocol(self) -> None:
        version = self.number("<B")
        if version > _HIGHEST_PROTOCOL:
            raise Damaged(f"expected a protocol from 0 to {_HIGHEST_PROTOCOL}, got {version}")

    def frame(self) -> None:
        size = self.number("<Q")
        if size > len(self.data) - self.at:
            raise Damaged(f"a frame of {size} bytes is announced where {len(self.data) - self.at} are left")

    def text_integer(self) -> None:
        line = bytes(self.line(_LONGEST_DIGITS))
        if line in (b"00", b"01"):
            self.push(line == b"01")
            return
        try:
            self.push(int(line.removesuffix(b"L")))
        except ValueError as error:
            raise Damaged(f"{line[:20]!r} is no whole number") from error

    def text_float(self) -> None:
        line = bytes(self.line())
        try:
            self.push(float(line))
        except ValueError as error:
            raise Damaged(f"{line[:20]!r} is no number") from error

    def integer(self, size: int) -> None:
        if size > _LONGEST_INTEGER:
            raise Damaged(f"an integer of {size} bytes, where {_LONGEST_INTEGER} are the most")
        self.push(int.from_bytes(self.take(size), "little", signed=True))

    def quoted(self) -> None:
        line = self.line(len(self.data))
        if len(line) < 2 or line[0] != line[-1] or line[0] not in b"'\"":
            raise Damaged("a string without quotes")
        self.push(Text(line[1:-1], "escape"))

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise Damaged(f"value {index} is asked for before it is made")
        self.push(self.memo[index])

    def index(self) -> int:
        line = bytes(self.line(20))
        if not line.isdigit():
            raise Damaged(f"{line!r} is no number of a value")
        return int(line)

    def last(self, count: int) -> None:
        """The last values become a tuple."""
        if len(self.stack) < count:
            raise IndexError
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise Unsafe("values are added to what is no list")
        self.stack[-1].extend(items)

    def update(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], Table):
            raise Unsafe("entries are set in what is no dictionary")
        self.stack[-1].pairs.extend(_pairs(items))

    def append(self) -> None:
        value = self.stack.pop()
        self.extend([value])

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update([key, value])

    def name(self, module: str, name: str) -> None:
        if not _is_known(module, name) and (module, name) not in self.known:
            raise Unsafe(f"{module}.{name}")
        self.push(Name(module, name))

    def name_from_stack(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, Text) and isinstance(module, Text)):
            raise Damaged("a name that is no text")
        self.name(word(module), word(name))

    def call(self) -> None:
        arguments, by = self.stack.pop(), self.stack.pop()
        if not isinstance(by, Name) or not isinstance(arguments, tuple):
            raise Unsafe("something is called that is no function or class")
        if by.module != "collections":
            self.push(Made(by, arguments))
            return
        # The opcodes that fill a dictionary fill an OrderedDict too, so that it has to be one from the start.
        self.push(_ordered(arguments))
        # Each may copy a long list of pairs that is in the file once.
        self.steps += len(self.stack[-1].pairs)

    def build(self) -> None:
        state = self.stack.pop()
        made = self.stack[-1]
        if not isinstance(made, Made) or made.states:
            raise Unsafe("the state of something is set that has none, or has one already")
        made.states.append(state)


def word(text: Any) -> str:
    """A short string: a name, a key, a kind of number. Raises Damaged where it is none."""
    if not isinstance(text, Text) or len(text.raw) > _LONGEST_LINE:
        raise Damaged("a key or a name that is no short text")
    # All that SMPL files name is ASCII; other characters come out as something, which is then unknown.
    return bytes(text.raw).decode("utf-8" if text.coding == "utf-8" else "latin1", errors="replace")


def _pairs(items: list[Any]) -> list[tuple[Any, Any]]:
    if len(items) % 2:
        raise Damaged("a key without a value")
    return list(zip(items[::2], items[1::2]))


def _ordered(arguments: tuple[Any, ...]) -> Table:
    """An OrderedDict of nothing, or of a list of pairs, as Python 2 wrote it."""
    pairs = arguments[0] if arguments else []
    if len(arguments) > 1 or not isinstance(pairs, list):
        raise Unsafe("collections.OrderedDict of something else than pairs")
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise Unsafe("collections.OrderedDict of something else than pairs")
    return Table([(pair[0], pair[1]) for pair in pairs])


_STEPS: dict[int, Callable[[_Interpreter], Any]] = {
    ord("("): _Interpreter.mark,
    ord("0"): _Interpreter.pop,
    ord("1"): lambda m: m.marked(),
    ord("2"): lambda m: m.push(m.stack[-1]),
    0x80: _Interpreter.protocol,
    0x95: _Interpreter.frame,
    # Constants and numbers.
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("I"): _Interpreter.text_integer,
    ord("L"): _Interpreter.text_integer,
    ord("F"): _Interpreter.text_float,
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.number("<B")),
    ord("M"): lambda m: m.push(m.number("<H")),
    ord("G"): lambda m: m.push(m.number(">d")),
    0x8A: lambda m: m.integer(m.number("<B")),
    0x8B: lambda m: m.integer(m.number("<I")),
    # Strings.
    ord("S"): _Interpreter.quoted,
    ord("V"): lambda m: m.push(Text(m.line(len(m.data)), "raw-unicode-escape")),
    ord("T"): lambda m: m.text(m.number("<I"), "bytes"),
    ord("U"): lambda m: m.text(m.number("<B"), "bytes"),
    ord("B"): lambda m: m.text(m.number("<I"), "bytes"),
    ord("C"): lambda m: m.text(m.number("<B"), "bytes"),
    0x8E: lambda m: m.text(m.number("<Q"), "bytes"),
    0x96: lambda m: m.text(m.number("<Q"), "bytes"),
    ord("X"): lambda m: m.text(m.number("<I"), "utf-8"),
    0x8C: lambda m: m.text(m.number("<B"), "utf-8"),
    0x8D: lambda m: m.text(m.number("<Q"), "utf-8"),
    # Containers. A set is a list and a frozen one a tuple: nothing reads them.
    ord(")"): lambda m: m.push(()),
    ord("t"): lambda m: m.push(tuple(m.marked())),
    0x85: lambda m: m.last(1),
    0x86: lambda m: m.last(2),
    0x87: lambda m: m.last(3),
    ord("]"): lambda m: m.push([]),
    ord("l"): lambda m: m.push(m.marked()),
    ord("a"): _Interpreter.append,
    ord("e"): lambda m: m.extend(m.marked()),
    ord("}"): lambda m: m.push(Table()),
    ord("d"): lambda m: m.push(Table(_pairs(m.marked()))),
    ord("s"): _Interpreter.set_item,
    ord("u"): lambda m: m.update(m.marked()),
    0x8F: lambda m: m.push([]),
    0x90: lambda m: m.extend(m.marked()),
    0x91: lambda m: m.push(tuple(m.marked())),
    # The memo.
    ord("p"): lambda m: m.put(m.index()),
    ord("q"): lambda m: m.put(m.number("<B")),
    ord("r"): lambda m: m.put(m.number("<I")),
    0x94: lambda m: m.put(len(m.memo)),
    ord("g"): lambda m: m.get(m.index()),
    ord("h"): lambda m: m.get(m.number("<B")),
    ord("j"): lambda m: m.get(m.number("<I")),
    # Names and what is done with them.
    ord("c"): lambda m: m.name(m.word(), m.word()),
    0x93: _Interpreter.name_from_stack,
    ord("R"): _Interpreter.call,
    0x81: _Interpreter.call,
    ord("b"): _Interpreter.build,
}
# Old-style and keyword classes, extension codes, persistent and outside values: no SMPL file has them.
_REFUSED = (ord("i"), ord("o"), ord("P"), ord("Q"), 0x82, 0x83, 0x84, 0x92, 0x97, 0x98)
