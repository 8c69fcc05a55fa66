"""What `nbf predict` looks at and writes: formats, notes, folders in depth, a picture on standard input."""

import io
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from inspect import unwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from quick_predict import ASKED, photo, quick_predict

from nbf.cli import _results, main
from nbf.cli import predict as verb
from nbf.cli._results import FORMATS, Kinds
from nbf.export.formats import Style
from nbf.export.glb import read_glb
from nbf.export.gltf import Binary

# Before it is replaced, and without its types, which want whole people.
WRITE_RESULTS = unwrap(_results.write_results)


@pytest.fixture(scope="module", autouse=True)
def stubs() -> Iterator[None]:
    with quick_predict():
        yield


@pytest.fixture(autouse=True)
def nobody_asked() -> None:
    ASKED.clear()


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".nbf"} if folder.exists() else set()


@pytest.mark.parametrize(
    ("formats", "endings"),
    [
        (FORMATS, ["_0.glb", "_0.npz", "_0.obj", ".png"]),
        ("png", [".png"]),
        ("ply", ["_0.ply"]),
        ("NPZ, .glb,npz", ["_0.glb", "_0.npz"]),
        ("html,gif", [".gif", ".html"]),
    ],
)
def test_formats_are_what_is_written(formats, endings, tmp_path):
    out = tmp_path / "out"
    assert main(["predict", str(photo(tmp_path / "walk.jpg")), "-o", str(out), "--format", formats]) == 0
    assert written(out) == {f"walk{ending}" for ending in endings}


def test_results_without_a_format_are_stale(tmp_path):
    source, out = str(photo(tmp_path / "walk.jpg")), tmp_path / "out"
    arguments = ["predict", source, "-o", str(out), "--skip-done"]
    main(arguments)
    assert main([*arguments, "--format", "npz,png"]) == 0
    assert written(out) == {"walk_0.npz", "walk.png"}
    assert main([*arguments, "--format", "png,npz"]) == 0
    assert len(ASKED) == 2


def test_films_need_a_package(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("nbf.export.needs.find_spec", lambda name: None)
    assert main(["predict", str(photo(tmp_path / "walk.jpg")), "-o", str(tmp_path / "out"), "--format", "mp4"]) == 2
    assert "pip install 'neural-body-fitting[video]'" in capsys.readouterr().err
    assert written(tmp_path / "out") == set()


def test_nothing_but_what_was_asked_for_is_made(make_people, tmp_path, monkeypatch):
    """Drawing and exporting take longer than predicting."""

    def refuse(*_):
        raise AssertionError

    for name in ("nbf.people.People.summary", "nbf.people.People.to_json", "nbf.people.People.part_labels"):
        monkeypatch.setattr(name, refuse)
    monkeypatch.setattr("nbf.render.texture.person_textures", refuse)
    kinds = Kinds.of("ply,obj", json=False, parts=False, style=Style(skin="photo"))
    WRITE_RESULTS(make_people(2), tmp_path, "walk", kinds)
    assert written(tmp_path) == {"walk_0.obj", "walk_0.ply", "walk_1.obj", "walk_1.ply"}


def test_each_person_has_their_own_ground_and_their_own_texture(make_people, tmp_path, monkeypatch):
    textures = [np.full((2, 2, 4), 200 + i, np.uint8) for i in range(2)]
    monkeypatch.setattr("nbf.render.texture.person_textures", lambda persons: textures[: len(persons)])
    style = Style(rig="vrm", ground=True, skin="photo")
    WRITE_RESULTS(make_people(2), tmp_path, "walk", Kinds.of("glb", json=False, parts=False, style=style))
    for i in range(2):
        path = tmp_path / f"walk_{i}.glb"
        data = path.read_bytes()
        assert b"leftUpperLeg" in data
        start = data.index(b"\x89PNG")
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data[start:]))), textures[i])
        (motion,) = read_glb(path)
        move = torch.tensor(Binary(data).json["asset"]["extras"]["world_from_camera"])
        posed = motion.posed()
        lowest = (posed.vertices[0] @ move[:3, :3].T + move[:3, 3])[:, 1].min()
        pelvis = posed.joints[0, 0] @ move[:3, :3].T + move[:3, 3]
        assert torch.stack([lowest, pelvis[0], pelvis[2]]).abs().max() < 1e-4


