"""Takes the hashes of the shared folder into the manifest of training data: python tools/list_training_data.py

What is told of each set by hand in src/nbf/assets/training_data.json stays; counts, sizes and hashes there, and all of
training_files.csv, are written anew. Of a texture the manifest gives the file of the repository, whose hash and size
SOURCES.csv of the pack has from its Git LFS pointer, and beside it the smaller copy that the pack holds.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

from nbf.data.manifest import COLUMNS, FILES, SETS, listing
from nbf.data.shared import shared_dir
from nbf.errors import DataError
from nbf.files import fingerprint, replacing

# In the repository the folders of the pack lie under this one; the licence does not.
_BASE, _ROOT = "base", ("LICENSE.txt",)


def main() -> None:
    shared = shared_dir()
    if shared is None:
        sys.exit("no shared folder: set NBF_SHARED to it, or put it beside the repository")
    told, rows = json.loads(SETS.read_text(encoding="utf-8")), []
    for each in told:
        folder = shared / each["folder"]
        paths = sorted({path for pattern in each["patterns"] for path in folder.glob(pattern) if path.is_file()})
        if not paths:
            raise DataError(
                f"{folder}: expected files like {', '.join(each['patterns'])}, got none; restore the folder"
            )
        each |= {
            "count": len(paths),
            "bytes": sum(path.stat().st_size for path in paths),
            "sha256": listing(paths, folder),
        }
        if "home" in each:
            rows += [_row(each["name"], path, folder) for path in paths]
    with replacing(SETS) as draft:
        draft.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    with replacing(FILES) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _row(name: str, path: Path, folder: Path) -> dict[str, Any]:
    inside, ours = path.relative_to(folder).as_posix(), fingerprint(path)
    row: dict[str, Any] = {"set": name, "path": inside, "source": inside if inside in _ROOT else f"{_BASE}/{inside}"}
    with (folder / "SOURCES.csv").open(encoding="utf-8", newline="") as file:
        textures = {texture["file"]: texture for texture in csv.DictReader(file)}
    if inside not in textures:
        return row | {"storage": "git", "bytes": path.stat().st_size, "sha256": ours, "ours": ""}
    original = textures[inside]
    return row | {
        "storage": "lfs",
        "bytes": original["upstream_bytes"],
        "sha256": original["upstream_sha256"],
        "ours": ours,
    }


if __name__ == "__main__":
    main()
