"""Where the optional shared folder (real photos, motion capture, MakeHuman assets) lies."""

import os
from pathlib import Path

ENVIRONMENT = "NBF_SHARED"


def shared_dir() -> Path | None:
    """The shared folder, or None where there is none.

    The environment variable NBF_SHARED wins, also when it names a folder that does not exist (the way to run without
    shared data on a machine that has it); without it, the folder `shared` beside the repository is taken. The project
    works without either: callers degrade and say so.
    """
    named = os.environ.get(ENVIRONMENT)
    folder = Path(named) if named else Path(__file__).resolve().parents[4] / "shared"
    return folder if folder.is_dir() else None
