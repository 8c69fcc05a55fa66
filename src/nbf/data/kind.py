"""What the project knows of a data set: how a folder of it looks, and what opens it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nbf.data.labelled import Pictures
from nbf.errors import DataError


@dataclass(frozen=True)
class Need:
    """A file, or files, that a folder of a data set should hold."""

    pattern: str
    """Glob within the folder."""
    what: str
    """What is in there, and where it is from."""
    optional: bool = False
    """Only some uses need it."""


@dataclass(frozen=True)
class DataSet:
    """A data set of which users bring a folder. One constant SET in each module of `nbf.data.sets`."""

    name: str
    """As in `NAME:FOLDER`."""
    title: str
    splits: tuple[str, ...]
    marks: tuple[str, ...]
    """Globs, all of which match in a folder of this set and of no other."""
    needs: tuple[Need, ...]
    read: Callable[[Path, str], Pictures]
    """The pictures of a split. Raises DataError where a file that it needs at once is missing or damaged."""

    def missing(self, folder: Path) -> list[Need]:
        """What a folder lacks."""
        return [need for need in self.needs if not any(folder.glob(need.pattern))]

    def open(self, folder: Path, split: str) -> Pictures:
        """The pictures of a split.

        Raises:
            DataError: there is no such folder or split, or a file is missing or damaged.
        """
        if not folder.is_dir():
            raise DataError(f"{self.name}: expected a folder of {self.title}, got {folder}, which is none")
        if split not in self.splits:
            raise DataError(f"{self.name}: expected a split out of {', '.join(self.splits)}, got {split!r}")
        lacking = [need for need in self.missing(folder) if not need.optional]
        if lacking:
            listed = "; ".join(f"{need.pattern} ({need.what})" for need in lacking)
            raise DataError(
                f"{folder}: a folder of {self.title} that lacks {listed}; docs/datasets says what goes where"
            )
        return self.read(folder, split)
