"""The page in a real browser: from a photo to corrected bodies that are taken away. Needs Chromium and playwright."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import trimesh

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "demo.jpg"
VALIDATE, MODULES = ROOT / "tests" / "viewers" / "validate.js", ROOT / "build" / "viewers" / "node_modules"
"""Khronos' validator, where `make viewers` has put it."""
WRIST, ELBOW, ANKLE = 10, 8, 16
"""Right ones, of COCO's joints."""
PATIENCE = 120_000
"""Milliseconds: machines that run tests do much else."""


@contextmanager
def serving(port: int = 0) -> Iterator[tuple[str, subprocess.Popen]]:
    """The address of a server of its own process."""
    command = [sys.executable, "-c", "from nbf.cli import main; main()", "serve", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split()[2], server
        finally:
            server.kill()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as (address, _):
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # WebGL without a graphics card.
    options = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """A tab on the page, in metres. Nothing goes wrong in it, and nothing is asked of other hosts."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000}, locale="en-GB")
    page.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("request", lambda asked: wrong.append(asked.url) if _elsewhere(asked.url, address) else None)
    page.goto(address)
    yield page
    page.close()
    assert wrong == []


def _elsewhere(url: str, address: str) -> bool:
    return not url.startswith("blob:") and urlsplit(url).netloc != urlsplit(address).netloc


def opened(page: Any) -> dict[str, Any]:
    """What the server found in the demo."""
    with page.expect_response("**/v1/people") as answer:
        page.locator("header input[type=file]").set_input_files(DEMO)
    page.get_by_text("2 people").wait_for()
    return result(page, answer.value)


def result(page: Any, answer: Any) -> dict[str, Any]:
    """What the server has answered with, asked for again: browsers drop answers from their memory."""
    with urlopen(page.url.rstrip("/") + answer.headers["location"]) as again:
        return json.load(again)


def stroke(page: Any, *places: tuple[float, float]) -> dict[str, Any]:
    """What has come of dragging over places of the photo, in its pixels."""
    box = page.locator(".stage").bounding_box()
    scale = box["width"] / 720
    with page.expect_response("**/v1/refit") as answer:
        x, y = places[0]
        page.mouse.move(box["x"] + x * scale, box["y"] + y * scale)
        page.mouse.down()
        for x, y in places[1:]:
            page.mouse.move(box["x"] + x * scale, box["y"] + y * scale, steps=4)
        page.mouse.up()
    settled(page)
    return result(page, answer.value)


def settled(page: Any) -> None:
    page.locator("main:not([aria-busy])").wait_for()
    assert page.locator(".alarm").all_inner_texts() == []


def joint(answer: dict[str, Any], index: int, person: int = 0) -> tuple[float, float]:
    return tuple(answer["people"][person]["joints"]["coco17"]["2d"][index])


def away(a: tuple[float, float], b: tuple[float, float]) -> float:
    return ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5


def test_a_photo_is_opened_corrected_and_taken_away(page: Any, tmp_path: Path) -> None:
    found = opened(page)
    assert len(found["people"]) == 2
    elbow = joint(found, ELBOW)

    # A forearm painted downwards, in place of the one that goes sideways.
    page.get_by_role("button", name="Brush", exact=True).click()
    stroke(page, (elbow[0] - 20, elbow[1] + 5), (elbow[0] - 60, elbow[1] + 15), (elbow[0] - 115, elbow[1] + 35))
    part = page.get_by_role("combobox", name="Part", exact=True)
    part.select_option(label="right lower arm front")
    target = elbow[0], elbow[1] + 90
    stroke(page, elbow, target)
    part.select_option(label="right hand")
    painted = stroke(page, (target[0], target[1] + 20), (target[0], target[1] + 40))
    assert away(joint(painted, WRIST), target) < 0.4 * away(joint(found, WRIST), target)

    page.get_by_role("button", name="Joints", exact=True).click()
    start = joint(painted, ANKLE)
    dragged = stroke(page, start, (start[0] - 80, start[1] + 5))
    assert away(joint(dragged, ANKLE), (start[0] - 80, start[1] + 5)) < 15
    assert away(joint(dragged, WRIST), joint(painted, WRIST)) < 25

    with page.expect_response("**/v1/refit"):
        page.get_by_label("Height (m)").fill("1.93")
        page.get_by_label("Height (m)").press("Enter")
    settled(page)
    height = page.locator("tr[data-name=height_m]")
    assert "1.93 m" in height.inner_text() or "1.92 m" in height.inner_text()
    page.get_by_role("button", name="Undo").click()
    assert "1.93 m" not in height.inner_text()
    page.get_by_role("button", name="Redo").click()
    assert page.get_by_label("Height (m)").input_value() == "1.93"

    with page.expect_download() as file:
        page.get_by_role("button", name="GLB").click()
    glb = tmp_path / "body.glb"
    file.value.save_as(glb)
    assert len(trimesh.load_scene(io.BytesIO(glb.read_bytes()), file_type="glb").geometry) == 2
    if shutil.which("node") and MODULES.is_dir() and VALIDATE.is_file():
        said = subprocess.run(["node", VALIDATE, MODULES, glb], capture_output=True, text=True, check=True)
        (report,) = json.loads(said.stdout)
        assert report["issues"]["numErrors"] == 0


def test_people_are_removed_and_drawn(page: Any) -> None:
    found = opened(page)
    page.get_by_role("button", name="Person 2").click()
    with page.expect_response("**/v1/refit") as removed:
        page.keyboard.press("Delete")
    settled(page)
    assert len(result(page, removed.value)["people"]) == 1
    page.get_by_role("button", name="Add person").click()
    x0, y0, x1, y1 = found["people"][1]["box"]
    added = stroke(page, (x0, y0), (x1, y1))
    assert len(added["people"]) == 2
    assert away(joint(added, WRIST, 1), joint(found, WRIST, 1)) < 20
    page.get_by_text("Person 2").wait_for()


def test_the_page_meets_accessibility_rules(page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()

    def violations() -> list[str]:
        found = axe.run(page).response["violations"]
        return [f"{rule['id']}: {[node['html'][:120] for node in rule['nodes']]}" for rule in found]

    assert violations() == []
    opened(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for tool in ("Joints", "Brush"):
            page.get_by_role("button", name=tool, exact=True).click()
            assert violations() == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert violations() == []
    page.get_by_role("button", name="Help").click()
    assert violations() == []


def test_clients_get_a_clean_error_when_the_server_was_killed_and_may_retry(browser: Any) -> None:
    with serving() as (address, server):
        page = browser.new_page(locale="en-GB")
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        opened(page)
        server.kill()
    page.get_by_role("button", name="Joints", exact=True).click()
    page.get_by_role("button", name="Pin").click()
    page.get_by_text("The server does not answer").wait_for()
    with serving(urlsplit(address).port or 0):
        page.get_by_role("button", name="Try again").click()
        page.get_by_text("no longer has this photo").wait_for()
        with page.expect_response("**/v1/people") as answer:
            page.get_by_role("button", name="Try again").click()
        assert answer.value.status == 201
        page.get_by_text("2 people").wait_for()
    page.close()
