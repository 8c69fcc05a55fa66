"""`nbf batch`: photos a second with one worker and with two, rows after a worker is killed, and what a million photos
take on larger machines.

    python benchmarks/batch.py [PHOTO] [--photos 256] [--rounds 2]   # rates, in turns, then the sheet
    python benchmarks/batch.py --killed 1000                         # one of two workers is killed amid so many photos
    python benchmarks/batch.py --rate 3.5 [--price 0.04]             # the sheet alone, for a worker's photos a second

The photos are the demo's, or yours, in sizes from 200 to 2000 pixels (drawn, seed 0); those of `--killed` are noise, 96
pixels wide: a row each. A rate is that of one thread a worker, counted from when each worker has done its first part.
"""

import argparse
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from nbf.batch.job import begin
from nbf.batch.run import run

MACHINES = {
    "a laptop, 8 cores": 8,
    "16 vCPUs (such as c7i.4xlarge)": 16,
    "64 vCPUs (such as c7i.16xlarge)": 64,
    "ten of these": 640,
}
"""CPUs of each."""
MILLION = 1_000_000
GIGABYTES = 1.0
"""Memory of a worker: the most that is resident while it predicts photos of up to four megapixels."""


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, default=Path(__file__).parents[1] / "examples" / "demo.jpg")
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--part", type=int, default=8)
    parser.add_argument("--killed", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--price", type=float, default=0.04, help="of a vCPU for an hour; 0.04 is an example")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.killed:
            _killed(given.killed, Path(folder))
            return
        rate = given.rate or _rates(given, Path(folder))
    _sheet(rate, given.price)


def _rates(given: argparse.Namespace, folder: Path) -> float:
    """Photos a second of each of two workers; prints those of one and of two."""
    _draw(given.photo, given.photos, folder / "album", 200, 2000)
    rates: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(given.rounds):
        for workers, known in rates.items():
            output = str(folder / f"out-{workers}-{turn}")
            known.append(_rate(folder / "album", output, workers, given.part))
            print(f"round {turn + 1}, workers: {workers}: {known[-1]:.2f} photos a second", flush=True)
    people = len(pq.read_table(folder / "out-1-0" / "people", filters=[("person", ">=", 0)]))
    one, two = (statistics.median(known) for known in rates.values())
    print(f"{given.photos} photos, {people / given.photos:.2f} people a photo, one thread a worker, medians:")
    print(f"one worker {one:.2f}, two {two:.2f} photos a second: {two / one:.2f} times")
    return two / 2


def _rate(album: Path, output: str, workers: int, part: int) -> float:
    times, photos = [], []
    for done in run(output, _begun(output, album, part), workers=workers):
        times.append(time.perf_counter())
        photos.append(done.photos)
    return sum(photos[workers:]) / (times[-1] - times[workers - 1])


def _killed(count: int, folder: Path) -> None:
    """Kill one of two workers in the middle, and look for every photo's rows."""
    album, pids, output = folder / "album", folder / "pids", str(folder / "out")
    album.mkdir()
    pids.mkdir()
    draw = np.random.default_rng(0)
    for index in range(count):
        Image.fromarray(draw.integers(0, 256, (96, 96, 3), np.uint8)).save(album / f"{index:05d}.png")

    def load(job: Any) -> Any:
        from nbf.batch.worker import load

        (pids / str(os.getpid())).touch()
        return load(job)

    photos, again, killed, start = 0, 0, None, time.perf_counter()
    for done in run(output, _begun(output, album, 16), workers=2, load=load):
        photos, again = photos + done.photos, again + (done.tries > 1)
        if killed is None and photos > count / 2:
            killed = int(min(os.listdir(pids)))
            os.kill(killed, signal.SIGKILL)
            print(f"killed worker {killed} after {photos} photos", flush=True)
    rows = pq.read_table(Path(output, "people"), columns=["photo", "person", "error"]).to_pylist()
    named = [(row["photo"], row["person"]) for row in rows]
    there = {number for number, _ in named}
    print(f"{count} photos in {time.perf_counter() - start:.0f} s; rows: {len(rows)}, of {len(there)} photos")
    print(f"workers that were started: {len(os.listdir(pids))}, parts begun anew: {again}")
    print(f"missing: {len(set(range(count)) - there)}, there twice: {len(named) - len(set(named))}")
    print(f"errors: {sum(row['error'] is not None for row in rows)}")


def _begun(output: str, album: Path, part: int) -> list[int]:
    options: dict[str, Any] = {"column": "image", "method": "nbf", "weights": None, "min_score": 0.3}
    return begin(output, str(album), max_people=None, formats=(), part=part, **options)[1]


def _draw(photo: Path, count: int, album: Path, low: int, high: int) -> None:
    draw = np.random.default_rng(0)
    album.mkdir()
    with Image.open(photo) as image:
        for index, longer in enumerate(draw.integers(low, high, count)):
            zoom = longer / max(image.size)
            image.resize((round(image.width * zoom), round(image.height * zoom))).save(album / f"{index:05d}.jpg")


def _sheet(rate: float, price: float) -> None:
    """What a million photos take, for photos a second of each of many workers."""
    print(f"\na million photos, at {rate:.2f} photos a second of a worker, {price:g} for a vCPU for an hour:\n")
    print("| machine | workers | memory | photos a second | hours | price |")
    print("|---|---|---|---|---|---|")
    for name, count in MACHINES.items():
        hours = MILLION / (rate * count) / 3600
        cost = "yours" if "laptop" in name else f"{hours * count * price:.0f}"
        print(f"| {name} | {count} | {count * GIGABYTES:.0f} GB | {rate * count:.0f} | {hours:.1f} | {cost} |")


if __name__ == "__main__":
    main()
