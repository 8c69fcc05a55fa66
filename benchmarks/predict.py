"""Warm time per photo with one person, by stage, as `nbf predict` does them: locate, see, regress, refine (shape and
uncertainty included), mesh.

    python benchmarks/predict.py [PHOTO] [--threads 2] [--rounds 20]

Without a photo it times a made-up picture of 512 x 340 pixels: the time does not depend on what is seen.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

import nbf
from nbf.geometry import Camera, Crop
from nbf.known import NOTHING
from nbf.nets.segmenter import INPUT_SIZE
from nbf.pictures import read_picture
from nbf.solve.shape import Shaped


def main() -> None:
    """Print a table of milliseconds: median and worst of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    start = time.perf_counter()
    predictor = nbf.load()
    print(f"load: {time.perf_counter() - start:.2f} s")
    made_up = np.random.default_rng(0).integers(0, 255, (512, 340, 3), np.uint8)
    picture = read_picture(given.photo or made_up)
    image = torch.from_numpy(picture.pixels).permute(2, 0, 1)
    width, height = picture.width, picture.height
    camera = Camera.default(width, height)
    box = torch.tensor([[0.3 * width, 0.05 * height, 0.7 * width, 0.95 * height]])
    crops = Crop.from_boxes(box, INPUT_SIZE)
    proxy = predictor.see(image, camera, crops)
    solve = predictor.method.solve
    assert isinstance(solve, Shaped)
    regress, fit, score = solve.refine.start, solve(proxy, NOTHING), torch.ones(1)
    stages: dict[str, Callable[[], object]] = {
        "locate": lambda: predictor.locate(image),
        "see": lambda: predictor.see(image, camera, crops),
        "regress": lambda: regress(proxy, NOTHING),
        "regress and refine": lambda: solve(proxy, NOTHING),
        "mesh": lambda: predictor.people(picture, camera, box, score, crops, proxy, fit),
        "predict, all of it": lambda: predictor.predict(picture, boxes=box),
    }
    print(f"{'stage':<20}{'median ms':>10}{'worst ms':>10}   threads: {given.threads}, rounds: {given.rounds}")
    total = 0.0
    for name, stage in stages.items():
        median, worst = _milliseconds(stage, given.rounds)
        # Refining starts with regressing.
        total += 0.0 if name in ("regress", "predict, all of it") else median
        print(f"{name:<20}{median:>10.1f}{worst:>10.1f}")
    print(f"{'sum of the stages':<20}{total:>10.1f}")


def _milliseconds(stage: Callable[[], object], rounds: int) -> tuple[float, float]:
    for _ in range(3):
        stage()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        stage()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times), max(times)


if __name__ == "__main__":
    main()
