"""Methods beside MediaPipe's landmarks, on the same machine and photos: milliseconds, and joints met.

    python benchmarks/peers.py [--photos 266] [--threads 2] [--mediapipe-python PYTHON]

The photos are lspet's of `nbf evaluate --data photos`, each cut around one person whose joints people labelled. Every
method is given the photo alone and answers with one person, whose limb joints count as met within a fifth of the trunk.
MediaPipe lives in a Python of its own, which needs a wheel that brings the model (0.10.21 does):

    python3 -m venv /tmp/mediapipe && /tmp/mediapipe/bin/pip install mediapipe==0.10.21
"""

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

import nbf
from nbf.body.joints import COCO17, LIMB_JOINTS
from nbf.data.human import HumanPhoto, lspet_photos
from nbf.data.shared import shared_dir
from nbf.evaluate import metrics
from nbf.evaluate.photos import trunk_length
from nbf.limits import MethodName
from nbf.pictures import read_picture

METHODS: tuple[MethodName, ...] = ("nbf", "nbf-plain", "smplify")
BLAZEPOSE = {"shoulder": 11, "elbow": 13, "wrist": 15, "hip": 23, "knee": 25, "ankle": 27}
"""Left joints among the 33 landmarks (Bazarevsky et al. 2020, "BlazePose"); the right ones follow them."""


class Answer(NamedTuple):
    """To one photo."""

    joints: Float[Tensor, "12 2"]
    """`LIMB_JOINTS` in pixels; NaN where nobody was found."""
    wall: float
    """Milliseconds that passed."""
    cpu: float
    """Milliseconds that all threads together worked, which other programs hardly change."""


def main() -> None:
    """Print a table, each line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, help="how many, from the first on; all if not given")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch; MediaPipe chooses its own")
    parser.add_argument("--mediapipe-python", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    shared = shared_dir()
    if shared is None:
        parser.error("no shared folder: set NBF_SHARED to it, or put it beside the repository")
    photos = lspet_photos(shared)[: given.photos]
    print(f"{len(photos)} photos, {given.threads} threads; milliseconds a photo: median passed, median worked")
    print("| method | mesh | joints met | nobody found | ms | CPU ms |\n|---|---|---|---|---|---|")
    for method in METHODS:
        report(f"`{method}`", "yes", photos, list(ours(photos, method)))
    if given.mediapipe_python:
        report("MediaPipe Pose (full)", "no", photos, list(mediapipe(photos, given.mediapipe_python)))


def ours(photos: list[HumanPhoto], method: MethodName) -> Iterator[Answer]:
    """The joints of the mesh of the surest person."""
    predictor = nbf.load(method=method)
    limbs = [COCO17.index(name) for name in LIMB_JOINTS]
    for photo in [*photos[:3], *photos]:  # the first three to warm up
        picture = read_picture(photo.path)
        wall, cpu = time.perf_counter(), time.process_time()
        people = predictor.predict(picture, max_people=1)
        joints = people[0].joints_2d("coco17")[limbs] if people else torch.full((len(limbs), 2), torch.nan)
        yield Answer(joints, 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu))


def mediapipe(photos: list[HumanPhoto], python: Path) -> Iterator[Answer]:
    """MediaPipe's landmarks."""
    limbs = [BLAZEPOSE[name.split("_")[1]] + name.startswith("right") for name in LIMB_JOINTS]
    script = Path(__file__).with_name("mediapipe_landmarks.py")
    names = "\n".join(str(photo.path.resolve()) for photo in [*photos[:3], *photos])
    answers = subprocess.run([python, script], input=names, stdout=subprocess.PIPE, check=True, text=True).stdout
    for answer in map(json.loads, answers.splitlines()):
        nobody = answer["points"] is None
        joints = torch.full((len(limbs), 2), torch.nan) if nobody else torch.tensor(answer["points"])[limbs]
        yield Answer(joints, answer["wall"], answer["cpu"])


def report(name: str, mesh: str, photos: list[HumanPhoto], answers: list[Answer]) -> None:
    """Print a line of the table."""
    answers = answers[-len(photos) :]
    labels = torch.cat([photo.joints for photo in photos])
    found = torch.stack([answer.joints for answer in answers])
    met = metrics.pck(found, labels[..., :2], trunk_length(labels[..., :2]), 0.2)[labels[..., 2] > 0]
    wall, cpu = (statistics.median(getattr(answer, kind) for answer in answers) for kind in ("wall", "cpu"))
    nobody = int(found.isnan().any(-1).all(-1).sum())
    print(f"| {name} | {mesh} | {100 * met.float().mean():.1f} % | {nobody} | {wall:.0f} | {cpu:.0f} |", flush=True)


if __name__ == "__main__":
    main()
