"""Every numbered example runs as it stands, with the bundled weights."""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WRITES = {
    "01_predict": {".glb", ".npz", ".obj", ".png"},
    "03_files": {".bvh", ".csv", ".glb", ".json", ".npz", ".obj", ".png"},
    "05_measurements": {".png"},
}
FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(FOLDER.glob("[0-9]*.py"))
NOTEBOOKS = sorted(FOLDER.glob("[0-9]*.ipynb"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, example], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "person 0" in done.stdout
    written = {path.suffix for path in tmp_path.glob("nbf-results/*")}
    assert written == WRITES.get(example.stem, set())


def cell_values(notebook: Path) -> Iterator[Any]:
    """The value of each code cell, all of them run one after the other."""
    names: dict[str, Any] = {}
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert not cell["outputs"], "outputs are large: clear them"
            lines = ast.parse(cell["source"])
            last = lines.body.pop()
            exec(compile(lines, notebook.name, "exec"), names)
            if isinstance(last, ast.Expr):
                yield eval(compile(ast.Expression(last.value), notebook.name, "eval"), names)
            else:
                exec(compile(ast.Module([last], []), notebook.name, "exec"), names)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(FOLDER / "demo.jpg", tmp_path)
    people, person, tall, page = cell_values(notebook)
    assert len(people) == 2
    assert "<th>person 0</th>" in person._repr_html_()
    assert tall[0].measurements["height_m"][0] == pytest.approx(1.80, abs=0.03)
    assert page.stat().st_size < 1e6


def test_examples_are_numbered_and_say_how_they_are_called() -> None:
    numbers = sorted(path.name[:3] for path in EXAMPLES + NOTEBOOKS)
    assert numbers == [f"{number:02}_" for number in range(1, len(numbers) + 1)]
    for example in EXAMPLES:
        assert f"\npython examples/{example.name}" in (ast.get_docstring(ast.parse(example.read_text("utf-8"))) or "")
