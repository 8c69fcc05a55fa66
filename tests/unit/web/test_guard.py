"""What is too large, too slow or from strangers is refused, politely where that is possible."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient

from nbf.web.limits import Limits
from nbf.web.results import Result, Results
from nbf.web.server import server

Serve = Callable[..., TestClient]


@contextmanager
def listening(predictor: Any, **limits: Any) -> Iterator[int]:
    """The port of a server that runs meanwhile."""
    serving = server(predictor, Limits(**limits))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            serving.should_exit = True
            thread.join(10)


def answer_to(port: int, *pieces: bytes, pause: float = 0.0) -> bytes:
    """All that comes back until the server closes, for bytes that are sent piece by piece."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        got = b""
        try:
            for piece in pieces:
                client.sendall(piece)
                time.sleep(pause)
            while more := client.recv(65536):
                got += more
        except OSError:
            pass
        return got


def test_heads_and_bodies_that_never_end_are_cut_off(predictor: Any) -> None:
    with listening(predictor, upload_seconds=0.9, megabytes=0.01) as port:
        began = time.monotonic()
        assert answer_to(port, b"POST /v1/people HTTP/1.1\r\nHost: localhost\r\nX-Slow: ") == b""
        assert answer_to(port) == b""
        assert time.monotonic() - began < 2
        head = b"POST /v1/people HTTP/1.1\r\nHost: localhost\r\n"
        slow = answer_to(port, head + b"Content-Length: 1000\r\n\r\n", *[b"x"] * 3, pause=0.2)
        assert slow.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"too_slow"' in slow
        giant = answer_to(port, head + b"Content-Length: 99999999999\r\n\r\n", b"x" * 1000)
        assert giant.startswith(b"HTTP/1.1 413 ")
        chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
        endless = answer_to(port, head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 40)
        assert endless == b"" or endless.startswith(b"HTTP/1.1 413 ")  # or reset, as it would not stop
        fine = answer_to(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert fine.startswith(b"HTTP/1.1 200 ")


def test_nothing_runs_for_who_has_left(predictor: Any, photo: bytes) -> None:
    with listening(predictor) as port:
        predictor.go.clear()
        head = b"POST /v1/people HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(photo)
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        for client in clients:
            client.sendall(head + photo)
            time.sleep(0.1)
        for client in clients[1:]:
            client.close()
        time.sleep(0.2)
        predictor.go.set()
        assert clients[0].recv(20).startswith(b"HTTP/1.1 201 ")
        clients[0].close()
        time.sleep(0.2)
        assert len(predictor.asked) == 1


def test_what_has_begun_is_answered_before_the_server_ends(predictor: Any, photo: bytes) -> None:
    head = b"POST /v1/people HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(photo)
    predictor.go.clear()
    with listening(predictor) as port:
        client = socket.create_connection(("127.0.0.1", port), timeout=10)
        client.sendall(head + photo)
        while not predictor.asked:
            time.sleep(0.01)
        threading.Timer(0.3, predictor.go.set).start()
    assert client.recv(20).startswith(b"HTTP/1.1 201 ")
    client.close()


def test_strangers_need_the_token(serve: Serve, photo: bytes) -> None:
    client = serve(token="opensesame", local=False)
    for answer in (client.post("/v1/people", content=photo), client.get("/metrics")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "no_token")
    wrong = client.get("/metrics", headers={"Authorization": "Bearer opensesam"})
    assert wrong.status_code == 401
    right = {"Authorization": "Bearer opensesame"}
    assert client.post("/v1/people", content=photo, headers=right).status_code == 201
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8765", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:80", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("localhost.evil.example:80", 421),
        ("", 421),
    ],
)
def test_other_names_for_this_machine_are_refused(serve: Serve, host: str, status: int) -> None:
    assert serve().get("/healthz", headers={"Host": host}).status_code == status


def test_pages_of_other_sites_send_nothing(serve: Serve, photo: bytes) -> None:
    client = serve()
    for origin, status in (("http://localhost", 201), ("http://evil.example", 403), ("null", 403)):
        assert client.post("/v1/people", content=photo, headers={"Origin": origin}).status_code == status


def test_answers_tell_browsers_to_load_nothing_from_elsewhere(serve: Serve) -> None:
    policy = serve().get("/healthz").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "unsafe" not in policy


def test_the_oldest_results_make_room(make_people: Callable[..., Any]) -> None:
    now = [0.0]
    people = make_people(1)
    one = Result("a", people, b"{}")
    results = Results(10, one.bytes * 3 + people.picture.pixels.nbytes, lambda: now[0])
    for name in "abcd":
        now[0] += 1
        results.keep(Result(name, people, b"{}"))
        if name == "c":
            results.get("a")
    assert [name for name in "abcd" if name in results._kept] == ["a", "c", "d"]
    now[0] += 9.5
    results.forget_old()
    assert len(results) == 1
