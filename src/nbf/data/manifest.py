"""What this project's own training data is, where it is from, and under which licence: the files of the shared folder.

`assets/training_data.json` tells of each set its sources, its licence and what training misses without it;
`assets/training_files.csv` lists every file that a public repository has. `tools/list_training_data.py` takes their
hashes, `tools/provenance.py` makes docs/provenance.md of them.
"""

import csv
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nbf.errors import DataError
from nbf.files import fingerprint

ASSETS = Path(__file__).resolve().parents[1] / "assets"
SETS, FILES = ASSETS / "training_data.json", ASSETS / "training_files.csv"
COLUMNS = ("set", "path", "source", "storage", "bytes", "sha256", "ours")

# GitHub serves what Git has, and what Git has only pointers of (Git LFS), from two hosts:
# docs.github.com/en/repositories/working-with-files.
_HOSTS = {
    "git": "https://raw.githubusercontent.com/{repository}/{commit}/{path}",
    "lfs": "https://media.githubusercontent.com/media/{repository}/{commit}/{path}",
}
_SHA256, _COMMIT, _REPOSITORY = r"[0-9a-f]{64}", r"[0-9a-f]{40}", r"[\w.-]+/[\w.-]+"
# Names that mean the same on every system: no drive, no backslash, no way up, nothing hidden.
_PATH = r"(?!\.)[\w. ()+-]+(/(?!\.)[\w. ()+-]+)*"


@dataclass(frozen=True)
class Source:
    """Where a set, or a part of it, is from."""

    where: str
    """owner/name of a GitHub repository, or the name of a collection."""
    version: str
    """Commit of the repository as far as it is known, or edition; empty where nothing was noted."""
    licence: str
    """As its owner states it."""
    what: str


@dataclass(frozen=True)
class File:
    """A file that a public repository has."""

    path: str
    """Within the shared folder."""
    repository: str
    commit: str
    source: str
    """Path in the repository."""
    storage: str
    """git, or lfs: Git has a pointer to it."""
    bytes: int
    sha256: str
    """Of the file in the repository."""
    ours: str
    """SHA-256 of the smaller copy that the bundled networks were trained with; empty where they had the file itself."""

    @property
    def hashes(self) -> tuple[str, ...]:
        """What a file at `path` may be."""
        return (self.sha256, self.ours) if self.ours else (self.sha256,)


@dataclass(frozen=True)
class Material:
    """A set of files of the shared folder."""

    name: str
    title: str
    folder: str
    """Within the shared folder."""
    patterns: tuple[str, ...]
    """Globs within it: the files that belong to the set."""
    purpose: str
    licence: str
    derived: str
    """How it was made of its sources, where nobody can fetch it; empty where every file has a public home."""
    without: str
    """What a training does that lacks it."""
    sources: tuple[Source, ...]
    count: int
    bytes: int
    sha256: str
    """`listing` of the files that the bundled networks were trained with."""
    files: tuple[File, ...]

    def paths(self, shared: Path) -> list[Path]:
        """Its files that are there, by name."""
        found = {path for pattern in self.patterns for path in (shared / self.folder).glob(pattern) if path.is_file()}
        return sorted(found)


def address(file: File) -> str:
    """Where a file is to be had."""
    return _HOSTS[file.storage].format(repository=file.repository, commit=file.commit, path=quote(file.source))


def listing(paths: Sequence[Path], folder: Path) -> str:
    """SHA-256 of the names and the hashes of some files in a folder: it tells whether one of them is another."""
    lines = [f"{path.relative_to(folder).as_posix()} {fingerprint(path)}" for path in sorted(paths)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_manifest(sets: Path = SETS, files: Path = FILES) -> dict[str, Material]:
    """All sets by name.

    Raises:
        DataError: one of the two files is damaged, or names what no file of ours may be called.
    """
    try:
        told = json.loads(sets.read_text(encoding="utf-8"))
        with files.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        return {each["name"]: _material(each, [row for row in rows if row["set"] == each["name"]]) for each in told}
    # Whatever parsers and look-ups meet in a damaged file.
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(
            f"{sets}, {files}: cannot be read as the list of training data ({error}); reinstall the package"
        ) from error


def _material(told: dict[str, Any], rows: list[dict[str, str]]) -> Material:
    home = told.pop("home", {})
    sources = tuple(Source(**source) for source in told.pop("sources"))
    files = tuple(_file(row, home["repository"], home["commit"], told["folder"]) for row in rows)
    patterns = tuple(told.pop("patterns"))
    return Material(**told, patterns=patterns, sources=sources, files=files)


def _file(row: dict[str, str], repository: str, commit: str, folder: str) -> File:
    path, size = f"{folder}/{row['path']}", int(row["bytes"])
    rules: dict[str, tuple[str, Callable[[str], object]]] = {
        "path": (path, lambda text: re.fullmatch(_PATH, text)),
        "source": (row["source"], lambda text: re.fullmatch(_PATH, text)),
        "repository": (repository, lambda text: re.fullmatch(_REPOSITORY, text)),
        "commit": (commit, lambda text: re.fullmatch(_COMMIT, text)),
        "storage": (row["storage"], lambda text: text in _HOSTS),
        "bytes": (row["bytes"], lambda text: size > 0),
        "sha256": (row["sha256"], lambda text: re.fullmatch(_SHA256, text)),
        "ours": (row["ours"], lambda text: not text or re.fullmatch(_SHA256, text)),
    }
    for name, (text, rule) in rules.items():
        if not rule(text):
            raise ValueError(f"{name} {text!r} of {row['path']!r} is none")
    return File(path, repository, commit, row["source"], row["storage"], size, row["sha256"], row["ours"])
