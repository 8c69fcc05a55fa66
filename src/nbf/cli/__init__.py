"""The command `nbf`: one file per verb, loaded when it is called, so that help and mistakes answer at once.

A verb is a module of this package: its name with `-` for `_`, the first line of its docstring as its help, and a
function `main(arguments) -> int` that parses the rest of the command line and returns the exit status. It is one of
research unless `_USE` names it.
"""

import ast
import atexit
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from nbf import __version__
from nbf.cli._output import complain, guarded, say
from nbf.cli._uncollected import uncollected
from nbf.errors import NbfError

_USAGE_ERROR, _INTERRUPTED = 2, 130
_USE = ("predict", "video", "batch", "refine", "serve", "view", "export", "export-model")
"""Verbs for whoever has photos, in the order of help; the others are for who measures and trains."""


def run() -> None:
    """The program `nbf`: `main`, whose exit status the process ends with."""
    status = 1
    # What is registered first is called last: when other threads have ended and all else that was to be done at the
    # end is done. Python would go on to take apart what torch set up, which takes a quarter of a second.
    atexit.register(lambda: os._exit(status))
    status = main()
    sys.exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `nbf ARGUMENTS`; returns the exit status: 0 done, 1 something failed, 2 not understood."""
    # Before torch is loaded: large tensors on huge pages. Where the kernel hands out 4 kB at a time, touching new
    # memory otherwise costs more than computing on it (64 MB: 71 against 9 ms).
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    return guarded(lambda: _answer(list(sys.argv[1:] if arguments is None else arguments) or ["--help"]))


def _answer(arguments: list[str]) -> int:
    verb, *rest = arguments
    verbs = _verbs()
    if verb in ("-h", "--help", "help"):
        for line in _help(verbs):
            say(line)
        return 0
    if verb in ("-V", "--version"):
        say(f"nbf {__version__}")
        return 0
    if verb not in verbs:
        complain(f"nbf: no verb {verb!r}; expected one of {', '.join(verbs)} (see nbf --help)")
        return _USAGE_ERROR
    # Not above: the parser that it brings is not needed for help.
    from nbf.cli._usage import UsageError

    try:
        with uncollected():
            module = import_module(f"nbf.cli.{verbs[verb].stem}")
        return module.main(rest)
    except UsageError as error:
        complain(f"nbf {verb}: {error}")
        return _USAGE_ERROR
    except NbfError as error:
        complain(f"nbf {verb}: {error}")
        return 1
    except SystemExit as ending:  # of the parser: help, or a mistake
        return ending.code if isinstance(ending.code, int) else _USAGE_ERROR
    except KeyboardInterrupt:
        complain(f"nbf {verb}: stopped")
        return _INTERRUPTED


def _verbs() -> dict[str, Path]:
    files = sorted(path for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
    return {path.stem.replace("_", "-"): path for path in files}


def _help(verbs: dict[str, Path]) -> list[str]:
    width = max(map(len, verbs))

    def line(verb: str) -> str:
        # Read, not imported: a list of verbs must not load what they need.
        text = ast.get_docstring(ast.parse(verbs[verb].read_text(encoding="utf-8"))) or ""
        return f"  {verb:<{width}}  {text.splitlines()[0]}"

    return [
        "usage: nbf VERB ...",
        "",
        "From a photo to a 3D human body mesh.",
        "",
        "use:",
        *(line(verb) for verb in _USE),
        "",
        "research:",
        *(line(verb) for verb in verbs if verb not in _USE),
        "",
        "nbf VERB --help says more.",
    ]
