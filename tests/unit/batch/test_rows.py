"""docs/batch.md names every column, with the type and shape that it has; and rows become bodies again."""

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from nbf.batch import SCHEMA, bodies
from nbf.batch.rows import rows, table
from nbf.batch.schema import COLUMNS
from nbf.batch.sources import Photo
from nbf.errors import InputError
from nbf.people import People

PAGE = Path(__file__).resolve().parents[3] / "docs" / "batch.md"
PHOTO = Photo(7, "a/b.png", b"in/a/b.png", None, None)


def test_the_page_has_every_column() -> None:
    documented = re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", PAGE.read_text("utf-8").partition("## Columns")[2], re.M)
    expected = []
    for name, column in COLUMNS.items():
        size = "".join(f" ({', '.join(map(str, column.shape)).upper()})" if column.shape else "")
        expected.append((name, f"{column.type}{size}"))
    assert documented == expected


def test_rows_become_the_same_bodies(make_people: Callable[..., People], tmp_path: Path) -> None:
    people = make_people(3)
    some = [*rows(PHOTO, people), *rows(PHOTO, InputError("no picture")), *rows(PHOTO, people[:1])]
    pq.write_table(table(some), tmp_path / "part.parquet")
    back = pq.read_table(tmp_path / "part.parquet")
    assert back.schema.equals(SCHEMA, check_metadata=True)
    posed = bodies(back, people[0].body).posed(people[0].body)
    everybody = [*people, people[0]]
    for vertices, person in zip(posed.vertices, everybody, strict=True):
        torch.testing.assert_close(vertices, person.vertices, atol=1e-5, rtol=0)


def test_no_people_are_no_bodies(make_people: Callable[..., People]) -> None:
    body = make_people(1)[0].body
    nobody = table(rows(PHOTO, InputError("no picture")))
    assert bodies(nobody, body).betas.shape == (0, body.shape_count)


def test_rows_of_something_else_are_refused(make_people: Callable[..., People]) -> None:
    people = make_people(1)
    known = table(rows(PHOTO, people))
    with pytest.raises(InputError, match="without betas, trans"):
        bodies(known.drop_columns(["betas", "trans"]), people[0].body)
    ten = [[0.0] * 10]
    other = known.set_column(known.column_names.index("betas"), "betas", pa.array(ten, pa.list_(pa.float32())))
    with pytest.raises(InputError, match="expected 11 numbers a person in betas"):
        bodies(other, people[0].body)


def test_columns_say_what_they_are() -> None:
    for name in COLUMNS:
        assert (SCHEMA.field(name).metadata or {})[b"description"]
    assert SCHEMA.metadata[b"unit"]
