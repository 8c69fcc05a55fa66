"""What `nbf export-model` writes, once for all tests."""

from pathlib import Path

import pytest

from nbf.cli import main


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled networks as ONNX files."""
    pytest.importorskip("onnx", reason="needs pip install 'neural-body-fitting[onnx]'")
    folder = tmp_path_factory.mktemp("onnx")
    assert main(["export-model", str(folder)]) == 0
    return folder
