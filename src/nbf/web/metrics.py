"""What a server counts, for Prometheus: of requests and of itself, nothing of photos or people."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from nbf.web.guard import App, Message, Receive, Scope, Send
from nbf.web.results import Results
from nbf.web.worker import Worker

_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """Of one server."""

    def __init__(self, worker: Worker, results: Results) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("nbf_requests", "Answers by route and status", ["route", "status"], registry=registry)
        self._seconds = Histogram(
            "nbf_work_seconds", "Seconds of work, waiting included", ["work"], buckets=_SECONDS, registry=registry
        )
        for name, text, value in (
            ("nbf_waiting", "Requests in line", lambda: worker.waiting),
            ("nbf_results", "Results that are kept", lambda: len(results)),
            ("nbf_result_bytes", "Their size", lambda: results.bytes),
        ):
            Gauge(name, text, registry=registry).set_function(value)
        self.middleware = partial(_Counting, requests=self._requests)

    @contextmanager
    def timed(self, work: str) -> Iterator[None]:
        """Meanwhile some work is done or waited for."""
        with self._seconds.labels(work).time():
            yield

    def text(self) -> bytes:
        """In Prometheus's format."""
        return generate_latest(self._registry)


class _Counting:
    def __init__(self, app: App, requests: Counter) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Names of routes, not paths, of which strangers may ask for any number.
                route = getattr(scope.get("route"), "path", "none")
                self._requests.labels(route, str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counted if scope["type"] == "http" else send)
