"""`nbf serve`: mistakes are said before anything is loaded, and what it needs is named."""

import socket
import sys

import pytest

from nbf.cli import main, serve


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--port", "70000"], "--port: expected 0 to 65535"),
        (["--threads", "0"], "--threads: expected 1 or more"),
        (["--limits.keep-minutes", "0"], "--limits.keep-minutes: expected more than 0"),
    ],
)
def test_impossible_options_are_refused(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *options]) == 2
    assert said in capsys.readouterr().err


def test_a_port_that_is_taken_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 1
    assert "choose another --port" in capsys.readouterr().err


def test_without_its_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("nbf.web.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", "--port", "0"]) == 1
    assert "pip install '.[web]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80/#t"),
        ("::1", "http://[::1]:80/#t"),
        ("0.0.0.0", f"http://{socket.gethostname()}:80/#t"),
    ],
)
def test_the_address_can_be_opened(host: str, url: str) -> None:
    assert serve._url(host, 80, "t") == url
    assert serve._url(host, 80, None) == url.removesuffix("#t")
