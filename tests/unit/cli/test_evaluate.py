import json
from pathlib import Path

import pytest
from PIL import Image

from nbf.cli import evaluate
from nbf.errors import DataError, InputError, ModelFileError

KEYS = (
    "n", "pa_mpjpe_mean_mm", "pa_mpjpe_median_mm", "mpjpe_mean_mm", "pve_mean_mm", "pckh50", "rotation_deg",
    "height_cm", "miou", "f1", "seconds",
)  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["--n", "0"],
        ["--data", "real", "--proxy", "true-parts"],
        ["--data", "photos", "--proxy", "true-parts"],
        ["--sheet", "people.jpg"],
        ["--record", "--n", "20"],
        ["--record", "--seed", "1"],
    ],
)
def test_contradictions_say_what_to_do(arguments: list[str]) -> None:
    with pytest.raises(InputError, match=r"--n|--data bench:wild|\.png|leave out"):
        evaluate.main(arguments)


@pytest.mark.parametrize("data", ["real", "photos"])
def test_real_photos_need_the_shared_folder(data: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NBF_SHARED", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="NBF_SHARED"):
        evaluate.main(["--data", data])


def test_folders_without_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="expected a folder with weights"):
        evaluate.main(["--proxy", "true-parts", "--weights", str(tmp_path)])


@pytest.mark.parametrize(("track", "proxy"), [("studio", "true-parts"), ("wild", "rgb")])
def test_a_track_without_caches(track: str, proxy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The bundled weights on two painted people: every key, a sheet, and a word about what was replaced."""
    scores, sheet = tmp_path / "scores.json", tmp_path / "sheet.png"
    given = ["--data", f"bench:{track}", "--proxy", proxy, "--n", "2", "--cache", str(tmp_path)]
    assert evaluate.main([*given, "--json", str(scores), "--sheet", str(sheet)]) == 0
    report = json.loads(scores.read_text())
    assert set(KEYS) <= set(report)
    assert report["n"] == 2
    assert (report["data"], report["proxy"], report["seed"]) == (f"bench:{track}", proxy, 0)
    if proxy == "true-parts":
        assert report["miou"] == report["f1"] == 100
    assert report["fingerprint"]["inputs"]["poses"] == "replaced"
    assert Image.open(sheet).width > 700
    said = capsys.readouterr().out
    assert report["fingerprint"]["identity"] in said
    assert "without poses" in said
