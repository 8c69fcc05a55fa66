"""Rows are there exactly once, whatever happens to workers: the part of a batch that must hold without Ray."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from albums import RedPredictor
from quick_predict import photo

import nbf
from nbf.batch import job as job_module
from nbf.batch.job import tidy, weights_sha256
from nbf.batch.worker import Worker
from nbf.errors import InputError
from nbf.people import People

Start = Callable[..., Any]
EXPECTED = [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1), (5, 2), (6, None), (7, 0)]
"""Photos of `album` in their order, and how many people are in each; None where it is no picture."""


def all_rows(output: Path) -> list[dict[str, Any]]:
    return pq.read_table(output / "people").to_pylist()


def counted(rows: list[dict[str, Any]]) -> list[tuple[int, int | None]]:
    """People of each photo, in the order of the rows; fails where a person is there twice."""
    people: dict[int, int | None] = {}
    for row in rows:
        known = people.get(row["photo"])
        assert (row["person"] is None) == (row["betas"] is None)
        assert row["photo"] not in people or known == row["person"]
        people[row["photo"]] = None if row["error"] else 0 if row["person"] is None else row["person"] + 1
    return list(people.items())


def test_every_photo_has_its_rows_in_order(
    album: Path, tmp_path: Path, started: Start, predictor: RedPredictor
) -> None:
    job, parts = started(tmp_path / "out", album)
    assert (job.photos, job.parts, parts) == (8, 3, [0, 1, 2])
    done = [Worker(str(tmp_path / "out"), load=lambda job: predictor).do(part) for part in parts]
    rows = all_rows(tmp_path / "out")
    assert counted(rows) == EXPECTED
    assert [row["key"] for row in rows if row["person"] in (None, 0)] == [
        *(f"{index}.png" for index in range(6)),
        *("bad.jpg", "more/6.png"),
    ]
    assert (sum(one.photos for one in done), sum(one.people for one in done), sum(one.errors for one in done)) == (
        8,
        6,
        1,
    )
    assert "not a picture" in next(row["error"] for row in rows if row["error"])


def test_doing_a_part_again_changes_nothing(
    album: Path, tmp_path: Path, started: Start, predictor: RedPredictor
) -> None:
    _, parts = started(tmp_path / "out", album)
    workers = [Worker(str(tmp_path / "out"), load=lambda job: predictor) for _ in range(2)]
    for part in parts:
        workers[0].do(part)
    once = {path.name: path.read_bytes() for path in (tmp_path / "out" / "people").iterdir()}
    for part in [*parts, 1]:
        workers[1].do(part)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out" / "people").iterdir()} == once


def test_a_run_goes_on_with_what_is_left(album: Path, tmp_path: Path, started: Start, predictor: RedPredictor) -> None:
    _, parts = started(tmp_path / "out", album)
    Worker(str(tmp_path / "out"), load=lambda job: predictor).do(parts[1])
    # What a killed worker leaves.
    (tmp_path / "out" / "people" / ".0123.parquet").write_bytes(b"half a file")
    job, left = started(tmp_path / "out", album)
    assert left == [0, 2]
    for part in left:
        Worker(str(tmp_path / "out"), load=lambda job: predictor).do(part)
    assert counted(all_rows(tmp_path / "out")) == EXPECTED
    assert started(tmp_path / "out", album) == (job, [])
    tidy(str(tmp_path / "out"))
    assert sorted(os.listdir(tmp_path / "out" / "people")) == [f"part-{part:05d}.parquet" for part in range(3)]


def test_a_run_that_would_not_fit_is_refused(album: Path, tmp_path: Path, started: Start) -> None:
    started(tmp_path / "out", album)
    for name, value in {"min_score": 0.5, "part": 4, "formats": ("glb",), "max_people": 1}.items():
        with pytest.raises(InputError, match=rf"begun with {name} .*; run it with the options of before"):
            started(tmp_path / "out", album, **{name: value})
    photo(album / "new.png")
    with pytest.raises(InputError, match=r"photos were added.*another OUTPUT"):
        started(tmp_path / "out", album)
    with pytest.raises(InputError, match="begun with source"):
        started(tmp_path / "out", album / "more")


def test_results_of_nobody_knows_what_are_not_added_to(album: Path, tmp_path: Path, started: Start) -> None:
    (tmp_path / "out" / "people").mkdir(parents=True)
    (tmp_path / "out" / "people" / "part-00000.parquet").touch()
    with pytest.raises(InputError, match="not what they are of"):
        started(tmp_path / "out", album)
    (tmp_path / "damaged" / ".nbf" / "batch").mkdir(parents=True)
    (tmp_path / "damaged" / ".nbf" / "batch" / "batch.json").write_text("{}")
    with pytest.raises(InputError, match="damaged"):
        started(tmp_path / "damaged", album)


def test_an_output_that_is_no_folder_is_said(album: Path, tmp_path: Path, started: Start) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="results cannot be kept there"):
        started(tmp_path / "out", album)


def test_workers_refuse_to_mix_versions(
    album: Path, tmp_path: Path, started: Start, predictor: RedPredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(tmp_path / "out", album)
    worker = Worker(str(tmp_path / "out"), load=lambda job: predictor)
    with monkeypatch.context() as patch:
        patch.setattr(job_module, "__version__", "9")
        with pytest.raises(InputError, match=f"expected nbf {nbf.__version__} on every machine"):
            worker.do(0)
        patch.setattr(job_module, "__version__", nbf.__version__)
        patch.setattr(job_module, "weights_sha256", lambda weights: "others")
        with pytest.raises(InputError, match="bundled weights"):
            worker.do(0)
    with pytest.raises(InputError, match="must see the same OUTPUT"):
        Worker(str(tmp_path / "elsewhere"), load=lambda job: predictor).do(0)


class DyingPredictor(RedPredictor):
    """Dies, which SystemExit stands for, the first times that it sees the photo whose green is 4."""

    def __init__(self, predictor: RedPredictor, often: int) -> None:
        super().__init__(predictor.people)
        self.left = often

    def predict_many(self, pictures: Any, **options: Any) -> Any:
        for picture, people in super().predict_many(pictures, **options):
            if picture.pixels[0, 0, 1] == 4 and self.left:
                self.left -= 1
                raise SystemExit
            yield picture, people


@pytest.mark.parametrize(("often", "error"), [(1, False), (2, False), (1000, True)])
def test_a_photo_of_which_workers_die_is_left_out_in_the_end(
    album: Path, tmp_path: Path, started: Start, predictor: RedPredictor, often: int, error: bool
) -> None:
    started(tmp_path / "out", album, part=8)
    dying, tries = DyingPredictor(predictor, often), 0
    done = None
    while done is None:
        tries += 1
        try:
            done = Worker(str(tmp_path / "out"), load=lambda job: dying).do(0)
        except SystemExit:
            assert tries < 5
    rows = all_rows(tmp_path / "out")
    expected = [(number, None if number == 4 and error else count) for number, count in EXPECTED]
    assert counted(rows) == expected
    assert (done.tries, done.errors) == (tries, 2 if error else 1)
    assert any("workers died of it" in (row["error"] or "") for row in rows) == error
    # Only those one by one are known to be its fault.
    assert tries == (4 if error else often + 1)


def test_stopping_a_run_is_no_death(album: Path, tmp_path: Path, started: Start, predictor: RedPredictor) -> None:
    dying = DyingPredictor(predictor, 10)
    for _ in range(5):
        started(tmp_path / "out", album, part=8)
        with pytest.raises(SystemExit):
            Worker(str(tmp_path / "out"), load=lambda job: dying).do(0)
    started(tmp_path / "out", album, part=8)
    Worker(str(tmp_path / "out"), load=lambda job: predictor).do(0)
    assert counted(all_rows(tmp_path / "out")) == EXPECTED


def test_a_fault_of_ours_costs_one_photo(album: Path, tmp_path: Path, started: Start, predictor: RedPredictor) -> None:
    class Faulty(RedPredictor):
        def predict_many(self, pictures: Any, **options: Any) -> Any:
            for picture, people in super().predict_many(pictures, **options):
                if picture.pixels[0, 0, 1] == 2:
                    raise ZeroDivisionError("division by zero")
                yield picture, people

    _, parts = started(tmp_path / "out", album)
    done = [Worker(str(tmp_path / "out"), load=lambda job: Faulty(predictor.people)).do(part) for part in parts]
    rows = all_rows(tmp_path / "out")
    assert counted(rows) == [(number, None if number == 2 else count) for number, count in EXPECTED]
    assert "a fault of nbf, ZeroDivisionError: division by zero" in str([row["error"] for row in rows])
    assert [one.errors for one in done] == [1, 0, 1]


def test_a_predictor_that_does_not_load_is_no_fault_of_photos(album: Path, tmp_path: Path, started: Start) -> None:
    started(tmp_path / "out", album)

    def load(job: Any) -> Any:
        raise ZeroDivisionError("no weights")

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            Worker(str(tmp_path / "out"), load=load).do(0)
    assert not (tmp_path / "out" / "people").exists()


def test_results_that_cannot_be_written_stop_the_worker(
    album: Path, tmp_path: Path, started: Start, predictor: RedPredictor
) -> None:
    started(tmp_path / "out", album)
    (tmp_path / "out" / "people").write_text("in the way")
    with pytest.raises(OSError):  # noqa: PT011  whatever the system says
        Worker(str(tmp_path / "out"), load=lambda job: predictor).do(0)


def test_object_stores_hold_the_same(album: Path, tmp_path: Path, started: Start, predictor: RedPredictor) -> None:
    memory = fsspec.filesystem("memory")
    for url in ("memory://bucket/out", str(tmp_path / "out")):
        _, parts = started(url, album, formats=("npz",))
        for part in parts:
            Worker(url, load=lambda job: predictor).do(part)
        assert started(url, album, formats=("npz",))[1] == []
    names = memory.glob("/bucket/out/people/*.parquet")
    there = pa.concat_tables(pq.read_table(io.BytesIO(memory.cat_file(name))) for name in names)
    assert there.equals(pq.read_table(tmp_path / "out" / "people"))
    for files in there["files"].to_pylist():
        assert all(memory.isfile(f"/bucket/out/{name}") for name in files or [])
    memory.rm("/bucket", recursive=True)


def test_meshes_have_safe_names_of_their_own(tmp_path: Path, started: Start, predictor: RedPredictor) -> None:
    album = tmp_path / "album"
    for name in ("a b/..x", "a_b_..x", "é" * 60, "-"):
        photo(album / f"{name}.png", 2)
    started(tmp_path / "out", album, formats=("glb", "npz"), part=100)
    Worker(str(tmp_path / "out"), load=lambda job: predictor).do(0)
    named = [name for row in all_rows(tmp_path / "out") for name in row["files"]]
    assert len(named) == len(set(named)) == 4 * 2 * 2
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out" / "meshes").rglob("*.*")}
    assert written == set(named)
    assert all(name.isascii() and ".." not in Path(name).parts and " " not in name for name in named)


def test_the_record_says_what_was_asked(album: Path, tmp_path: Path, started: Start) -> None:
    job, _ = started(tmp_path / "out", album)
    record = json.loads((tmp_path / "out" / ".nbf" / "batch" / "batch.json").read_text())
    assert record == {**vars(job), "formats": []}


def test_weights_are_known_by_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_bytes(b"a")
    one = weights_sha256(tmp_path)
    (tmp_path / "mine.safetensors").write_bytes(b"b")
    assert len({one, weights_sha256(tmp_path), weights_sha256(None)}) == 3


def test_people_keep_their_numbers(tmp_path: Path, started: Start, make_people: Callable[..., People]) -> None:
    """A row against the person that it is of."""
    photo(tmp_path / "album" / "a.png", 2)
    people = make_people(2)
    started(tmp_path / "out", tmp_path / "album")
    Worker(str(tmp_path / "out"), load=lambda job: RedPredictor(lambda count: people)).do(0)
    for row, person in zip(all_rows(tmp_path / "out"), people, strict=True):
        assert row["betas"] == pytest.approx(person.betas.tolist(), abs=1e-6)
        assert row["trans"] == pytest.approx(person.translation.tolist(), abs=1e-6)
        assert row["joints_3d_smpl24"] == pytest.approx(person.joints_3d().flatten().tolist(), abs=1e-6)
        assert row["keypoints"] == pytest.approx(person.keypoints.flatten().tolist(), abs=1e-4)
        assert row["measurements"][0] == pytest.approx(person.measurements["height_m"][0], abs=1e-5)
        assert (row["width"], row["height"]) == (person.picture.width, person.picture.height)
