"""`nbf batch` with Ray: a worker that is killed in the middle costs no row, and none is there twice."""

import os
import signal
import socket
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from quick_predict import photo

from nbf.batch.job import begin
from nbf.batch.run import run
from nbf.errors import InputError
from nbf.people import People


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray, of the extra cluster, is not installed")
@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_a_killed_worker_costs_no_row_and_doubles_none(tmp_path: Path, make_people: Callable[..., People]) -> None:
    for index in range(60):
        photo(tmp_path / "album" / f"{index:02d}.png", index % 3)
    (tmp_path / "album" / "bad.png").write_bytes(b"no picture")
    (tmp_path / "pids").mkdir()
    album, output, pids = (str(tmp_path / name) for name in ("album", "out", "pids"))
    known = {count: make_people(count) for count in (1, 2)}

    # Within, and without annotations: Ray carries it to its workers, which cannot import tests.
    def load(job):
        class Predictor:
            def predict_many(self, pictures, **options):
                for picture in pictures:
                    time.sleep(0.02)
                    count = int(picture.pixels[0, 0, 0])
                    yield picture, known[count] if count else People((), picture, known[1].camera)

        Path(pids, str(os.getpid())).touch()
        return Predictor()

    job, parts = begin(
        *(output, album),
        column="image", method="nbf", weights=None, min_score=0.3, max_people=None, formats=(), part=3,
    )  # fmt: skip
    killed, photos = None, 0
    for done in run(output, parts, workers=2, load=load):
        photos += done.photos
        if killed is None and photos > 15:
            killed = int(min(os.listdir(pids)))
            os.kill(killed, signal.SIGKILL)
    assert photos == job.photos == 61
    # Two, and one in place of the one that was killed.
    assert len(os.listdir(pids)) == 3
    rows = pq.read_table(Path(output, "people")).to_pylist()
    seen = [(row["photo"], row["person"]) for row in rows]
    expected = [(index, person) for index in range(60) for person in range(index % 3) or [None]] + [(60, None)]
    assert seen == expected
    assert [row["photo"] for row in rows if row["error"]] == [60]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray, of the extra cluster, is not installed")
def test_a_cluster_that_does_not_answer_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(InputError, match=f"{address}: no Ray cluster answers"):
        next(run("out", [0], address=address))
