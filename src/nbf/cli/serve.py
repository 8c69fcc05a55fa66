"""A page for browsers that shows photos' bodies and lets you correct them, and an API for programs."""

import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from nbf.cli._output import say
from nbf.cli._usage import UsageError, parsed
from nbf.errors import InputError
from nbf.web.limits import Limits, default_threads

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Serve the page and the API (docs/web.md) until Ctrl-C.

    Only this machine reaches it unless --host says otherwise; then everybody has to bring a token, which is the
    environment's NBF_TOKEN, else a new one that is printed. Nothing is stored, and nothing is asked of other machines.
    """

    host: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = "127.0.0.1"
    """Where to listen: 0.0.0.0 is all addresses of this machine."""
    port: Annotated[int, tyro.conf.arg(metavar="N")] = 8765
    """And on which port; 0 is any that is free."""
    threads: Annotated[int, tyro.conf.arg(metavar="N", help_behavior_hint="(default: all)")] = field(
        default_factory=default_threads
    )
    """Processor threads."""
    limits: Limits = field(default_factory=Limits)
    """What the server takes and keeps."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and serve; 0 once told to stop."""
    given = parsed(Arguments, "serve", arguments)
    if not 0 <= given.port < 1 << 16:
        raise UsageError(f"--port: expected 0 to 65535, got {given.port}")
    if given.threads < 1:
        raise UsageError(f"--threads: expected 1 or more, got {given.threads}")
    for name, value in vars(given.limits).items():
        if not value > 0:
            raise UsageError(f"--limits.{name.replace('_', '-')}: expected more than 0, got {value:g}")
    token = os.environ.get("NBF_TOKEN") or (None if given.host in _LOOPBACK else secrets.token_urlsafe(18))
    listening = _listening(given.host, given.port)
    # Here and not above: help and mistakes should not wait for torch.
    try:
        import torch

        from nbf.web.server import server
    except ModuleNotFoundError as error:
        raise InputError(f"nbf serve needs {error.name}, which is not installed: pip install '.[web]'") from error
    from nbf import predictor

    torch.set_num_threads(given.threads)
    serving = server(predictor.load(), given.limits, token)
    say(f"serving on {_url(given.host, listening.getsockname()[1], token)} (Ctrl-C ends it)")
    serving.run(sockets=[listening])
    return 0


def _listening(host: str, port: int) -> socket.socket:
    """A socket, so that a port that is taken is said before anything is loaded. Raises InputError."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, UnicodeError) as error:
        raise InputError(f"{host}:{port}: cannot listen there ({error}); choose another --port or --host") from error


def _url(host: str, port: int, token: str | None) -> str:
    """What to open: the token stands behind #, which browsers send to nobody."""
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/{'' if token is None else f'#{token}'}"
