"""Memory of one process that predicts many photos: resident megabytes along the way, and how they grow.

    python benchmarks/memory.py [PHOTO] [--photos 1000] [--threads 1]

The photos are the demo's, or yours, in sizes from 200 to 2000 pixels (drawn, seed 0), written to and read from files as
`nbf predict` does. The slope leaves out the first fifth, in which libraries fill their caches.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import nbf

ROWS = 20


def main() -> None:
    """Print a table of photos done and megabytes, then megabytes per thousand photos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, default=Path(__file__).parents[1] / "examples" / "demo.jpg")
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    predictor = nbf.load()
    start, megabytes = time.perf_counter(), []
    print(f"{'photos':>7}{'resident MB':>13}{'seconds':>9}   threads: {given.threads}")
    with tempfile.TemporaryDirectory() as folder:
        photos = predictor.predict_many(_photos(given.photo, given.photos, Path(folder)))
        for done, (path, _) in enumerate(photos, 1):
            path.unlink()
            megabytes.append(_resident())
            if done % max(1, given.photos // ROWS) == 0:
                print(f"{done:>7}{megabytes[-1]:>13.1f}{time.perf_counter() - start:>9.0f}", flush=True)
    late = np.arange(len(megabytes) // 5, len(megabytes))
    slope = np.polyfit(late, np.array(megabytes)[late], 1)[0]
    print(f"slope: {1000 * slope:+.1f} MB per 1000 photos; most: {max(megabytes):.1f} MB")


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


if __name__ == "__main__":
    main()
