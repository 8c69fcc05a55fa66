"""`nbf view`: a page of results, opened in the browser."""

import webbrowser
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from nbf.cli import main
from nbf.people import People


@pytest.fixture
def results(make_people: Callable[..., People], tmp_path: Path) -> list[str]:
    people = make_people(2)
    return [str(person.export(tmp_path / f"walk_{index}.npz")) for index, person in enumerate(people)]


@pytest.mark.parametrize("opens", [True, False])
def test_the_browser_gets_a_page_of_everybody(
    opens: bool,
    results: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or opens)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert main(["view", *results]) == 0
    said = capsys.readouterr()
    page = Path(unquote(urlsplit(opened[0]).path))
    assert urlsplit(opened[0]).scheme == "file"
    assert said.out.strip() == str(page)
    assert page.name == "walk_0.html"
    assert page.is_relative_to(tmp_path)
    assert page.read_text("utf-8").count("<th>person ") == 2
    assert said.err == ("" if opens else "no browser could be opened; open that file in yours\n")


def test_what_is_no_result_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view"]) == 2
    assert main(["view", str(tmp_path / "none.npz")]) == 1
    assert "none.npz: no such file" in capsys.readouterr().err
