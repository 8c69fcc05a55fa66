"""What every request has to pass, and every answer to carry, before an application sees either (ASGI)."""

import asyncio
import hmac
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders

from nbf.web.limits import MOST_JSON, Limits
from nbf.web.problems import Problem, busy, error_response

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
UPLOADS = "/v1/people"
_STARTED = "nbf.answer_started"
"""Key of a request's scope."""

HEADERS = {
    # Nothing from elsewhere, nothing to elsewhere, nothing inline, no frames around it.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Guard:
    """Refuses strangers, what is too large and what takes too long."""

    def __init__(self, app: App, limits: Limits, token: str | None = None, *, local: bool = True) -> None:
        """
        Args:
            app: what it guards.
            limits: of bytes and time.
            token: what requests to the API have to bring; None: nothing.
            local: only requests to this machine's own names are answered, so that no web page can point a name of its
                own at the server (DNS rebinding).
        """
        self.app, self.limits, self.local = app, limits, local
        self._active = 0
        self._token = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self.limits.bytes if scope["path"] == UPLOADS else MOST_JSON
        guarded_send = self._sender(scope, send)
        try:
            self._check(scope, most)
        except Problem as problem:
            await error_response(problem)(scope, receive, guarded_send)
            return
        self._active += 1
        try:
            await self.app(scope, self._receiver(receive, most), guarded_send)
        except Exception:
            if scope.get(_STARTED):
                raise
            # Nobody outside learns how a bug looks inside.
            log.exception("%s %s", scope["method"], scope["path"])
            bug = Problem(500, "bug", "something went wrong in the server; its log says what")
            await error_response(bug)(scope, receive, guarded_send)
        finally:
            self._active -= 1

    def _check(self, scope: Scope, most: int) -> None:
        if self._active >= self.limits.connections:
            raise busy(f"{self._active} requests are open, the most that this server takes")
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.local and re.sub(r":\d+$", "", host) not in LOOPBACK:
            raise Problem(
                421, "wrong_host", "expected a request to localhost; to be reached from elsewhere: nbf serve --host"
            )
        origin = headers.get("origin")
        if origin is not None and scope["method"] not in ("GET", "HEAD") and origin.partition("://")[2] != host:
            raise Problem(
                403, "other_site", "expected a request from this server's own page, got one from another site"
            )
        private = scope["path"].startswith("/v1/") or scope["path"] == "/metrics"
        given = headers.get("authorization", "").encode()
        if private and self._token is not None and not hmac.compare_digest(given, self._token):
            message = "expected 'Authorization: Bearer TOKEN' with the token that nbf serve printed when it began"
            raise Problem(401, "no_token", message, {"WWW-Authenticate": "Bearer"})
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > most:
            raise _too_large(most)

    def _receiver(self, receive: Receive, most: int) -> Receive:
        """Counts bytes and seconds until the request is there; after that it only tells when who asked has left."""
        count, whole = 0, False
        deadline = asyncio.get_running_loop().time() + self.limits.upload_seconds

        async def counted() -> Message:
            nonlocal count, whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                seconds = f"{self.limits.upload_seconds:g}"
                raise Problem(
                    408, "too_slow", f"expected the request within {seconds} seconds; send less", _CLOSE
                ) from None
            count += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if count > most:
                raise _too_large(most)
            return message

        return counted

    def _sender(self, scope: Scope, send: Send) -> Send:
        """Adds the headers, and gives up on who does not take the answer."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope[_STARTED] = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await asyncio.wait_for(send(message), self.limits.answer_seconds)

        return sent


_CLOSE = {"Connection": "close"}


def _too_large(most: int) -> Problem:
    return Problem(413, "too_large", f"expected at most {most / 2**20:g} MiB; make the photo smaller first", _CLOSE)
