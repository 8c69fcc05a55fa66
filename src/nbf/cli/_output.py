"""What reaches the terminal: text that any console can print, on streams whose readers may leave."""

import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_FAILED, _READER_LEFT = 1, 141
"""Exit statuses; the second is what shells report of a program that SIGPIPE ended."""


_STREAMS = ("stdout", "stderr")


def printable(text: object) -> str:
    """On one line, without anything that a terminal would obey or could not show.

    Names of files hold any bytes: control characters, escape codes, marks that turn the direction of writing. They are
    written as Python would write them; bytes that are no text (surrogates, PEP 383) as `\\xe9`.
    """
    return "".join(char if char.isprintable() else _escaped(char) for char in str(text))


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def say(text: object) -> None:
    """Print a line, at once: whoever reads a pipe sees how far a batch is."""
    _print(text, "stdout")


def complain(text: object) -> None:
    """Print a line to standard error."""
    _print(text, "stderr")


def _print(text: object, name: str) -> None:
    try:
        print(printable(text), file=getattr(sys, name), flush=True)
    except OSError as error:
        raise UnwritableError(error) from error


class UnwritableError(Exception):
    """The terminal, or what takes its place, takes no more."""


def guarded(work: Callable[[], int]) -> int:
    """The exit status of `work`, which prints, on whatever console; output that cannot be written ends it, quietly
    where the reader has left."""
    for name in _STREAMS:
        if getattr(sys, name) is None:  # closed from the start
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  for as long as the program runs
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Pillow warns about each flaw of a file: what matters of them is an error of ours as well.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LogFormatter())
    reason: BaseException | None = None
    try:
        status = work()
    except UnwritableError as error:
        status, reason = _FAILED, error.args[0]
    except OSError as error:
        # Perhaps of those who print without us: what was not written is still there, and fails again.
        if not (isinstance(error, BrokenPipeError) or any(map(_failure, _STREAMS))):
            raise
        status, reason = _FAILED, error
    failures = [error for name in _STREAMS if (error := _failure(name)) is not None]
    reason = reason or next(iter(failures), None)
    if isinstance(reason, BrokenPipeError):
        status = _READER_LEFT
    elif reason is not None:
        status = _FAILED
        with suppress(UnwritableError):
            complain(f"nbf: the output cannot be written ({reason})")
    for name in _STREAMS:
        if _failure(name) is not None:
            _abandon(name)
    return status


def _failure(name: str) -> OSError | None:
    """Why what was printed does not leave."""
    try:
        getattr(sys, name).flush()
    except OSError as error:
        return error
    return None


def _abandon(name: str) -> None:
    """Let what is left go nowhere: the interpreter flushes once more when it ends, and would complain."""
    with suppress(OSError):  # no file
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, getattr(sys, name).fileno())
        os.close(null)


class LogFormatter(logging.Formatter):
    """Records as lines that any console can print."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def log_to(name: str) -> None:
    """Show what the library logs on "stdout" or "stderr"."""
    handler = logging.StreamHandler(getattr(sys, name))
    handler.setFormatter(LogFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


@contextmanager
def hushed() -> Iterator[None]:
    """Meanwhile nothing but what Python prints reaches file descriptor 2, to which libraries in C, such as libtiff,
    write what they think of a damaged picture; Pillow has no way to stop them, and its error says that it is damaged.

    The descriptor is the process's, and threads read pictures: `sys.stderr` prints past it.
    """
    try:
        kept = os.dup(2)
    except OSError:  # closed
        yield
        return
    stream = sys.stderr
    stream.flush()
    if isinstance(stream, io.TextIOWrapper) and _descriptor(stream) == 2:
        sys.stderr = open(kept, "w", 1, stream.encoding, "backslashreplace", closefd=False)  # noqa: SIM115  below
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        sys.stderr = stream
        os.close(kept)
        os.close(null)


def _descriptor(stream: io.TextIOWrapper) -> int | None:
    try:
        return stream.fileno()
    except OSError:
        return None
