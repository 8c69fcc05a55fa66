"""What the experiments about evidence and supervision share: a regressor, trained anew for every case."""

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from nbf.body.bodies import Bodies
from nbf.body.model import BodyModel
from nbf.evaluate.score import score_bodies
from nbf.experiments.experiment import Lab, Scores
from nbf.experiments.people import Crowd
from nbf.geometry import Camera, translation_from_crop_camera
from nbf.nets.mean_body import FitterOutput
from nbf.nets.regressor import Regressor
from nbf.nets.segmenter import INPUT_SIZE
from nbf.nets.weights import N, load_kind, read_card
from nbf.train.batch import Batch
from nbf.train.body_task import MEAN_BATCHES, BodyTask, BodyWeights, set_mean
from nbf.train.config import LoopConfig
from nbf.train.loop import train
from nbf.train.pictures import pictures_source, small_body

RATE = 2e-3
WARMUP = 100
ALL = BodyWeights()
SCORES = ("pa_mpjpe", "mpjpe", "pve", "shape", "height", "quaternion", "error_2d", "pckh")

Show = Callable[[Batch], Tensor]
"""Makes the map (b,c,64,64) of a batch that a regressor looks at."""


def regress(
    lab: Lab, name: str, people: Crowd, show: Show, seed: int, weights: BodyWeights = ALL, known: float = 0.0
) -> Regressor:
    """A regressor trained on the crowd, or the one that has been trained under this name; what was cut off goes on.

    `known` is of `pictures_source`.
    """
    torch.manual_seed(seed)
    preset, body, runs = lab.preset, small_body(str(lab.device)), lab.out / "regressors"
    done = finished(runs / name, Regressor)
    if done is not None:
        return done.to(lab.device)
    source = pictures_source(people.train, preset.batch, seed, torch.device(lab.device), known)
    channels = show(next(source(0))).shape[1]
    network = Regressor(channels, body.shape_count).to(lab.device)
    set_mean(network, body, islice(source(0), MEAN_BATCHES))
    loop = LoopConfig(name, steps=preset.steps, rate=RATE, warmup=WARMUP, seed=seed, device=str(lab.device), runs=runs)
    return train(BodyTask(network, lambda batch: (show(batch),), body, weights), source, loop)


def finished(folder: Path, kind: type[N]) -> N | None:
    """What a run in a folder has made, if it came to its end."""
    weights = folder / "weights.safetensors"
    if not weights.is_file() or read_card(weights)["record"]["progress"] < 1:
        return None
    return load_kind(weights, kind)


@torch.no_grad()
def scored(answer: Callable[[Batch], FitterOutput], batches: Iterable[Batch], body: BodyModel) -> Scores:
    """How far answers are from the truth, person by person: SCORES."""
    rows: list[Scores] = []
    for batch in batches:
        camera, output = Camera(batch["focal"], batch["center"]), answer(batch)
        pelvis = translation_from_crop_camera(output.scale, output.offset, camera, INPUT_SIZE)
        found = Bodies(output.betas.float(), output.rotations, pelvis)
        true = Bodies.placed(body, batch["betas"], batch["rotations"], batch["translation"])
        rows.append(kept(score_bodies(body, found, true, camera, INPUT_SIZE)))
    return {name: torch.cat([row[name] for row in rows]).cpu() for name in SCORES}


def kept(scores: Scores) -> Scores:
    """One number a person: of scores that are known of every joint, their mean over those that count."""
    return {name: scores[name] if scores[name].ndim == 1 else scores[name].nanmean(1) for name in SCORES}
