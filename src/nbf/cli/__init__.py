"""The command `nbf`: one file per verb, loaded when it is called, so that help and mistakes answer at once.

A verb is a module of this package: its name with `-` for `_`, the first line of its docstring as its help, and a
function `main(arguments) -> int` that parses the rest of the command line and returns the exit status.
"""

import ast
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from nbf import __version__
from nbf.errors import NbfError

_USAGE_ERROR, _INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `nbf ARGUMENTS`; returns the exit status: 0 done, 1 something failed, 2 not understood."""
    # Before torch is loaded: large tensors on huge pages. Where the kernel hands out 4 kB at a time, touching new
    # memory otherwise costs more than computing on it (64 MB: 71 against 9 ms).
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    verb, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    verbs = _verbs()
    if verb in ("-h", "--help", "help"):
        print(_help(verbs))
        return 0
    if verb in ("-V", "--version"):
        print(f"nbf {__version__}")
        return 0
    if verb not in verbs:
        print(f"nbf: no verb {verb!r}; expected one of {', '.join(verbs)} (see nbf --help)", file=sys.stderr)
        return _USAGE_ERROR
    try:
        return import_module(f"nbf.cli.{verbs[verb].stem}").main(rest)
    except NbfError as error:
        print(f"nbf {verb}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"nbf {verb}: stopped", file=sys.stderr)
        return _INTERRUPTED


def _verbs() -> dict[str, Path]:
    files = sorted(path for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
    return {path.stem.replace("_", "-"): path for path in files}


def _help(verbs: dict[str, Path]) -> str:
    width = max(map(len, verbs))
    # Read, not imported: a list of verbs must not load what they need.
    firsts = {
        verb: (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0] for verb, path in verbs.items()
    }
    lines = [f"  {verb:<{width}}  {first}" for verb, first in firsts.items()]
    return "\n".join(
        [
            "usage: nbf VERB ...",
            "",
            "From a photo to a 3D human body mesh.",
            "",
            "verbs:",
            *lines,
            "",
            "nbf VERB --help says more.",
        ]
    )
