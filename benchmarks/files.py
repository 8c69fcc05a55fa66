"""CPU time of writing the results of one photo: each format a person, and the picture of the result.

python benchmarks/files.py [PHOTO] [--threads 1] [--rounds 15]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

import nbf

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo.jpg"


def main() -> None:
    """Print a table of milliseconds: median and worst of the rounds; sizes in kilobytes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", default=DEMO)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    people = nbf.load().predict(given.photo)
    if not people:
        raise SystemExit(f"{given.photo}: expected people, found nobody")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def export(suffix: str) -> Path:
            # Anew: persons remember their measurements.
            return replace(people[0]).export(folder / f"person{suffix}")

        def summary() -> Path:
            people.summary().save(path := folder / "summary.png", compress_level=3)
            return path

        print(f"{'':<22}{'median ms':>10}{'worst ms':>10}{'kB':>8}   {people}, rounds: {given.rounds}")
        suffixes = (".glb", ".obj", ".npz")
        each = [_line(f"{suffix}, a person", lambda s=suffix: export(s), given.rounds) for suffix in suffixes]
        picture = _line("summary.png, a photo", summary, given.rounds)
        print(f"{'all of it, a person':<22}{sum(each) + picture / len(people):>10.1f}")
        for suffix in (".ply", ".bvh", ".usd", ".amass.npz", ".coco.json", ".csv"):
            _line(f"{suffix}, a person", lambda s=suffix: export(s), given.rounds)


def _line(label: str, write: Callable[[], Path], rounds: int) -> float:
    """Print how long it takes; the median in milliseconds of CPU time."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        path = write()
        times.append(1000 * (time.process_time() - start))
        kilobytes = path.stat().st_size / 1000
        path.unlink()
    print(f"{label:<22}{statistics.median(times):>10.1f}{max(times):>10.1f}{kilobytes:>8.0f}")
    return statistics.median(times)


if __name__ == "__main__":
    main()
