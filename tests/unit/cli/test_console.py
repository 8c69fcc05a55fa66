"""Whatever photos are called and wherever output goes: each is done or fails in one printable line, and nothing dies.

Nothing here computes bodies (`quick_predict`); whole programs end before they would load torch.
"""

import io
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from quick_predict import ASKED, photo, quick_predict

from nbf.cli import main
from nbf.cli._output import printable

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs names of any bytes, FIFOs and /dev/full")


@pytest.fixture(scope="module", autouse=True)
def stubs() -> Iterator[None]:
    with quick_predict():
        yield


def predict(encoding: str, *arguments: str) -> tuple[int, list[str], list[str]]:
    """Exit status and the lines on standard output and error, of a console with this encoding that forgives nothing."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding, "strict", newline="") for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        status = main(["predict", *arguments])

    def lines(stream: io.TextIOWrapper) -> list[str]:
        stream.seek(0)
        return [line for line in stream.read().split("\n") if line]

    return status, lines(out), lines(err)


@given(st.text(st.characters() | st.characters(categories=["Cs", "Cc", "Cf"])))
def test_printable_text_is_one_line_that_no_terminal_obeys(text):
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown
    assert (shown == text) == text.isprintable()
    shown.encode("utf-8")


def test_bytes_that_are_no_text_are_written_as_they_are():
    assert printable(os.fsdecode(b"caf\xe9\x1b[31m\n.jpg")) == r"caf\xe9\x1b[31m\n.jpg"


def _link_in_a_circle(path: Path) -> None:
    path.symlink_to(path.name)


# What a photo may be called, and what may be there.
NAMES = {
    "missing": "gone.jpg",
    "circle": "circle.jpg",
    "dangling": "dangling.jpg",
    "fifo": "fifo.jpg",
    "device": "/dev/zero",
    "no user": "~nosuchuser/x.jpg",
    "long": "x" * 300 + ".jpg",
    "long folder": "x" * 300 + "/*/y.jpg",
    "long path": "/".join(["x" * 200] * 30) + ".jpg",
    "under a file": "plain/x.jpg",
    "nul": "nul\0.jpg",
    "nul pattern": "nul\0/**/*.jpg",
    "byte": os.fsdecode(b"caf\xe9.jpg"),
    "codes": "esc\x1b[31mred\x07.jpg",
    "lines": "two\nlines\r.jpg",
    "turned": "\u202egpj.jpg",
    "other script": "ünï-体.jpg",
    "pattern": "**/[.jpg",
    "folder": "empty folder",
    "url": "https://example.org/a.jpg?b=c",
    "own": "plain",
}
MAKERS: dict[str, Callable[[Path], object]] = {
    "circle": _link_in_a_circle,
    "dangling": lambda path: path.symlink_to("nowhere"),
    "fifo": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
} | {
    name: lambda path: path.write_text("no picture")
    for name in ("byte", "codes", "lines", "turned", "other script", "own")
}


@linux
@settings(max_examples=15)
@given(st.sets(st.sampled_from(sorted(NAMES)), min_size=1), st.sampled_from(["utf-8", "ascii", "cp1252", "cp437"]))
def test_the_rest_of_the_batch_is_done(kinds, encoding):
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.chdir(name)
        for kind in kinds & MAKERS.keys():
            MAKERS[kind](Path(NAMES[kind]))
        photo(Path("one.jpg"))
        photo(Path("zwei-ü.jpg"), people=2)
        ASKED.clear()
        names = ["one.jpg", *(NAMES[kind] for kind in sorted(kinds)), "zwei-ü.jpg"]
        status, said, failed = predict(encoding, *names, "-o", "out")
    assert ASKED == ["one.jpg", "zwei-ü.jpg"]
    assert status == 1
    assert [line.split(": ")[1].split(" ->")[0] for line in said[:2]] == ["1 person", "2 people"]
    # One line each, and one with all of them.
    assert len(failed) == len(kinds) + 1
    assert all(line.startswith("failed: ") and line.isprintable() for line in failed)
    assert all(line.isprintable() for line in said)


def variables(**others: str) -> dict[str, str]:
    """With which another Python finds what this one does."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | others


def test_the_program_does_at_its_end_what_was_to_be_done() -> None:
    """Other threads end and what is registered is called; then the process ends at once, without taking torch apart."""
    code = """
        import atexit, sys, threading, time
        from nbf.cli import run

        class Slow:
            def __del__(self):
                print("taken apart")

        slow = Slow()
        threading.Thread(target=lambda: [time.sleep(0.2), print("thread", flush=True)]).start()
        threading.Timer(0.1, lambda: atexit.register(print, "registered", flush=True)).start()
        sys.argv = ["nbf", "nope"]
        run()
    """
    command = [sys.executable, "-c", dedent(code)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=variables())
    assert (ended.returncode, ended.stdout.split()) == (2, ["thread", "registered"])
    assert "no verb" in ended.stderr


