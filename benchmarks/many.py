"""What many photos gain: people a second of `predict_many` against a loop over `predict`, and of two workers of
`nbf predict` against one; in turns, so that both meet the same machine. And how far the results are apart.

    python benchmarks/many.py PHOTO_OR_FOLDER ... [--people 32] [--threads 2] [--rounds 3] [--workers 2]

Each photo is cut to its surest person, as `--max-people 1` does, so that photos are people.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

import nbf
from nbf.pictures import find_photos


def main() -> None:
    """Print a table: people a second, median of the rounds, and the ratio of each round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--people", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="1: leave the programs out")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    predictor = nbf.load()
    photos: list[Path] = []
    for photo in find_photos(given.photos, recursive=True):
        people = predictor.predict(photo, max_people=1)
        photos += [photo] * (len(people) > 0)
        if len(photos) == given.people:
            break
    print(f"{len(photos)} photos of one person each, {given.threads} threads, {given.rounds} rounds")

    def one_by_one() -> list[nbf.People]:
        return [predictor.predict(photo, max_people=1) for photo in photos]

    def together() -> list[nbf.People]:
        found = [people for _, people in predictor.predict_many(photos, max_people=1)]
        assert not any(isinstance(people, nbf.NbfError) for people in found)
        return [people for people in found if isinstance(people, nbf.People)]

    farthest = max(
        float((one.vertices - other.vertices).norm(dim=-1).max())
        for some, others in zip(one_by_one(), together(), strict=True)
        for one, other in zip(some, others, strict=True)
    )
    print(f"largest distance of a vertex: {1000 * farthest:.6f} mm")
    compare("one by one", one_by_one, "predict_many", together, len(photos), given.rounds)
    if given.workers > 1:
        program(photos, 1)  # files of networks and of Python are in memory then
        names = "1 worker", f"{given.workers} workers"
        compare(
            names[0], lambda: program(photos, 1), names[1], lambda: program(photos, given.workers), len(photos),
            given.rounds,
        )  # fmt: skip


def program(photos: list[Path], workers: int) -> None:
    """`nbf predict` from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--max-people", "1", "--workers", str(workers), "-o", folder]
        command = [sys.executable, "-c", "import sys, nbf.cli; sys.exit(nbf.cli.main())", "predict"]
        subprocess.run([*command, *map(str, photos), *options], check=True, capture_output=True)


def compare(
    one: str, first: Callable[[], object], other: str, second: Callable[[], object], people: int, rounds: int
) -> None:
    """A line for each, and the ratios."""
    times: tuple[list[float], list[float]] = [], []
    for _ in range(rounds):
        for seconds, work in zip(times, (first, second)):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
    for name, seconds in zip((one, other), times):
        print(f"{name:<14}{people / statistics.median(seconds):>8.2f} people a second")
    ratios = [before / after for before, after in zip(*times)]
    print(f"ratio {statistics.median(ratios):.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})")


if __name__ == "__main__":
    main()
