"""Time by the number of people in a picture, up to a crowd of 25: pictures of bench:crowd side by side, in rows.

    python benchmarks/crowd.py [--out docs/crowd_time.png]    # pip install '.[experiments]' for the plot

Seconds of one core (`time.process_time`, one thread), so that a busy machine makes little difference. Prints them
and the line through all.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import nbf
from nbf.evaluate.crowd import CrowdBenchmark

PICTURES = 1, 2, 3, 4, 5, 6, 7
"""Pictures in a crowd; in each two to eight people."""


def main() -> None:
    """Print a table, and draw it where a file is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    predictor = nbf.load()
    images = [picture.image for picture in CrowdBenchmark.load().pictures(max(PICTURES))]
    predictor.predict(images[0])  # what is made ready when first used takes no picture's time
    people, seconds = [], []
    for count in PICTURES:
        picture = side_by_side(images[:count])
        start = time.process_time()
        people.append(len(predictor.predict(picture)))
        seconds.append(time.process_time() - start)
        print(
            f"{people[-1]:3d} people: {seconds[-1]:6.2f} s, {seconds[-1] / max(people[-1], 1):.2f} s each", flush=True
        )
    each, base = np.polyfit(people, seconds, 1)
    print(f"{base:.2f} s a picture and {each:.2f} s a person")
    if given.out:
        draw(people, seconds, each, base, given.out)


def side_by_side(images: list[Tensor]) -> Tensor:
    """A picture of pictures, in rows of about as many as there are rows; black where they are smaller than others."""
    across = math.ceil(math.sqrt(len(images)))
    height, width = (max(image.shape[axis] for image in images) for axis in (1, 2))
    whole = torch.zeros(3, height * math.ceil(len(images) / across), width * across, dtype=torch.uint8)
    for index, image in enumerate(images):
        top, left = index // across * height, index % across * width
        whole[:, top : top + image.shape[1], left : left + image.shape[2]] = image
    return whole


def draw(people: list[int], seconds: list[float], each: float, base: float, path: Path) -> None:
    """Seconds over people, and the line through them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    ends = np.array([0, max(people)])
    axes.plot(ends, base + each * ends, color="0.6", label=f"{base:.2f} s + {each:.2f} s a person")
    axes.plot(people, seconds, "o")
    axes.set(xlabel="people found", ylabel="seconds on one core", xlim=(0, None), ylim=(0, None))
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
