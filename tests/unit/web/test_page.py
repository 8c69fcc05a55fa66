"""The page's files: built from the sources beside them, light, and asking nobody else for anything."""

import gzip
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from fastapi.testclient import TestClient

from nbf.web.app import PAGE

ROOT = Path(__file__).resolve().parents[3]
MOST = 1_500_000


def test_the_page_was_built_from_the_sources() -> None:
    web = ROOT / "web"
    names = ["index.html", "package-lock.json", "vite.config.js", *(f"src/{path.name}" for path in web.glob("src/*"))]
    digest = sha256(b"".join((web / name).read_bytes() for name in sorted(names)))
    built = (PAGE / "sources.sha256").read_text().strip()
    assert built == digest.hexdigest(), "sources of the page have changed: cd web && npm ci && npm run build"


def test_the_page_is_light_and_comes_compressed(serve: Callable[..., TestClient]) -> None:
    client = serve()
    weight = 0
    for path in PAGE.iterdir():
        answer = client.get(f"/{path.name}")
        assert answer.content == path.read_bytes()
        assert answer.headers["content-encoding"] == "gzip"
        weight += len(gzip.compress(path.read_bytes()))
    assert weight < MOST
    plain = client.get("/", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["content-type"].startswith("text/html")


def test_the_page_names_no_other_host() -> None:
    """But for XML's name spaces and where licences and messages point to."""
    harmless = r"http://www\.w3\.org/|https://(github\.com|threejs\.org|opensource\.org)"
    for path in PAGE.iterdir():
        for url in re.findall(r"""https?://[^\s"'`)]+""", path.read_text("utf-8")):
            assert re.match(harmless, url), url
    html = (PAGE / "index.html").read_text("utf-8")
    assert "<style" not in html
    assert re.findall(r"<script[^>]*>([^<]*)", html) == [""]
