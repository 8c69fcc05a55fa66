"""docs/files.md names every key that result files have, and no other, with the shape and type that it has."""

import json
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from nbf.people import People

PAGE = Path(__file__).resolve().parents[2] / "docs" / "files.md"


def rows(section: str) -> Iterator[tuple[list[str], str]]:
    """Keys and second column of the table of a section."""
    text = PAGE.read_text("utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for line in text.splitlines():
        if line.startswith("| `"):
            _, keys, second, *_ = line.split("|")
            yield re.findall(r"`([^`]+)`", keys), second.strip()


def test_npz_keys(make_people: Callable[..., People], tmp_path: Path) -> None:
    people = make_people(2)
    sizes = {"n": 2, "S": people[0].body.shape_count, "V": len(people[0].vertices), "F": len(people[0].faces)}
    documented = {key: second for keys, second in rows("NPZ") for key in keys}
    with np.load(people.export(tmp_path / "people.npz")) as file:
        assert set(documented) == set(file.files)
        for key, text in documented.items():
            shape, kind = re.fullmatch(r"\(([^)]*)\) ?(\w*)", text).groups()  # pyright: ignore[reportOptionalMemberAccess]
            expected = tuple(sizes.get(name) or int(name) for name in re.findall(r"\w+", shape))
            assert file[key].shape == expected, key
            assert (
                np.issubdtype(file[key].dtype, np.str_) if kind == "text" else file[key].dtype == (kind or "float32")
            ), key


def paths(value: Any, start: str = "") -> Iterator[str]:
    """Dotted names of everything in a document, objects included, entries of lists not."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield start + name
        yield from paths(inner, f"{start}{name}.")


def test_json_keys(make_people: Callable[..., People]) -> None:
    document = json.loads(make_people(2).to_json())
    written = {*paths(document), *(path for person in document["people"] for path in paths(person))}
    documented = {key for keys, _ in rows("JSON") for key in keys}
    # What has documented keys below it needs no row of its own.
    covered = {
        path
        for path in written
        if any(fnmatchcase(path, key) and path.count(".") == key.count(".") for key in documented)
    }
    inner = {path for path in written if any(other.startswith(f"{path}.") for other in covered)}
    assert written - covered - inner == set()
    assert {key for key in documented if not any(fnmatchcase(path, key) for path in written)} == set()
