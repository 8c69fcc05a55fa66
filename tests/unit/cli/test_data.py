"""`nbf data`: asks before it fetches, says what failed; says and draws what a folder holds."""

import hashlib
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import photos
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from street import write_street_photos
from unit.data.sets.test_lsp import write_pictures

from nbf import cli
from nbf.body.files import ASSETS
from nbf.body.joints import COCO17, LSP14
from nbf.cli.data import main
from nbf.data import catalogue, fetch, manifest
from nbf.data.kind import DataSet
from nbf.data.labelled import IGNORE, BodyLabel, LabelledPerson, LabelledPicture, LensCamera
from nbf.data.manifest import File, Material
from nbf.data.pack import PhotoPack
from nbf.errors import DataError, InputError, ModelFileError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A public home with two files of the set `makehuman`, which has no others."""
    folder = tmp_path / "home"
    (folder / "base").mkdir(parents=True)
    files = []
    for name in ("a.obj", "b.obj"):
        (folder / "base" / name).write_bytes(name.encode() * 100)
        sha = hashlib.sha256(name.encode() * 100).hexdigest()
        path = f"assets/makehuman/hair/{name}"
        files.append(File(path, "owner/name", "0" * 40, f"base/{name}", "git", 500, sha, ""))
    sets = manifest.read_manifest()
    small = replace(sets["makehuman"], files=tuple(files), count=2)

    def read() -> dict[str, Material]:
        return sets | {"makehuman": small}

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as http:
        address = f"http://127.0.0.1:{http.server_address[1]}"
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setattr(manifest, "read_manifest", read)
        bring = partial(fetch.fetch, locate=lambda file: f"{address}/{file.source}")
        monkeypatch.setattr(fetch, "fetch", bring)
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield folder
        http.shutdown()


def test_fetching_says_licences_and_brings_all(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    into = tmp_path / "into"
    assert main(["fetch", "--into", str(into), "--yes"]) == 0
    said = capsys.readouterr().out
    assert said.index("licence: CC0 1.0") < said.index("2 of 2 files have come")
    assert "owner/name" in said
    assert f"NBF_SHARED={into}" in said
    assert (into / "assets/makehuman/hair/a.obj").read_bytes() == b"a.obj" * 100
    assert main(["fetch", "makehuman", "--into", str(into)]) == 0, "nothing to agree to"
    assert "already" in capsys.readouterr().out


def test_nobody_there_agrees_to_nothing(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    into = tmp_path / "into"
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(InputError, match="--yes"):
        main(["fetch", "--into", str(into)])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    with pytest.raises(InputError, match="nothing was fetched"):
        main(["fetch", "--into", str(into)])
    assert not into.exists()
    monkeypatch.setattr("builtins.input", lambda question: "Y")
    assert main(["fetch", "--into", str(into)]) == 0


def test_what_failed_is_listed_last(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "base" / "b.obj").unlink()
    assert main(["fetch", "--into", str(tmp_path / "into"), "--yes"]) == 1
    said = capsys.readouterr()
    assert "1 of 2 files have come" in said.out
    assert "failed: assets/makehuman/hair/b.obj: " in said.err
    assert "404" in said.err
    (home / "base" / "a.obj").unlink()
    assert main(["fetch", "--into", str(tmp_path / "none"), "--yes"]) == 1
    assert "0 of 2 files have come" in capsys.readouterr().out


def test_what_cannot_be_fetched_says_why_and_what_then(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no public home\. Without it poses are drawn from the bundled prior"):
        main(["fetch", "mocap", "--into", str(tmp_path)])


def test_the_list_names_every_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "--list", "--into", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for material in manifest.read_manifest().values():
        assert f"{material.name}: {material.title}" in said
        assert material.licence in said
        assert material.without in said


def test_mistakes_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="makehuman"):
        main(["fetch", "nothing"])
    with pytest.raises(InputError, match="fetch, check"):
        main(["bring"])
    with pytest.raises(DataError, match="got none"):
        main(["check", str(tmp_path / "nowhere")])
    with pytest.raises(DataError, match="lspet"):
        main(["check", str(tmp_path)])
    assert cli.main(["data", "--help"]) == 0
    assert "fetch" in capsys.readouterr().out


def test_a_data_set_is_told_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, picture = tmp_path / "lspet", tmp_path / "out" / "sheet.png"
    (folder / "images").mkdir(parents=True)
    for number in range(12):
        Image.new("RGB", (100, 100), "navy").save(folder / "images" / f"im{number:05}.jpg")
    joints = np.random.default_rng(0).uniform(20, 80, (14, 3, 12))
    joints[:, 2, 5] = 0
    savemat(folder / "joints.mat", {"joints": joints})
    assert main(["check", str(folder), "--sheet", str(picture)]) == 0
    said = capsys.readouterr().out
    assert "Leeds Sports Pose, extended (lspet)" in said
    assert "train: 12 pictures: 12 people, 2D joints 11" in said
    assert "10 pictures" in said
    with Image.open(picture) as drawn:
        pixels = np.asarray(drawn.convert("RGB"))
    for side in ((40, 120, 255), (240, 50, 50)):
        assert (pixels == side).all(2).sum() > 1000


def test_what_is_lacking_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_street_photos(tmp_path)
    for path in (tmp_path / "real" / "parts").rglob("*.png"):
        path.unlink()
    assert main(["check", str(tmp_path), "--sheet", str(tmp_path / "sheet.png")]) == 1
    assert "lacks real/parts/*/*.png (body parts)" in capsys.readouterr().out
    assert not (tmp_path / "sheet.png").exists()


def test_the_shared_folder_says_what_training_misses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_street_photos(tmp_path)
    line = photos.write_photo(tmp_path, "lspet/im1", [photos.sportsman()], "val", others_unlabelled=True)
    photos.write_photos(tmp_path, [line], negatives=("n1_dog",))
    assert main(["check", str(tmp_path), "--sheet", str(tmp_path / "sheet.png")]) == 0
    said = capsys.readouterr().out
    assert "makehuman: 0 of 292 files; nbf data fetch makehuman brings them" in said
    assert "without them drawn people wear painted clothes" in said
    assert "street photos of the shared folder (street)" in said
    assert "val: 1 pictures: 1 people, boxes 1, 2D joints 1, part maps 1" in said
    assert (tmp_path / "sheet.png").is_file()


def test_one_bad_picture_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_street_photos(tmp_path)
    (tmp_path / "real" / "images" / "ccp" / "0001.jpg").write_bytes(b"no picture")
    (tmp_path / "real" / "parts" / "ccp" / "0002.png").unlink()
    assert main(["check", str(tmp_path), "--sheet", str(tmp_path / "sheet.png")]) == 1
    said = capsys.readouterr()
    assert "0001.jpg: cannot be read as a picture" in said.err
    assert "0002.png" in said.err
    assert "3 pictures with their labels" in said.out


def black_up_to(path: Path) -> int:
    """The last column of a picture where something is as black as a photo of nothing; captions are not."""
    with Image.open(path) as picture:
        return int(np.argwhere(np.asarray(picture.convert("L")) < 10)[:, 1].max())


def test_bodies_are_drawn_with_the_file_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "black.png")
    camera = LensCamera(np.array([60.0, 60.0]), np.array([32.0, 32.0]))
    label = BodyLabel(
        "smpl",
        "neutral",
        np.zeros(10, np.float32),
        np.zeros((24, 3), np.float32),
        np.array([0, 0, 4], np.float32),
    )
    picture = LabelledPicture("one", tmp_path / "black.png", (LabelledPerson(body=label),), "test", camera)
    made = DataSet("made", "Made", ("test",), ("black.png",), (), lambda folder, split: [picture])
    monkeypatch.setattr(catalogue, "SETS", {"made": made})
    words = ["check", str(tmp_path), "--sheet", str(tmp_path / "sheet.png")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "test: 1 pictures: 1 people, bodies 1, cameras 1" in said
    assert "bodies of smpl are not drawn: give their file with --body" in said
    narrow = black_up_to(tmp_path / "sheet.png")
    assert main([*words, "--body", str(ASSETS / "anny24_small.safetensors")]) == 0
    assert "not drawn" not in capsys.readouterr().out
    assert black_up_to(tmp_path / "sheet.png") > narrow + 300, "a panel more"
    with pytest.raises(ModelFileError, match=r"nothing\.pkl"):
        main([*words, "--body", str(tmp_path / "nothing.pkl")])


def test_any_data_set_becomes_a_pack_of_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pictures(tmp_path / "lspet", [f"im{number:05}.jpg" for number in range(1, 5)])
    joints = np.random.default_rng(0).uniform(5, 28, (14, 3, 4))
    joints[:, 2] = 1
    savemat(tmp_path / "lspet" / "joints.mat", {"joints": joints})
    (tmp_path / "lspet" / "images" / "im00002.jpg").write_bytes(b"no picture")
    assert main(["pack", f"lspet:{tmp_path / 'lspet'}", "-o", str(tmp_path / "pack.npz")]) == 0
    assert "3 pictures, 3 people, 1 left out" in capsys.readouterr().out
    packed = PhotoPack.load(tmp_path / "pack.npz").decode()
    shoulder = LSP14.index("left_shoulder")
    torch.testing.assert_close(
        packed.keypoints[0, COCO17.index("left_shoulder")],
        torch.tensor([*(joints[shoulder, :2, 0] - 0.5), 1.0]).float(),
    )
    assert not packed.complete.any()
    assert (packed.labels[:, :30, :40] == IGNORE).all()
