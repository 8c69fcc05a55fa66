from pathlib import Path

import pytest

from nbf.data.shared import shared_dir


def test_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NBF_SHARED", str(tmp_path))
    assert shared_dir() == tmp_path


def test_named_but_missing_folder_means_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NBF_SHARED", str(tmp_path / "nowhere"))
    assert shared_dir() is None


def test_folder_beside_the_repository_is_the_default(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NBF_SHARED", raising=False)
    beside = Path(__file__).resolve().parents[4] / "shared"
    assert shared_dir() == (beside if beside.is_dir() else None)
