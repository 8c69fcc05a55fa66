"""A run owns exactly what it wrote: users' files never change, results are never photos, what was stopped resumes.

Nothing here computes bodies (`quick_predict`).
"""

import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quick_predict import ASKED, photo, quick_predict

from nbf import files
from nbf import predictor as predictor_module
from nbf.cli import _results, main
from nbf.cli._results import Kinds
from nbf.cli.predict import Arguments, _run
from nbf.errors import InputError
from nbf.files import RECORDS, Claim, fingerprint, records, written_names
from nbf.pictures import find_photos


@pytest.fixture(scope="module", autouse=True)
def stubs() -> Iterator[None]:
    with quick_predict():
        yield


@pytest.fixture(autouse=True)
def nobody_asked() -> None:
    ASKED.clear()


def tree(folder: Path) -> dict[str, bytes]:
    """All files but the records, by their paths."""
    files = (path for path in folder.rglob("*") if path.is_file() and RECORDS not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def predict(*arguments: str | Path) -> int:
    return main(["predict", *map(str, arguments)])


def run(folder: Path, output: Path, **options: Any) -> int:
    """`nbf predict FOLDER -o OUTPUT ...` without the parser, which takes most of the time here."""
    given = Arguments(photos=(str(folder),), output=output, **options)
    return _run(given, None, Kinds.of(given.format, json=given.json, parts=given.write_parts))


RESULTS = ("walk.png", "walk_0.glb", "walk_0.npz", "walk_0.obj")


@pytest.mark.parametrize("name", [*RESULTS, "walk_7.obj", "walk.json", "walk_parts.png"])
@pytest.mark.parametrize("kind", ["file", "folder", "link", "copy"])
def test_what_no_run_wrote_is_not_overwritten_and_the_batch_goes_on(tmp_path, capsys, name, kind):
    walk, other = photo(tmp_path / "walk.jpg"), photo(tmp_path / "other.jpg")
    theirs = tmp_path / name
    match kind:
        case "file":
            theirs.write_text("mine")
        case "folder":
            theirs.mkdir()
        case "link":
            theirs.symlink_to(tmp_path / "nowhere")
        case "copy":  # of a result, but not one
            predict(walk, "-o", tmp_path / "there", "--json", "--write-parts")
            shutil.copy(tmp_path / "there" / (name if name in os.listdir(tmp_path / "there") else "walk.png"), theirs)
    before, ASKED[:] = tree(tmp_path), []
    assert predict(walk, other, "-o", tmp_path, "--json", "--write-parts") == 1
    said = capsys.readouterr().err
    assert f"would overwrite {theirs}" in said
    assert "-o" in said
    assert ASKED == ["other.jpg"]
    assert before.items() <= tree(tmp_path).items()
    assert {key for key in tree(tmp_path).keys() - before.keys() if not key.startswith("other")} == set()
    assert theirs.is_symlink() == (kind == "link")


def test_inputs_are_not_overwritten(tmp_path):
    photos = photo(tmp_path / "walk.jpg"), photo(tmp_path / "walk_parts.png"), photo(tmp_path / "walk-2.png")
    before = tree(tmp_path)
    assert predict(*photos, "-o", tmp_path, "--write-parts") == 0
    assert before.items() <= tree(tmp_path).items()
    assert len(tree(tmp_path)) == 3 + 3 * 5


def test_results_of_two_photos_never_meet(tmp_path):
    photos = [photo(tmp_path / name, 1, green) for green, name in enumerate(("a.jpg", "a_parts.jpg", "x/a.jpg"))]
    assert predict(*photos, "-o", tmp_path / "out", "--write-parts") == 0
    assert len(tree(tmp_path / "out")) == 3 * 5
    # Nor in runs of their own, and each keeps its name.
    before = tree(tmp_path / "out")
    for source in (*photos, *reversed(photos)):
        assert predict(source, "-o", tmp_path / "out", "--write-parts") == 0
        assert tree(tmp_path / "out") == before


def test_results_are_no_photos(tmp_path, monkeypatch, capsys):
    for name in ("a.jpg", "b.png"):
        photo(tmp_path / "album" / name)
    monkeypatch.chdir(tmp_path)
    for argument in ("album", "album", "album/*", "album/**/*", "by the shell"):
        ASKED.clear()
        arguments = sorted(Path("album").glob("*.png")) if argument == "by the shell" else [argument]
        assert predict(*arguments, "album/a.jpg", "-o", "album", "--write-parts") == 0
        assert sorted(ASKED) == ["a.jpg", "b.png"]
    assert "left out: album/a.png: nbf wrote it" in capsys.readouterr().err
    assert predict("album/a.png", "-o", "album") == 2
    assert "only files that nbf wrote" in capsys.readouterr().err
    # The library opens what is named outright.
    assert [path.name for path in find_photos(["album/a.png", "album"])] == ["a.png", "a.jpg", "b.png"]


def test_what_a_run_has_no_more_is_removed(tmp_path):
    source = photo(tmp_path / "walk.jpg", people=3)
    (tmp_path / "walk_notes.txt").write_text("mine")
    predict(source, "-o", tmp_path, "--json", "--write-parts")
    assert predict(source, "-o", tmp_path, "--max-people", "1") == 0
    assert set(tree(tmp_path)) == {"walk.jpg", "walk_notes.txt", *RESULTS}


def test_a_repainted_part_map_is_its_painters(tmp_path, capsys):
    source = photo(tmp_path / "walk.jpg")
    predict(tmp_path, "-o", tmp_path, "--write-parts")
    painted = tmp_path / "walk_parts.png"
    painted.write_text("repainted")
    assert predict(source, "-o", tmp_path, "--write-parts") == 1
    assert "was changed since nbf wrote it" in capsys.readouterr().err
    for _ in range(2):
        assert predict(tmp_path, "-o", tmp_path) == 0
        assert painted.read_text() == "repainted"
    assert set(ASKED) == {"walk.jpg"}


def test_what_a_run_reads_is_neither_removed_nor_overwritten(tmp_path):
    source = photo(tmp_path / "walk.jpg")
    predict(source, "-o", tmp_path, "--json")
    joints = tmp_path / "walk.json"
    joints.write_text(joint_file := json.dumps({"people": [{"pose_keypoints_2d": [9.0, 9.0, 1.0] * 18}]}))
    record = tmp_path / RECORDS / "walk.json"
    values = json.loads(record.read_text())
    values["files"]["walk.json"] = [fingerprint(joints)]
    record.write_text(json.dumps(values))
    assert predict(source, "-o", tmp_path, "--json", "--keypoints", joints) == 1
    assert predict(source, "-o", tmp_path, "--keypoints", joints) == 0
    assert joints.read_text() == joint_file
    assert predict(source, "-o", tmp_path) == 0
    assert not joints.exists()


def test_done_is_what_has_the_same_bytes_options_and_files(tmp_path, capsys, monkeypatch):
    a, b, out = photo(tmp_path / "a.jpg"), photo(tmp_path / "b.jpg"), tmp_path / "out"

    def asked(*arguments: str) -> list[str]:
        ASKED.clear()
        assert predict(a, b, "-o", out, "--skip-done", *arguments) == 0
        return list(ASKED)

    assert asked() == ["a.jpg", "b.jpg"]
    with monkeypatch.context() as patch:
        patch.setattr(predictor_module, "load", lambda *names: pytest.fail("loaded for nothing"))
        assert asked() == []
    assert f"a.jpg: done earlier -> {out}/a.*" in capsys.readouterr().out
    photo(a, people=2)
    assert asked() == ["a.jpg"]
    (out / "b_0.obj").unlink()
    assert asked() == ["b.jpg"]
    assert asked("--min-score", "0.5") == ["a.jpg", "b.jpg"]
    assert asked("--json") == ["a.jpg", "b.jpg"]
    assert asked("--json", "--device", "cuda") == []
    monkeypatch.setattr(_results, "__version__", "another")
    assert asked("--json") == ["a.jpg", "b.jpg"]


class Killed(BaseException):
    """The process is no more."""


@contextmanager
def failing(at: int, error: BaseException | None, *, forever: bool) -> Iterator[list[int]]:
    """Of all that changes files, number `at` raises; and all that follow, if `forever`, as nothing is cleaned up by
    processes that were killed. Without an error the process is killed. Texts are written by half. Yields how many there
    were."""
    count = [0]

    def step(real: Callable) -> Callable:
        def instead(*args: Any, **kwargs: Any) -> Any:
            count[0] += 1
            if count[0] == at or (forever and count[0] > at):
                if real is write_text:
                    real(args[0], args[1][: len(args[1]) // 2], **kwargs)
                if error is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                raise error or AssertionError
            return real(*args, **kwargs)

        return instead

    write_text = Path.write_text
    with pytest.MonkeyPatch.context() as patch:
        for place, name in ((os, "replace"), (os, "unlink"), (os, "mkdir"), (os, "rmdir"), (Path, "write_text")):
            patch.setattr(place, name, step(getattr(place, name)))
        yield count


def album(folder: Path) -> Path:
    for index, name in enumerate(("a.jpg", "b.png")):
        photo(folder / name, people=2 - index)
    (folder / "notes.txt").write_text("mine")
    return folder


def finished(folder: Path) -> set[str]:
    return {name for name, record in records(folder).items() if record.finished}


# The second run in a folder has other bytes to replace, and files to remove.
@pytest.mark.parametrize("again", [False, True])
def test_killed_anywhere_a_run_resumes_to_what_an_unbroken_one_has(tmp_path, monkeypatch, again):
    locks: list[IO[str]] = []
    locked = files._locked
    monkeypatch.setattr(files, "_locked", lambda *names: locks.append(locked(*names)) or locks[-1])

    start, whole, folder = album(tmp_path / "start"), tmp_path / "whole", tmp_path / "killed"
    if again:
        run(start, start, write_parts=True)
        photo(start / "a.jpg", people=1, green=3)
    shutil.copytree(start, whole)
    with failing(-1, Killed(), forever=False) as steps:
        assert run(whole, whole, skip_done=True) == 0
    assert steps[0] > 20
    assert not [path for path in (whole / RECORDS).iterdir() if path.suffix != ".json"]
    for at in range(1, steps[0] + 1):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(start, folder)
        with failing(at, Killed(), forever=True), pytest.raises(Killed):
            run(folder, folder, skip_done=True)
        while locks:  # as the kernel does
            locks.pop().close()
        # Whoever was there is there, and all else has an owner and is whole.
        there, known = tree(folder), {n: f for r in records(folder).values() for n, f in r.files.items()}
        for name in there.keys() - {"a.jpg", "b.png", "notes.txt"}:
            assert fingerprint(folder / name) in known[name]
        done = finished(folder)
        ASKED.clear()
        assert run(folder, folder, skip_done=True) == 0
        assert tree(folder) == tree(whole)
        assert again or len(ASKED) == 2 - len(done)


def test_a_photo_that_fails_leaves_no_files(tmp_path):
    whole = album(tmp_path / "whole")
    with failing(-1, OSError(), forever=False) as steps:
        run(whole, whole)
    mine = {"a.jpg", "b.png", "notes.txt"}
    for at in range(1, steps[0] + 1):
        folder = album(tmp_path / f"fail-{at}")
        with failing(at, OSError("disk full"), forever=False):
            status = run(folder, folder)
        there = tree(folder)
        assert status == (0 if there == tree(whole) else 1)
        for letter in ("a", "b-2"):
            own = {name: text for name, text in tree(whole).items() if name.startswith(letter) and name not in mine}
            assert not own.keys() & there.keys() or own.items() <= there.items()
        assert run(folder, folder, skip_done=True) == 0
        assert tree(folder) == tree(whole)


def child(work: Callable[[], Any]) -> int:
    """Do it in a process of its own; returns its number."""
    number = os.fork()
    if number == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            work()
        finally:
            os._exit(0)
    return number


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kill_9_at_random_moments(tmp_path, capsys):
    draw = random.Random(0)
    photos = [photo(tmp_path / "album" / f"{index}.jpg", index % 3, index) for index in range(8)]
    with failing(-1, None, forever=False) as steps:
        run(tmp_path / "album", tmp_path / "whole")
    out, stopped = tmp_path / "out", 0
    moments = int(os.environ.get("NBF_TEST_KILLS", "10"))

    def die(at: int) -> None:
        with failing(at, None, forever=False):
            run(tmp_path / "album", out, skip_done=True)

    for index in range(moments):
        if index % 5 == 0:
            shutil.rmtree(out, ignore_errors=True)
        at = draw.randint(1, steps[0] // 3)
        number = child(lambda at=at: die(at))
        stopped += os.WIFSIGNALED(os.waitpid(number, 0)[1])
        whole, there = tree(tmp_path / "whole"), tree(out)
        assert there.items() <= whole.items()
        assert all(whole.keys() >= records(out)[name].files.keys() for name in finished(out))
        if index % 5 == 4:
            assert run(tmp_path / "album", out, skip_done=True) == 0
            assert tree(out) == whole
    assert stopped >= moments / 5  # the first of each five at least
    assert len(photos) == len(records(out))


def claim(folder: Path, source: Path) -> Claim:
    (made,) = _results.claims(
        "predict", Arguments(photos=()), [source], folder, Kinds.of("glb", json=False, parts=False)
    )
    return made


def test_names_belong_to_one_process_at_a_time(tmp_path, capsys):
    source, out = photo(tmp_path / "walk.jpg"), tmp_path / "out"
    first = claim(out, source)
    first.take()
    assert predict(source, photo(tmp_path / "b.jpg"), "-o", out) == 1
    assert f"another process ({os.getpid()} on " in capsys.readouterr().err
    assert ASKED == ["b.jpg"]
    first.release()
    first.release()
    assert predict(source, "-o", out) == 0
    # Whom a name was promised to, before another run gave it to another photo.
    (tmp_path / "x").mkdir()
    late = claim(out, photo(tmp_path / "x" / "b.jpg"))
    late_too = claim(tmp_path / "new", photo(tmp_path / "x" / "b.jpg"))
    assert late.name == "b-2"
    predict(tmp_path / "b.jpg", "-o", tmp_path / "new")
    with pytest.raises(InputError, match="run again for another name"):
        late_too.take()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_names_of_a_dead_process_are_free(tmp_path):
    source, out = photo(tmp_path / "walk.jpg"), tmp_path / "out"

    def hold() -> None:
        held = claim(out, source)
        held.take()
        (tmp_path / "taken").touch()
        time.sleep(60)

    number = child(hold)
    while not (tmp_path / "taken").exists():
        time.sleep(0.01)
    with pytest.raises(InputError, match=rf"another process \({number} on "):
        claim(out, source).take()
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)
    assert predict(source, "-o", out) == 0


EMPTY = {"version": 1, "source": "walk.jpg", "sha256": None, "options": {}, "files": {}, "finished": None}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '{"version": 2}',
        '{"version": 1}',
        "[" * 100_000,
        "\x00",
        '{"version": [], "files": {}}',
        EMPTY | {"source": []},
        EMPTY | {"files": {"walk.png": "0"}},
        EMPTY | {"options": []},
    ],
)
def test_a_damaged_record_is_named_and_owns_nothing(tmp_path, capsys, text):
    source = photo(tmp_path / "walk.jpg")
    predict(source, "-o", tmp_path)
    before = tree(tmp_path)
    (tmp_path / RECORDS / "walk.json").write_text(text if isinstance(text, str) else json.dumps(text))
    assert predict(source, photo(tmp_path / "b.jpg"), "-o", tmp_path) == 1
    assert f"{tmp_path / RECORDS / 'walk.json'}: cannot be read" in capsys.readouterr().err
    assert before.items() <= tree(tmp_path).items()
    assert (tmp_path / "b.png").exists()
    assert "walk.png" not in written_names(tmp_path)


@pytest.mark.parametrize("name", ["../mine.txt", "", "deep/mine.txt", "/mine.txt"])
def test_a_record_reaches_no_other_folder(tmp_path, name):
    mine, out = tmp_path / "mine.txt", tmp_path / "out"
    mine.write_text("mine")
    source = photo(tmp_path / "walk.jpg")
    predict(source, "-o", out)
    record = out / RECORDS / "walk.json"
    values = json.loads(record.read_text())
    values["files"][name] = [fingerprint(mine)]
    record.write_text(json.dumps(values))
    assert predict(source, "-o", out) == 1
    assert mine.read_text() == "mine"


NAMES = ("a.jpg", "a.png", "a_parts.png", "a_0.jpg", "A.jpg", "a-2.png", "a_0.obj", "a_1.glb", "a.json")
USER = st.tuples(st.sampled_from(("put", "remove")), st.sampled_from(NAMES), st.integers(0, 3))
FLAGS = st.fixed_dictionaries(
    {
        "json": st.booleans(),
        "write_parts": st.booleans(),
        "skip_done": st.booleans(),
        "max_people": st.none() | st.just(1),
    }
)
RUN = st.tuples(st.just("run"), st.sampled_from((".", "out")), FLAGS)


@settings(max_examples=int(os.environ.get("NBF_TEST_RUNS", "20")))
@given(st.lists(USER | RUN | RUN, min_size=1, max_size=12))
def test_whatever_runs_do_what_users_wrote_stays(actions):
    """The plain model: what each file's owner wrote last. Runs may write all else."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model: dict[str, bytes] = {}
        for what, target, how in actions:
            if what == "put":
                model[target] = photo(folder / target, how % 3, how).read_bytes()
            elif what == "remove":
                (folder / target).unlink(missing_ok=True)
                model.pop(target, None)
            else:
                out = folder / target
                known = written_names(folder)
                photos = [name for name in model if name.endswith(("jpg", "png")) and name not in known]
                ASKED.clear()
                status = run(folder, out, **how) if photos else 0
                assert set(ASKED) <= set(photos)
                assert how["skip_done"] or status or sorted(ASKED) == sorted(photos)
                there = tree(folder)
                assert model.items() <= there.items()
                for path in there.keys() - model.keys():
                    owners = records((folder / path).parent).values()
                    assert any(fingerprint(folder / path) in owner.files.get(Path(path).name, ()) for owner in owners)
                if photos and status == 0:
                    # Done is done; and again is the same.
                    ASKED.clear()
                    assert run(folder, out, **how | {"skip_done": True}) == 0
                    assert ASKED == []
                    assert tree(folder) == there
