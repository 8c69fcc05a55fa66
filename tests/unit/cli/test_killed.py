"""kill -9 at random moments of a batch with real files; the long form is `NBF_TEST_KILLS=200 NBF_TEST_PHOTOS=30`."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from quick_predict import one_by_one

from nbf import predictor as predictor_module
from nbf.cli._results import FORMATS, Kinds
from nbf.cli.predict import Arguments, _run
from nbf.files import RECORDS
from nbf.people import People
from nbf.pictures import Picture

KILLS, PHOTOS = int(os.environ.get("NBF_TEST_KILLS", "3")), int(os.environ.get("NBF_TEST_PHOTOS", "3"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_random_moments_a_batch_resumes_to_the_files_of_an_unbroken_one(tmp_path, make_people, monkeypatch):
    for index in range(PHOTOS):
        album_photo = tmp_path / "album" / f"{index}.png"
        album_photo.parent.mkdir(exist_ok=True)
        Image.new("RGB", (96, 128), (index % 3, index, 0)).save(album_photo)
    found = {count: make_people(count).persons for count in range(3)}

    class Predictor:
        """Finds as many people as a photo is red."""

        def predict(self, picture: Picture, **others: Any) -> People:
            return People(found[int(picture.pixels[0, 0, 0])], picture, found[1][0].camera)

        def predict_many(self, pictures: Any, **options: Any) -> Any:
            return one_by_one(self, pictures, options)

    monkeypatch.setattr(predictor_module, "load", lambda *names: Predictor())

    def run(output: Path) -> None:
        torch.set_num_threads(1)  # threads do not outlive a fork
        arguments = Arguments(photos=(str(tmp_path / "album"),), output=output, json=True, skip_done=True)
        assert _run(arguments, None, Kinds.of(FORMATS, json=True, parts=False)) == 0

    whole = tmp_path / "whole"
    start = time.perf_counter()
    assert _wait(_child(lambda: run(whole))) == 0
    length = time.perf_counter() - start
    expected = _files(whole)
    assert len(expected) == 2 * PHOTOS + 3 * sum(index % 3 for index in range(PHOTOS))
    draw, kills, batches = random.Random(0), 0, 0
    while kills < KILLS:
        ended = False
        out = tmp_path / f"out-{batches}"
        while not ended and kills < KILLS:
            number = _child(lambda to=out: run(to))
            time.sleep(draw.uniform(0, 2 * length / min(KILLS, 40)))  # which stops a batch about 40 times
            os.kill(number, signal.SIGKILL)
            status = _wait(number)
            ended = status == 0
            kills += not ended
            assert status in (0, -signal.SIGKILL)
            there = _files(out)
            assert there.items() <= expected.items()
        assert _wait(_child(lambda to=out: run(to))) == 0
        assert _files(out) == expected
        assert {path.suffix for path in (out / RECORDS).iterdir()} == {".json"}
        batches += 1
    print(f"{kills} kills in {batches} batches of {PHOTOS} photos", file=sys.stderr)


def _files(folder: Path) -> dict[str, bytes]:
    """All files but the records, by their paths."""
    files = (path for path in folder.rglob("*") if path.is_file() and RECORDS not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _child(work: Callable[[], Any]) -> int:
    """Do it in a process of its own, which exits with 0 if that did not fail; returns its number."""
    number = os.fork()
    if number == 0:
        status = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            work()
            status = 0
        finally:
            os._exit(status)
    return number


def _wait(number: int) -> int:
    """How the child ended: its exit status, or the signal, negative."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
