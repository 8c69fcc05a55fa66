"""A predictor on the benchmark's films: followed, smoothed and measured."""

import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from nbf.body.landmarks import Landmarks, place
from nbf.evaluate.motion import BenchFilm
from nbf.evaluate.motion_score import Followed, identities, steadiness
from nbf.evaluate.report import rounded
from nbf.film.log import SightingLog
from nbf.film.run import FilmPeople, predict_film
from nbf.predictor import Predictor


def evaluate_motion(
    predictor: Predictor, films: Iterable[BenchFilm], *, lag: int | None = None, work: Path | None = None
) -> dict[str, Any]:
    """Follow the people in films and measure their motions by the truth; docs/benchmark.md explains every number.

    Args:
        predictor: what is measured.
        films: with the truth about them.
        lag: as `predict_film` takes it.
        work: a folder to keep what was seen in, so that measuring anew is fast.
    """
    measured, frames, seconds = [], 0, 0.0
    for film in films:
        with TemporaryDirectory() as temporary:
            folder = Path(temporary) if work is None else work / film.path.stem
            start = time.perf_counter()
            people = predict_film(predictor, film.path, lag=lag, work=folder)
            seconds, frames = seconds + time.perf_counter() - start, frames + people.frames
            measured.append(followed(predictor, film, people, SightingLog(folder, predictor.body.shape_count)))
    rate = {} if work else {"frames_a_second": rounded(frames / seconds), "threads": torch.get_num_threads()}
    return {"films": len(measured), "frames": frames} | identities(measured) | rate | steadiness(measured)


@torch.no_grad()
def followed(predictor: Predictor, film: BenchFilm, people: FilmPeople, log: SightingLog) -> Followed:
    """The answer to a film beside the truth about it."""
    joints = Landmarks.keypoints(predictor.body, "smpl24")
    true = torch.stack([place(joints, bodies, jacobian=False).points for bodies in film.bodies])
    empty = torch.full((len(people.tracks), people.frames, 24, 3), torch.nan)
    fitted, smooth = empty, empty.clone()
    found = torch.zeros(empty.shape[:2], dtype=torch.bool)
    for row, track in enumerate(people.tracks):
        here = slice(track.motion.start, track.motion.start + len(track.motion))
        smooth[row, here] = track.motion.posed().joints
        found[row, here] = track.found
    for frame, seen in enumerate(log.read()):
        points = place(joints, seen.bodies, jacobian=False).points
        for row, track in enumerate(people.tracks):
            at = frame - track.motion.start
            if 0 <= at < len(track.rows) and track.rows[at] >= 0:
                fitted[row, frame] = points[track.rows[at]]
    return Followed(
        true, film.camera.project(true), found, fitted, smooth, people.camera.project(smooth), people.film.rate
    )
