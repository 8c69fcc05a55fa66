"""Every experiment runs to its end, by the command that runs it, with little of everything."""

import json
from pathlib import Path

import pytest
from PIL import Image

import nbf.cli
from nbf.experiments import EXPERIMENTS

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder, so that people are drawn once."""
    return tmp_path_factory.mktemp("experiments")


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_runs_and_leaves_its_page(name: str, out: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(ROOT)
    # Photos would take minutes.
    monkeypatch.setenv("NBF_SHARED", str(out / "nowhere"))
    given = ["experiment", name, "--preset", "smoke", "--out", str(out), "--cache", str(out / "no-cache")]
    assert nbf.cli.main(given) == 0
    page, numbers = (out / f"{name}.{kind}" for kind in ("md", "json"))
    assert capsys.readouterr().out.strip() == page.read_text().strip()
    read = json.loads(numbers.read_text())
    assert read["command"] == f"nbf experiment {name} --preset smoke"
    assert read["findings"]
    assert all(table["rows"] for table in read["tables"])
    assert "nan" not in page.read_text()
    pictures = list(out.glob(f"{name}*.png"))
    assert out / f"{name}.png" in pictures
    for picture in pictures:
        assert min(Image.open(picture).size) > 300
        assert f"({picture.name})" in page.read_text()
