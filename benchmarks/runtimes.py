"""The networks by onnxruntime beside torch: time of a look, people a second, people in one batch, and agreement.

    nbf export-model int8 --int8 album/
    python benchmarks/runtimes.py [--int8 int8] [--threads 1] [--rounds 20] [--people 32] [--photos 60]

Looks are at one person both ways round, so at two pictures. A person is predicted in a given box of the demo; a batch
is as many copies of that person, side by side in one picture. Everything is timed in turns, so that what else the
machine does meets all alike: the least and the median of the rounds; on one thread the processor's time, on several
wall clock. Agreement is with torch in float32, over the people of the demo. With --photos, joints met (PCK@0.2 of the
trunk) over so many photos of each set of the shared folder, as `nbf evaluate --data photos` counts them.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import nbf
from nbf.data.human import coco_photos, lspet_photos
from nbf.data.shared import shared_dir
from nbf.evaluate.photos import evaluate_photos
from nbf.geometry import Crop
from nbf.methods import method
from nbf.nets.locator import locate_both_ways
from nbf.nets.mirror import segment_both_ways
from nbf.networks import Networks
from nbf.people import People
from nbf.pictures import read_picture
from nbf.predictor import Predictor
from nbf.solve.regress import Regress

PHOTO = Path(__file__).parents[1] / "examples" / "demo.jpg"
BOX = (301.0, 188.0, 624.0, 825.0)
"""Of one of its two people, pixels."""
COLUMNS = 8
"""Of people side by side."""


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--int8", type=Path, help="folder of nbf export-model --int8")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--people", type=int, default=32)
    parser.add_argument("--photos", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.set_grad_enabled(False)
    exact = replace(Networks.load(), exact=True)
    predictors = {"torch float32": Predictor(exact, method("nbf", exact)), "torch": nbf.load()}
    predictors["onnx float32"] = nbf.load(runtime="onnx")
    if given.int8:
        predictors["onnx int8"] = nbf.load(given.int8, runtime="onnx")
    print(f"{given.threads} threads, {given.rounds} rounds; least and median")
    looks(predictors, given.rounds)
    people(predictors, given.rounds, given.people)
    agreement(predictors)
    if given.photos:
        photos(predictors, given.photos)


def looks(predictors: dict[str, Predictor], rounds: int) -> None:
    """Of each network, ms a person."""
    picture = read_picture(PHOTO)
    image = torch.from_numpy(picture.pixels).permute(2, 0, 1)
    crop = Crop.from_boxes(torch.tensor([BOX]), 256).sample(image).contiguous(memory_format=torch.channels_last)
    for name, of in {
        "locator": lambda predictor: lambda: locate_both_ways(predictor.locator, crop),
        "segmenter": lambda predictor: lambda: segment_both_ways(predictor.method.see.segmenter, crop),
        "fitter": lambda predictor: fitting(predictor, crop),
    }.items():
        print(f"{name}, ms a look: {row(timed({kind: of(each) for kind, each in predictors.items()}, rounds))}")


def fitting(predictor: Predictor, crop: Tensor) -> Callable[[], object]:
    """The fitter's look at what the segmenter sees."""
    picture = read_picture(PHOTO)
    image = torch.from_numpy(picture.pixels).permute(2, 0, 1)
    camera = nbf.Camera.default(picture.width, picture.height)
    seen = predictor.see(image, camera, Crop.from_boxes(torch.tensor([BOX]), 256))
    regress = Regress(predictor.networks.run.fitter)
    return lambda: regress(seen)


def people(predictors: dict[str, Predictor], rounds: int, count: int) -> None:
    """People a second, one by one and in one batch."""
    picture = read_picture(PHOTO).pixels
    left, top, right, bottom = (int(side) for side in BOX)
    margin = (bottom - top) // 5
    alone = picture[top - margin : bottom + margin, left - margin : right + margin]
    height, width = alone.shape[:2]
    box = [margin, margin, width - margin, height - margin]
    rows = -(-count // COLUMNS)
    together = np.tile(alone, (rows, COLUMNS, 1))
    places = [(width * (i % COLUMNS), height * (i // COLUMNS)) for i in range(count)]
    boxes = [[box[0] + x, box[1] + y, box[2] + x, box[3] + y] for x, y in places]
    one = timed({kind: lambda each=each: each.predict(alone, boxes=[box]) for kind, each in predictors.items()}, rounds)
    print(f"one person in a given box, ms: {row(one)}")
    few = max(3, rounds // 5)
    jobs = {kind: lambda each=each: each.predict(together, boxes=boxes) for kind, each in predictors.items()}
    batch = {kind: [ms / count for ms in times] for kind, times in timed(jobs, few).items()}
    print(f"one of {count} in one picture, ms: {row(batch)}")
    for kind in predictors:
        single, among = (1000 / statistics.median(times[kind]) for times in (one, batch))
        print(f"{kind}: {single:.1f} people a second one by one, {among:.1f} in a batch, {among / single:.2f} times")


def agreement(predictors: dict[str, Predictor]) -> None:
    """How far off the demo's people are from those of torch in float32."""
    expected = predictors["torch float32"].predict(PHOTO)
    for kind, predictor in predictors.items():
        found = predictor.predict(PHOTO)
        print(f"{kind}: {differences(found, expected)}")


def differences(found: People, expected: People) -> str:
    """In words."""
    if len(found) != len(expected):
        return f"{len(found)} people in place of {len(expected)}"
    pairs = list(zip(found, expected))
    vertices = torch.cat([(here.vertices - there.vertices).norm(dim=-1) for here, there in pairs])
    joints = torch.cat([(here.keypoints - there.keypoints)[:, :2].norm(dim=-1) for here, there in pairs])
    labels = [[each.parts.probabilities.argmax(0) for each in pair] for pair in pairs]
    same = sum(int(((here == there) & (there > 0)).sum()) for here, there in labels)
    either = sum(int(((here > 0) | (there > 0)).sum()) for here, there in labels)
    return (
        f"vertices {1000 * vertices.mean():.4f} mm off, at most {1000 * vertices.max():.4f}; keypoints "
        f"{joints.mean():.4f} px, at most {joints.max():.4f}; {same / either:.1%} of the person's cells the same part"
    )


def photos(predictors: dict[str, Predictor], count: int) -> None:
    """Joints met in photos that people labelled."""
    shared = shared_dir()
    if shared is None:
        raise SystemExit("--photos: there is no shared folder here; set NBF_SHARED to it")
    sets = [photos(shared)[:count] for photos in (lspet_photos, coco_photos)]
    for kind, predictor in predictors.items():
        scores, _, _ = evaluate_photos(predictor, *sets, [])
        print(kind, {name: value for name, value in scores.items() if "pck" in name or "recall" in name}, flush=True)


def timed(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every round, in turns; the first, cold ones are left out."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    for _ in range(rounds + 2):
        for name, job in jobs.items():
            start = clock()
            job()
            times[name].append(1000 * (clock() - start))
    return {name: each[2:] for name, each in times.items()}


def row(times: dict[str, list[float]]) -> str:
    """Least and median of each."""
    return ", ".join(f"{name} {min(each):.1f} {statistics.median(each):.1f}" for name, each in times.items())


if __name__ == "__main__":
    main()
