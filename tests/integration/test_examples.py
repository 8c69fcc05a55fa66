"""Every numbered example runs as it stands, with the bundled weights."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

WRITES = {
    "01_predict": {".glb", ".npz", ".obj", ".png"},
    "03_files": {".glb", ".json", ".npz", ".obj", ".png"},
    "05_measurements": {".png"},
}
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[0-9]*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, example], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "person 0" in done.stdout
    written = {path.suffix for path in tmp_path.glob("nbf-results/*")}
    assert written == WRITES.get(example.stem, set())


def test_examples_are_numbered_and_say_how_they_are_called() -> None:
    assert [path.name[:3] for path in EXAMPLES] == [f"{number:02}_" for number in range(1, len(EXAMPLES) + 1)]
    for example in EXAMPLES:
        assert f"\npython examples/{example.name}" in (ast.get_docstring(ast.parse(example.read_text("utf-8"))) or "")
