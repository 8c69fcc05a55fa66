"""How fast a large data set is read: a made Human3.6M of 10,000 frames, written as the tests write theirs.

    python benchmarks/reading.py [--frames 10000] [--size 1000] [--boxes]

Opening, choosing frames, labels in order and anywhere, and pictures of one film in order and anywhere: how many a
second of the processor's time, and how much memory the process has after it.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np

from nbf.data.catalogue import SETS
from nbf.data.readers.films import VideoFrame
from nbf.data.recordings import Recordings

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from studio import SERIALS, write_masks, write_studio

_ANYWHERE = 1000


def memory() -> float:
    """Of the process, MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def write_film(path: Path, count: int, size: int) -> None:
    """Square pictures in which a disc moves over noise."""
    generator = np.random.default_rng(0)
    ground = generator.integers(0, 255, (size // 8, size // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    y, x = np.mgrid[: len(ground), : len(ground)]
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("libx264", rate=50)
        stream.height, stream.width, stream.pix_fmt = *ground.shape[:2], "yuv420p"
        for k in range(count):
            inside = (x - size / 2 - k) ** 2 + (y - size / 2) ** 2 < (size / 5) ** 2
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.where(inside[..., None], 200, ground), "rgb24")))
        film.mux(stream.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=1000, help="of the film's pictures")
    parser.add_argument("--boxes", action="store_true", help="with masks of one recording")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Two subjects, six takes each, four cameras.
        studio = write_studio(folder, ("S9", "S11"), frames=round(options.frames / 48))
        film = folder / "film.mp4"
        write_film(film, 300, options.size)
        if options.boxes:
            masks = folder / "S9" / "MySegmentsMat" / "ground_truth_bb" / f"Directions 1.{SERIALS[0]}.mat"
            write_masks(masks, [(100, 100, 600, 900)] * 200, side=1000)
        del studio
        before = memory()
        start = time.process_time()
        pictures = SETS["human36m"].open(folder, "test")
        assert isinstance(pictures, Recordings)
        print(f"opening {len(pictures)} frames: {time.process_time() - start:.2f} s, {memory() - before:.0f} MB more")

        def report(what: str, count: int, start: float) -> None:
            print(f"{what}: {count / (time.process_time() - start):.0f} a second, {memory() - before:.0f} MB more")

        start = time.process_time()
        chosen = pictures.chosen(lambda frame: frame.camera == "60457274" and frame.index % 5 == 0)
        report(f"choosing {len(chosen)} frames, of those looked at", len(pictures), start)
        start = time.process_time()
        count = sum(len(picture.people) for picture in pictures)
        report("labels in order", count, start)
        order = np.random.default_rng(0).integers(0, len(pictures), _ANYWHERE).tolist()
        start = time.process_time()
        for i in order:
            _ = pictures[i]
        report("labels anywhere", len(order), start)
        if options.boxes:
            start = time.process_time()
            boxes = [picture.people[0].box for picture in pictures[:200]]
            report("labels with boxes", len(boxes), start)
        start = time.process_time()
        for k in range(300):
            VideoFrame(film, k).read()
        report(f"pictures in order, {options.size} x {options.size}", 300, start)
        start = time.process_time()
        for k in np.random.default_rng(0).integers(0, 300, 30).tolist():
            VideoFrame(film, k).read()
        report("pictures anywhere", 30, start)


if __name__ == "__main__":
    main()