def run(arguments: list[str], output: str, *, unbuffered: bool = False) -> subprocess.CompletedProcess[str]:
    """The whole program; `output` is shell for where its output goes."""
    program = f"'{sys.executable}' -c 'from nbf.cli import run; run()'"
    command = f'set -o pipefail; {program} "$@" {output}'
    return subprocess.run(
        ["bash", "-c", command, "bash", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=variables(PYTHONUNBUFFERED="1" if unbuffered else ""),
    )


@linux
@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize(
    ("output", "status", "words"),
    [
        ("2>&1 | head -c0", 141, ""),
        (">/dev/full", 1, "nbf: the output cannot be written ([Errno 28] No space left on device)"),
        (">/dev/full 2>&1", 1, ""),
        (">&- 2>&-", None, ""),
    ],
)
@pytest.mark.parametrize("arguments", [["predict", "gone.jpg"], ["predict", "--help"]])
def test_output_that_cannot_be_written_ends_the_run_and_says_so(arguments, output, status, words, unbuffered):
    ended = run(arguments, output, unbuffered=unbuffered)
    usual = 1 if "gone.jpg" in arguments else 0
    assert ended.returncode == (usual if status is None else status)
    said = [line for line in ended.stderr.splitlines() if not line.startswith("failed: gone.jpg: no such file")]
    assert "\n".join(said) == words


READ_ALL = """
import sys
from nbf.pictures import read_picture
for path in sys.argv[1:]:
    try: read_picture(path)
    except Exception: print(path)
"""


@linux
def test_decoders_do_not_talk_to_the_terminal(tmp_path):
    """Neither libtiff, which writes to file descriptor 2, nor Pillow, which warns."""
    draw = np.random.default_rng(0)
    paths = [tmp_path / f"{index}.tif" for index in range(12)]
    for path in paths:
        image = Image.fromarray(draw.integers(0, 255, (16, 500, 3), np.uint8))
        image.save(path, compression=str(draw.choice(["tiff_lzw", "jpeg"])))
        spoilt = np.fromfile(path, np.uint8)
        spoilt[draw.integers(8, len(spoilt), 20)] = draw.integers(0, 256, 20)
        spoilt.tofile(path)
    paths.append(tmp_path / "small.jpg")
    Image.new("RGB", (8, 8)).save(paths[-1], exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xff")

    def read_all() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", READ_ALL, *paths]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=variables())

    # None that can be read after all, which would go on to the networks.
    paths = [Path(line) for line in read_all().stdout.splitlines()]
    loud = read_all().stderr
    assert "Using code not yet in table" in loud
    assert "UserWarning" in loud
    said = run(["predict", *map(str, paths)], "").stderr.splitlines()
    assert len(said) == len(paths) + 1
    assert all(line.startswith("failed: ") for line in said)


def test_records_are_printed_as_names_are(capsys):
    main(["--version"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger("nbf"), "propagate", False)
        logging.getLogger("nbf.files").warning("%s", "esc\x1b[31m\n.json")
    assert capsys.readouterr().err == "esc\\x1b[31m\\n.json\n"


MISTAKES = [
    [],
    ["--focal", "28mmm"],
    ["--focal", "1mm"],
    ["--center", "960"],
    ["--center", "960,inf"],
    ["--age-group", "adlt"],
    ["--height", "178"],
    ["--method", "nope"],
    ["--method", "hmr", "--height", "1.7"],
    ["--box", "1,2,3"],
    ["--box", "5,5,1,1"],
    ["--box", "1,2,nan,4"],
    ["--min-score", "30"],
    ["--max-people", "0"],
    ["--parts", "gone.png"],
    ["--parts", "/dev/zero"],
    ["--keypoints", "gone.json"],
    ["--keypoints", "."],
    ["--weights", "gone"],
    ["--format", "glb,foo"],
    ["--format", ""],
    ["--heigth", "1.7"],
    [""],
    ["--height", "esc\x1b[31m"],
    ["--same-person", "--keypoints", "gone.json", "b.jpg"],
    ["-o", __file__],
]
"""What may be wrong beside `nbf predict a.jpg`; nothing at all is where there is no photo."""


def test_mistakes_are_answered_before_torch_is_loaded(tmp_path):
    """With the exit status 2; photos that fail have 1, and what is not there does not load torch either."""
    photo(tmp_path / "a.jpg")
    commands = [["predict", "a.jpg", *mistake] if mistake else ["predict"] for mistake in MISTAKES]
    commands += [["refine"], ["refine", "a.npz", "--age-group", "old"], ["refine", "a.npz", "--photo", "gone.jpg"]]
    commands += [["evaluate", "--method", "nope"], ["evaluate", "--weights", "gone"], ["evaluate", "--n", "0"]]
    commands += [["train", "nope"], ["draw", "--n", "1"], ["nope"]]
    failing = [["predict", "gone.jpg", "-"], ["refine", "gone.npz"]]
    code = (
        "import sys; from nbf.cli import main\n"
        f"print([main(command) for command in {commands + failing!r}], 'torch' in sys.modules, file=open('said', 'w'))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env=variables(),
        cwd=tmp_path,
    )
    assert (tmp_path / "said").read_text() == f"{[2] * len(commands) + [1] * len(failing)} False\n"
    assert b"\x1b[31m" not in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "said"]
