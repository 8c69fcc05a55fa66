import json
from pathlib import Path

import pytest
from PIL import Image

from nbf.cli import evaluate
from nbf.errors import DataError, InputError

PEOPLE = Path(__file__).parents[3] / "benchmarks" / "people"
KEYS = (
    "n", "pa_mpjpe_mean_mm", "pa_mpjpe_median_mm", "mpjpe_mean_mm", "pve_mean_mm", "pckh50", "rotation_deg",
    "height_cm", "miou", "f1", "seconds",
)  # fmt: skip

CROWD_KEYS = (
    "people", "recall", "precision", "pa_mpjpe_mean_mm", "pa_mpjpe_visible_mm", "pa_mpjpe_hidden_mm", "hidden_joints",
    "mpjpe_mean_mm", "order", "order_pairs", "overlap_litres", "sunk", "nothing_known", "lens", "lens_and_one_height",
    "lens_and_heights", "seconds", "seconds_base", "seconds_person", "seconds_by_people",
)  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["--n", "0"],
        ["--proxy", "true-parts", "--n", "1001", "--people", str(PEOPLE)],
        ["--data", "real", "--proxy", "true-parts"],
        ["--data", "photos", "--proxy", "true-parts"],
        ["--data", "bench:crowd", "--proxy", "true-parts"],
        ["--data", "bench:crowd", "--n", "1001", "--people", str(PEOPLE)],
        ["--sheet", "people.jpg"],
    ],
)
def test_contradictions_say_what_to_do(arguments: list[str]) -> None:
    with pytest.raises(InputError, match=r"--n|--data bench:wild|\.png"):
        evaluate.main(arguments)


@pytest.mark.parametrize("data", ["real", "photos"])
def test_real_photos_need_the_shared_folder(data: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NBF_SHARED", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="NBF_SHARED"):
        evaluate.main(["--data", data])


def test_folders_without_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder with weights"):
        evaluate.main(["--proxy", "true-parts", "--weights", str(tmp_path)])


@pytest.mark.parametrize(("track", "proxy"), [("studio", "true-parts"), ("wild", "rgb")])
def test_a_track(track: str, proxy: str, tmp_path: Path) -> None:
    """The bundled weights on the first two people: every key, and a sheet."""
    scores, sheet = tmp_path / "scores.json", tmp_path / "sheet.png"
    given = ["--data", f"bench:{track}", "--proxy", proxy, "--n", "2", "--people", str(PEOPLE)]
    assert evaluate.main([*given, "--json", str(scores), "--sheet", str(sheet)]) == 0
    report = json.loads(scores.read_text())
    for column in ("before", "after"):
        assert set(KEYS) <= set(report[column])
        assert report[column]["n"] == 2
    assert (report["data"], report["proxy"]) == (f"bench:{track}", proxy)
    if proxy == "true-parts":
        assert report["after"]["miou"] == report["after"]["f1"] == 100
    assert Image.open(sheet).width > 700


def test_several_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The bundled weights on the first picture: every key, and a sheet."""
    scores, sheet = tmp_path / "scores.json", tmp_path / "sheet.png"
    given = ["--data", "bench:crowd", "--n", "1", "--people", str(PEOPLE)]
    assert evaluate.main([*given, "--json", str(scores), "--sheet", str(sheet)]) == 0
    report = json.loads(scores.read_text())
    assert set(CROWD_KEYS) <= set(report)
    assert (report["data"], report["n"]) == ("bench:crowd", 1)
    assert set(report["lens_and_heights"]) == {"distance_median_percent", "height_cm"}
    assert Image.open(sheet).width > 700
    assert "people found" in capsys.readouterr().out


def test_people_who_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected people.npz and pictures.zip.*--people DIR"):
        evaluate.main(["--proxy", "true-parts", "--people", str(tmp_path)])
