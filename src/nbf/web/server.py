"""The application behind a socket: uvicorn, with time limits that it lacks."""

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from nbf.predictor import Predictor
from nbf.web.app import create_app
from nbf.web.limits import Limits

_SHUTDOWN_SECONDS = 20
"""In which requests that have begun are answered after the server was told to stop."""
_IDLE_SECONDS = 10
"""For which connections without requests stay open."""


def server(predictor: Predictor, limits: Limits, token: str | None = None) -> uvicorn.Server:
    """A server, to be run on sockets. Without a token it answers requests to this machine's own names alone."""
    app = create_app(predictor, limits, token, local=token is None)
    config = uvicorn.Config(
        app,
        http=_patient(limits.upload_seconds / 6),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        # Idle connections included; the application refuses sooner, and more politely.
        limit_concurrency=4 * limits.connections,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        # Whose address somebody claims to have decides nothing here.
        proxy_headers=False,
    )
    return uvicorn.Server(config)


def _patient(seconds: float) -> type[H11Protocol]:
    """uvicorn's protocol, that closes connections whose next request's head is not there in time."""

    class Patient(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._late = self.loop.call_later(seconds, transport.close)

        def data_received(self, data: bytes) -> None:
            busy = self.cycle is not None and not self.cycle.response_complete
            if not busy and self._late is None:
                self._late = self.loop.call_later(seconds, self.transport.close)
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._in_time()

        def connection_lost(self, exc: Exception | None) -> None:
            self._in_time()
            super().connection_lost(exc)

        def _in_time(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

    return Patient
