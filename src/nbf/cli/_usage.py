"""Command lines that are not understood: mistakes that are said before anything is done."""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import Any, TypeVar

import tyro

from nbf.cli._output import UnwritableError, complain, printable
from nbf.errors import InputError, NbfError

T = TypeVar("T")


class UsageError(InputError):
    """The command line is not understood."""


@contextmanager
def understanding(kind: type[NbfError] = NbfError) -> Iterator[None]:
    """Errors of a kind are mistakes in the command line here."""
    try:
        yield
    except kind as error:
        raise UsageError(str(error)) from error


def parsed(kind: type[T], verb: str, arguments: Sequence[str], **options: Any) -> T:
    """The options of a verb. Ends the process with a message where they cannot be read, or with their help."""
    arguments = list(arguments)
    said = io.StringIO()
    # The parser repeats words as they are.
    plain = all(printable(argument) == argument for argument in arguments)
    try:
        with nullcontext() if plain else redirect_stderr(said):
            return tyro.cli(kind, prog=f"nbf {verb}", args=arguments, **options)
    except OSError as error:  # it does nothing with files but print
        raise UnwritableError(error) from error
    finally:
        for line in said.getvalue().splitlines():
            complain(line)


def check_folder(output: Path) -> None:
    """Raises UsageError where results cannot go to a folder of that name, as it is a file."""
    if os.path.exists(output) and not os.path.isdir(output):
        raise UsageError(f"{output}: expected a folder for the results, this is a file; name another with -o")
