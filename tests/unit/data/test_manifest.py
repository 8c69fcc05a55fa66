"""The list of training data: every address is one, nothing in it leads out of the shared folder."""

from pathlib import Path

import pytest

from nbf.data.manifest import COLUMNS, FILES, SETS, address, listing, read_manifest
from nbf.data.shared import shared_dir
from nbf.errors import DataError


def test_files_are_where_their_set_is() -> None:
    for material in read_manifest().values():
        assert material.sources, material.name
        assert (not material.files) == bool(material.derived), material.name
        assert len(material.files) in (0, material.count)
        assert all(file.path.startswith(f"{material.folder}/") for file in material.files)
        assert len({file.path for file in material.files}) == len(material.files)


def test_an_address_is_made_of_repository_commit_and_path() -> None:
    files = {file.path: file for file in read_manifest()["makehuman"].files}
    commit = "8cf9645b975a98eea056b140df11a1d278da0d10"
    assert address(files["assets/makehuman/clothes/shoes03/shoes03.obj"]) == (
        f"https://raw.githubusercontent.com/makehumancommunity/makehuman-assets/{commit}/base/clothes/shoes03/shoes03.obj"
    )
    assert address(files["assets/makehuman/teeth/materials/teeth.png"]) == (
        f"https://media.githubusercontent.com/media/makehumancommunity/makehuman-assets/{commit}"
        "/base/teeth/materials/teeth.png"
    )


BAD = {
    "path": ["../x.obj", "a/../../x", "/etc/passwd", "a//b", "C:/x", "a\\b", ".hidden", "a/.part", "", "a\n"],
    "source": ["../x", "https://elsewhere/x", "a?b", "a#b", ""],
    "storage": ["", "http", "file"],
    "bytes": ["0", "-1", "x", ""],
    "sha256": ["", "0" * 63, "G" * 64],
    "ours": ["0" * 63],
}


@pytest.mark.parametrize(("column", "text"), [(column, text) for column, texts in BAD.items() for text in texts])
def test_a_row_that_leads_astray_is_refused(tmp_path: Path, column: str, text: str) -> None:
    row: dict[str, str] = dict(zip(COLUMNS, ("makehuman", "a/b.obj", "base/a/b.obj", "git", "5", "0" * 64, "")))
    files = tmp_path / "files.csv"

    def write() -> None:
        files.write_text(",".join(COLUMNS) + "\n" + ",".join(f'"{row[name]}"' for name in COLUMNS) + "\n")

    write()
    assert len(read_manifest(SETS, files)["makehuman"].files) == 1
    row[column] = text
    write()
    with pytest.raises(DataError, match="reinstall"):
        read_manifest(SETS, files)


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"name": "x"}]', '[{"name": "makehuman", "sources": []}]'])
def test_a_damaged_list_is_one_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "sets.json").write_text(text)
    with pytest.raises(DataError, match="training data"):
        read_manifest(tmp_path / "sets.json", FILES)


def test_it_is_small() -> None:
    assert SETS.stat().st_size + FILES.stat().st_size < 100_000


def test_another_file_makes_another_listing(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_bytes(b"one")
    first = listing(paths, tmp_path)
    assert listing(paths[::-1], tmp_path) == first
    paths[1].write_bytes(b"two")
    assert listing(paths, tmp_path) != first
    assert listing(paths[:1], tmp_path) != first


@pytest.mark.skipif(shared_dir() is None, reason="needs the shared folder")
def test_the_shared_folder_is_as_listed() -> None:
    shared = shared_dir() or Path()
    for material in read_manifest().values():
        paths = material.paths(shared)
        assert len(paths) == material.count, material.name
        assert sum(path.stat().st_size for path in paths) == material.bytes, material.name
