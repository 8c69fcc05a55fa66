"""Memory: what one photo takes at most, by its pixels and people, and how many photos add up.

    python benchmarks/memory.py [PHOTO] [--photos 1000] [--threads 1]    # megabytes along the way of many photos
    python benchmarks/memory.py [PHOTO] --peaks [--threads 1]            # the most that processes take, a row each

Photos are the demo's, or yours. For the first table in sizes from 200 to 2000 pixels (drawn, seed 0), written to and
read from files as `nbf predict` does; the slope leaves out the first fifth, in which libraries fill their caches. For
the second they are enlarged, or given so many boxes in which people are looked for (0: located), each in a process of
its own.
"""

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import nbf

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo.jpg"
ROWS = 20
MEGAPIXELS, BOXES, PHOTOS = (0.25, 1, 4, 16, 64), (1, 4, 16, 64), (10, 100)
"""What the rows of the second table have most of; otherwise it is one photo of a quarter of a megapixel."""


def main() -> None:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, default=DEMO)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peaks", action="store_true")
    # Of a process that is a row of the second table.
    parser.add_argument("--row", nargs=3, type=float, metavar=("MEGAPIXELS", "BOXES", "PHOTOS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.row:
        row(given.photo, given.row[0], int(given.row[1]), int(given.row[2]))
    elif given.peaks:
        peaks(given.photo, given.threads)
    else:
        along(given.photo, given.photos, given.threads)


def along(photo: Path, photos: int, threads: int) -> None:
    """Print a table of photos done and megabytes, then megabytes per thousand photos."""
    predictor = nbf.load()
    start, megabytes = time.perf_counter(), []
    print(f"{'photos':>7}{'resident MB':>13}{'seconds':>9}   threads: {threads}")
    with tempfile.TemporaryDirectory() as folder:
        found = predictor.predict_many(_photos(photo, photos, Path(folder)))
        for done, (path, _) in enumerate(found, 1):
            path.unlink()
            megabytes.append(_resident())
            if done % max(1, photos // ROWS) == 0:
                print(f"{done:>7}{megabytes[-1]:>13.1f}{time.perf_counter() - start:>9.0f}", flush=True)
    late = np.arange(len(megabytes) // 5, len(megabytes))
    slope = np.polyfit(late, np.array(megabytes)[late], 1)[0]
    print(f"slope: {1000 * slope:+.1f} MB per 1000 photos; most: {max(megabytes):.1f} MB")


def peaks(photo: Path, threads: int) -> None:
    """Print a table of the most megabytes that processes take: before the photo, and then."""
    print(f"{'megapixels':>10}{'boxes':>8}{'photos':>8}{'MB, loaded':>12}{'MB, most':>10}   threads: {threads}")
    few = MEGAPIXELS[0]
    rows = [(size, 0, 1) for size in MEGAPIXELS]
    rows += [(few, count, 1) for count in BOXES] + [(few, 0, count) for count in PHOTOS]
    for words in rows:
        command = [sys.executable, __file__, str(photo), "--threads", str(threads), "--row", *map(str, words)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        loaded, most = map(float, said.split())
        print(f"{words[0]:>10g}{words[1]:>8}{words[2]:>8}{loaded:>12.0f}{most:>10.0f}", flush=True)


def row(photo: Path, megapixels: float, count: int, photos: int) -> None:
    """Print the most megabytes that this process took until it had loaded, and until it had predicted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        # In another process, whose memory is not this one's.
        if (child := os.fork()) == 0:
            with Image.open(photo) as image:
                zoom = math.sqrt(1e6 * megapixels / (image.width * image.height))
                image.resize((round(image.width * zoom), round(image.height * zoom))).save(path)
            os._exit(0)
        os.waitpid(child, 0)
        with Image.open(path) as image:
            width, height = image.size
        predictor = nbf.load()
        loaded = _most()
        boxes = None
        if count:
            across = math.ceil(math.sqrt(count))
            cell = np.array([width, height]) / across
            corners = np.array([(i % across, i // across) for i in range(count)]) * cell
            boxes = np.concatenate([corners, corners + cell], 1)
        for _ in range(photos):
            predictor.predict(path, boxes=boxes)
        print(loaded, _most())


def _photos(photo: Path, count: int, folder: Path) -> Iterator[Path]:
    draw = np.random.default_rng(0)
    with Image.open(photo) as image:
        for index, longer in enumerate(draw.integers(200, 2000, count)):
            zoom, path = longer / max(image.size), folder / f"{index}.jpg"
            image.resize((round(image.width * zoom), round(image.height * zoom))).save(path)
            yield path


def _resident() -> float:
    """Megabytes; Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _most() -> float:
    """Megabytes that this process had at most; Linux, where they are counted in kibibytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