def test_notes_say_what_was_written_and_how_much(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, people in (("two.jpg", 2), ("none.jpg", 0)):
        photo(Path(name), people)
    assert main(["predict", "two.jpg", "none.jpg", "-o", "out", "--json", "--write-parts"]) == 0
    two, none, total, _ = capsys.readouterr().out.splitlines()
    size = sum(path.stat().st_size for path in Path("out").glob("two*"))
    assert two == f"two.jpg: 2 people -> out/two.png, json, 2 glb, 2 npz, 2 obj, part map ({size / 1e3:.1f} kB)"
    assert none.startswith("none.jpg: nobody found -> out/none.png, json, part map (")
    assert total.startswith("2 of 2 photos done, people: 2, ")
    assert " kB in out/ (" in total
    assert main(["predict", "none.jpg", "-o", "new", "--format", "glb"]) == 0
    assert main(["predict", "gone.jpg", "-o", "new"]) == 1
    said = capsys.readouterr().out
    assert "none.jpg: nobody found -> no files\n" in said
    assert "new/" not in said


def test_guessed_lenses_are_told_once(tmp_path, capsys, monkeypatch):
    """Of photos with people, unless somebody or EXIF says better."""
    monkeypatch.chdir(tmp_path)
    for name, people in (("a.jpg", 2), ("b.jpg", 1), ("none.jpg", 0)):
        photo(Path(name), people)
    for names, options, told in (
        (["a.jpg", "b.jpg", "none.jpg"], [], "lens guessed in 2 of 3: "),
        (["none.jpg"], [], None),
        (["a.jpg"], ["--focal", "28mm"], None),
        (["a.jpg"], ["--center", "20,-3"], "lens guessed in 1 of 1: "),
    ):
        assert main(["predict", *names, *options, "-o", "out"]) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if "lens" in line]
        assert len(lines) == (told is not None)
        assert all(line.startswith(told) and "--focal" in line for line in lines)


def test_folders_are_searched_in_depth(tmp_path):
    album = tmp_path / "album"
    for name in ("b.jpg", "x/a.jpg", "x/y/c.png", ".hidden/no.jpg"):
        photo(album / name)
    (album / "x" / "up").symlink_to(album)
    (album / "x" / "y" / "up").symlink_to(album / "x")
    assert main(["predict", str(album), "-o", str(album / "x"), "-r", "--write-parts"]) == 0
    assert ASKED == ["b.jpg", "a.jpg", "c.png"]
    # Nothing of what it wrote, nor of what it keeps to itself, is a photo.
    photo(album / "x" / ".nbf" / "draft.png")
    assert main(["predict", "--recursive", str(album), "-o", str(album / "x"), "--write-parts"]) == 0
    assert ASKED == ["b.jpg", "a.jpg", "c.png"] * 2
    assert main(["predict", str(album), "-o", str(album / "x")]) == 0
    assert ASKED[6:] == ["b.jpg"]


def given(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_picture_on_standard_input_is_one_of_the_photos(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = photo(Path("walk.jpg"), people=2).read_bytes()
    photo(Path("-"))
    for _ in range(2):
        given(data, monkeypatch)
        assert main(["predict", "walk.jpg", "-", "./-", "-", "-o", "out", "--skip-done", "--format", "png"]) == 0
    # Once, called stdin again, done whatever was done before: nobody knows yet what it is. A file of that name is one.
    assert sorted(ASKED) == ["-", "stdin", "stdin", "walk.jpg"]
    assert written(Path("out")) == {"walk.png", "stdin.png", "-.png"}
    assert "stdin: 2 people -> out/stdin.png (" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "the file is empty"), (b"no picture", "not a picture"), (b"\xff\xd8\xff" + b"\0" * 2000, "over the limit")],
)
def test_what_else_is_on_standard_input_is_one_error(tmp_path, capsys, monkeypatch, data, words):
    monkeypatch.setattr(verb, "MOST_BYTES", 1000)
    given(data, monkeypatch)
    other = str(photo(tmp_path / "a.jpg"))
    assert main(["predict", "-", other, "-o", str(tmp_path / "out")]) == 1
    assert ASKED == ["a.jpg"]
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("failed: stdin: ")
    assert words in first
    assert last == "failed: stdin"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs terminals")
def test_a_terminal_on_standard_input_is_not_waited_for(tmp_path, capsys, monkeypatch):
    ours, theirs = os.openpty()
    with open(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        assert main(["predict", "-", "-o", str(tmp_path / "out")]) == 1
    os.close(ours)
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["predict", "-", "-o", str(tmp_path / "out")]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "stdin: expected a picture, got a terminal" in first
    assert "stdin: expected a picture, got nothing" in second


@pytest.mark.parametrize(
    "url", ["https://a.org/b.jpg?c=1", "HTTP://a/b.jpg", "ftp://a/b", "s3://b/k*.jpg", "file:///a/b.jpg"]
)
def test_urls_are_refused_by_name(tmp_path, capsys, url):
    assert main(["predict", url, str(photo(tmp_path / "a.jpg")), "-o", str(tmp_path / "out")]) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert first == f"failed: {url}: expected a file, got a URL; download it first and give the file"
    assert last == f"failed: {url}"
    assert ASKED == ["a.jpg"]


def test_who_writes_behind_rounds_as_others_do(small_body, monkeypatch):
    """A product that MKL rounds otherwise on two threads than on the one that tests have."""
    betas = torch.randn(2, small_body.shape_count, generator=torch.Generator().manual_seed(2)) * 0.7
    monkeypatch.setattr(_results, "written", lambda *_: small_body.rest_vertices(betas[0]))
    with ThreadPoolExecutor(1) as thread:
        there = thread.submit(unwrap(_results._written_there), None, (), None).result()
    assert torch.equal(there, small_body.rest_vertices(betas[0]))
