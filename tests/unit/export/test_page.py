"""Pages and cells of notebooks: what is packed is what is shown, nothing is fetched, and bodies turn."""

import gzip
import hashlib
import io
import re
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nbf.body.files import ASSETS
from nbf.export.page import _packed
from nbf.people import People
from nbf.render.mesh import gathered

ROOT = Path(__file__).resolve().parents[3]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Links(HTMLParser):
    """Addresses that a page names, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]


def unpacked(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (n, v, 3), faces (f, 3) and guesses (n, f), as viewer.ts reads them."""
    data = gzip.decompress(b64decode(text))
    n, v, f = np.frombuffer(data, "<u4", 3)
    boxes = np.frombuffer(data, "<f4", 6 * n, 12).reshape(n, 1, 2, 3)
    faces = np.frombuffer(data, "<u4", 3 * f, 12 + boxes.nbytes).reshape(f, 3)
    steps = np.frombuffer(data, "<u2", 3 * v * n, 12 + boxes.nbytes + faces.nbytes).reshape(n, v, 3)
    guessed = np.frombuffer(data, "u1", f * n, 12 + boxes.nbytes + faces.nbytes + steps.nbytes).reshape(n, f)
    assert 12 + boxes.nbytes + faces.nbytes + steps.nbytes + guessed.nbytes == len(data)
    return boxes[:, :, 0] + boxes[:, :, 1] * steps / 65535, faces, guessed


def test_what_is_packed_is_everybody(make_people: Callable[..., People]) -> None:
    people = make_people(3)
    points, faces, guessed = unpacked(_packed(people))
    expected = torch.stack([person.vertices for person in people]) * torch.tensor([1.0, -1.0, -1.0])
    expected += gathered(expected.amin(1), expected.amax(1))[:, None]
    np.testing.assert_allclose(points, expected, atol=2e-5)  # a step is 1/65535 of 2 m, 0.03 mm
    np.testing.assert_array_equal(faces, people[0].faces)
    np.testing.assert_array_equal(guessed, torch.stack([person.guessed_faces for person in people]))
    assert 0 < guessed.mean() < 0.5


def test_a_page_fetches_nothing_and_runs_no_names(make_people: Callable[..., People], tmp_path: Path) -> None:
    people = make_people(2)
    bad = replace(people.picture, name="</title><script>alert(1)</script>")
    people = People(tuple(replace(each, picture=bad) for each in people), bad, people.camera)
    page = people.export(tmp_path / "body.html").read_text("utf-8")
    links = Links(page)
    assert links.addresses == []
    assert links.tags.count("script") == 1
    assert "default-src 'none'" in page
    assert not re.search(r"https?:", page)
    value, deviation = people[1].measurements["height_m"]
    assert f"<td>{value:.2f} ± {deviation:.2f} m</td>" in page


@pytest.mark.parametrize("count", [0, 1, 2])
def test_notebooks_show_a_still_a_view_and_numbers(make_people: Callable[..., People], count: int) -> None:
    people = make_people(count)
    cell = people._repr_html_()
    links = Links(cell)
    assert [address[:23] for address in links.addresses] == ["data:image/jpeg;base64,"]
    assert links.tags.count("script") == min(count, 1)
    assert ("nobody found" in cell) == (count == 0)
    assert cell.count("<th>person ") == count
    assert len(cell) < 350_000
    with Image.open(io.BytesIO(people._repr_png_())) as still:
        assert still.size == people.overlay().size


def test_a_person_shows_themselves_alone(make_people: Callable[..., People]) -> None:
    people = make_people(2)
    alone = People((people[1],), people.picture, people.camera)
    assert people[1]._repr_html_() == alone._repr_html_()
    assert people[1]._repr_png_() == alone._repr_png_() != people._repr_png_()


def test_what_is_unknown_is_said(make_people: Callable[..., People], tmp_path: Path) -> None:
    person = make_people(1)[0]
    certainty = replace(
        person.certainty,
        joint_error=torch.full((24,), torch.nan),
        shape_covariance=person.certainty.shape_covariance * torch.nan,
    )
    page = replace(person, certainty=certainty).export(tmp_path / "body.html").read_text("utf-8")
    assert "<td>unknown</td>" in page
    assert "±" not in page
    assert "nan" not in page.partition("<aside>")[2]


def test_the_viewer_is_built_from_its_sources() -> None:
    """And has the licence of what it contains. `npm run build` in tools/viewer mends it."""
    digest = hashlib.sha256()
    for source in ("viewer.ts", "package-lock.json", "build.mjs"):
        digest.update((ROOT / "tools" / "viewer" / source).read_bytes())
    built = (ASSETS / "viewer.min.js").read_text("utf-8")
    assert built.startswith(f"/* sha256 of sources: {digest.hexdigest()}\n")
    lock = (ROOT / "tools" / "viewer" / "package-lock.json").read_text()
    version = re.search(r'node_modules/three": \{\s+"version": "([^"]+)"', lock)
    assert version is not None
    assert f"three.js {version[1]}:\n\nThe MIT License" in built
    assert f"three.js {version[1]}" in (ROOT / "NOTICE").read_text()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_shows_bodies_that_turn(make_people: Callable[..., People], tmp_path: Path) -> None:
    """Two cells of one notebook: the second is turned by half with the arrow keys, and shows the back."""
    cell = make_people(1)._repr_html_()
    turn = """<script>setInterval(() => {
        const canvas = document.querySelectorAll("canvas")[1];
        if (canvas && !window.turned) {
            window.turned = true;
            for (let i = 0; i < 12; i++) canvas.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
        }
    }, 100)</script>"""
    assert CHROMIUM is not None
    page, shot = tmp_path / "cells.html", tmp_path / "shot.png"
    page.write_text(f"<!DOCTYPE html><meta charset=utf-8>{cell}{cell}{turn}", encoding="utf-8")
    flags = [
        "--headless",
        "--no-sandbox",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--hide-scrollbars",
    ]
    place = [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=900,700", "--virtual-time-budget=8000"]
    subprocess.run([CHROMIUM, *flags, *place, f"--screenshot={shot}", page.as_uri()], check=True, capture_output=True)
    with Image.open(shot) as picture:
        pixels = np.asarray(picture.convert("RGB"), int)[:, 260:580]
    # Clay is redder than blue, the room is not; a cell is 320 pixels high. From behind an outline is mirrored, nearly.
    front, back = ((pixels[top : top + 320, :, 0] - pixels[top : top + 320, :, 2]) > 10 for top in (8, 328))
    assert 0.03 < front.mean() < 0.3
    mirrored, same = ((front & other).sum() / (front | other).sum() for other in (back[:, ::-1], back))
    assert mirrored > max(0.6, 1.1 * same)
