"""`nbf bench-speed`: rows for every step, stage and format, and mistakes that are said."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nbf.body.files import load_body
from nbf.cli import bench_speed, main
from nbf.errors import InputError, NbfError
from nbf.evaluate import speed
from nbf.export.formats import FORMATS
from nbf.pictures import Picture
from nbf.predictor import Predictor


@pytest.mark.slow
def test_tables_have_every_step_stage_and_format(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With the quickest formats, and processes that answer at once."""
    monkeypatch.setattr(speed, "PEOPLE", (2,))
    monkeypatch.setattr(speed, "FORMATS", {name: FORMATS[name] for name in ("bvh", "coco")})
    answers = {"_cold": '{"import torch": 0.5}\n', "predict": ""}
    monkeypatch.setattr(
        bench_speed, "_ran", lambda words, threads: answers["predict" if "predict" in words else "_cold"]
    )
    file = tmp_path / "speed.json"
    before = torch.get_num_threads()
    assert main(["bench-speed", "--rounds", "1", "--threads", str(before), "--json", str(file)]) == 0
    said, report = capsys.readouterr().out, json.loads(file.read_text())
    assert report["machine"]["threads"] == before
    assert report["cold"]["import torch"] == {"median_ms": 500.0, "worst_ms": 500.0}
    assert list(report["stages"]) == ["2"]
    assert list(report["files"]) == ["bvh", "coco", "png"]
    rows = [*report["cold"], *report["stages"]["2"], *report["files"]]
    assert {"decode", "locate", "see", "solve", "mesh and certainty"} < {*rows}
    for row in rows:
        assert f"\n{row} " in said
    assert all(0 < times["median_ms"] <= times["worst_ms"] for times in report["stages"]["2"].values())


def test_mistakes_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--rounds", "0"], ["--threads", "-1"], ["--photo", str(tmp_path / "gone.jpg")]):
        assert main(["bench-speed", *words]) == 2
        assert capsys.readouterr().err.startswith("nbf bench-speed: ")


def test_rounds_end_where_they_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[None] = []
    assert speed.timed(lambda: done.append(None), 5)["median_ms"] >= 0
    assert len(done) == 6  # the first counts for nothing
    monkeypatch.setattr(speed, "LONGEST", 1e-9)
    assert speed.timed(lambda: done.append(None), 5)["worst_ms"] > 0
    assert len(done) == 7


def test_people_side_by_side_are_the_same_person(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    picture = Picture(draw.integers(0, 255, (30, 20, 3), np.uint8), "random")
    box = torch.tensor([2.0, 3, 12, 28])
    several, boxes = speed.side_by_side(picture, box, 5)
    assert (several.width, several.height) == (60, 60)
    for x0, y0, x1, y1 in boxes.int().tolist():
        np.testing.assert_array_equal(several.pixels[y0:y1, x0:x1], picture.pixels[3:28, 2:12])
    assert len({tuple(row) for row in boxes.tolist()}) == 5


def test_nobody_to_time_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Predictor, "predict", lambda *_, **options: ())
    with pytest.raises(InputError, match="found nobody; take another"):
        speed.person_of(object.__new__(Predictor), speed.drawn(load_body("anny24", "small")))


@pytest.mark.slow
def test_a_process_that_starts_tells_its_steps(tmp_path: Path) -> None:
    photo = tmp_path / "drawn.png"
    Image.fromarray(speed.drawn(load_body()).pixels).save(photo)
    steps = json.loads(bench_speed._ran(["-m", "nbf.cli._cold", str(photo), str(tmp_path)], 1))
    assert {"import torch", "read segmenter", "predict it", "write a .glb"} < {*steps}
    assert (tmp_path / "cold.glb").stat().st_size > 1e5
    with pytest.raises(NbfError, match="failed with status"):
        bench_speed._ran(["-c", "raise SystemExit(3)"], 1)
