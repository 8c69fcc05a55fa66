"""Albums of small photos, and a predictor that needs no networks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from albums import RedPredictor
from quick_predict import photo

from nbf.batch import job
from nbf.batch.job import begin
from nbf.people import People


@pytest.fixture(scope="session")
def predictor(make_people: Callable[..., People]) -> RedPredictor:
    known = {count: make_people(count) for count in (1, 2)}
    return RedPredictor(lambda count: known[count])


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Seven photos of 0, 1, 2, 0 ... people, the last in a folder of its own, and a file that is no picture."""
    folder = tmp_path / "album"
    for index in range(7):
        photo(folder / ("more" if index == 6 else "") / f"{index}.png", index % 3, index)
    (folder / "bad.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Begins a batch, with what nobody asks for left as it is; parts of three photos. Weights are not looked at."""
    monkeypatch.setattr(job, "weights_sha256", lambda weights: "")

    usual = {"column": "image", "method": "nbf", "weights": None, "min_score": 0.3, "max_people": None}
    few = {"formats": (), "part": 3}
    return lambda output, source, **others: begin(str(output), str(source), **(usual | few | others))
