"""Every numbered example runs as it stands, with the bundled weights."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[0-9]*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, example], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "person 0" in done.stdout
    written = {path.suffix for path in tmp_path.glob("nbf-results/*")}
    assert written == ({".glb", ".npz", ".obj", ".png"} if example.stem == "01_predict" else set())
