"""Training the doubt network: how wrong the fitter is about drawn people, through the segmenter and without it."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from nbf.body.bodies import SHAPE_START, Bodies
from nbf.body.files import load_body
from nbf.body.landmarks import Landmarks, place
from nbf.geometry import Camera
from nbf.geometry.procrustes import align
from nbf.geometry.spread import mean_length
from nbf.nets.doubt import MIRROR_POINTS, PLACE, POINTS, Clues, Doubt, Doubts
from nbf.nets.fitter import JOINTS, KEYPOINTS, Fitter
from nbf.nets.mirror import in_crop, in_sides
from nbf.nets.segmenter import INPUT_SIZE
from nbf.nets.weights import load_kind, save_network
from nbf.proxy.proxy import Proxy
from nbf.solve.clues import clues, detections
from nbf.solve.deviation import deviation, mirror_deviation
from nbf.solve.doubted import Doubted, DoubtedProblem
from nbf.solve.estimate import Estimate
from nbf.solve.levenberg import normal_equations, solve
from nbf.solve.optimise import STEPS
from nbf.solve.regress import Regress
from nbf.solve.terms import height_and_slopes
from nbf.solve.uncertainty import joint_sigmas, pixel_covariances
from nbf.train.batch import Batch, Draw, seeded
from nbf.train.config import LoopConfig
from nbf.train.loop import train
from nbf.train.packs import expand, load_packs

logger = logging.getLogger(__name__)

_BATCH = 64
MEAN_SIZE = (2 / math.pi) ** 0.5


@dataclass(frozen=True)
class DoubtConfig:
    """Train the doubt network on packs of `nbf draw` for a fitter that is already trained."""

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig("doubt", steps=6000, warmup=0, decay=0.1, average=0.99, bf16=False)
    )
    people: Path = Path("runs/cache/people_doubt")
    """Folder of packs of dressed people; best of people that the fitter did not learn from."""
    photos: Path | None = None
    """Folder of packs of `nbf draw --kind snapshots`: how noisy keypoints are in photos is learnt there as well."""
    fitter: str = "fitter"
    """Weights of the fitter to be doubted; the bundled ones if not given."""
    held_out: float = 0.2
    """Share of the people that only calibrate and validate."""
    batch: int = 128
    """People per step, in one of the two ways to see them."""
    jitter: float = 0.1
    """Noise on the clues, in their own standard deviations."""
    tails: float = 4.0
    """Degrees of freedom of Student's t, under which a few people may be far worse than said."""
    shrink: float = 0.1
    """How much of the correlations is taken to be chance."""
    cautions: tuple[float, ...] = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
    """How much noisier detections are taken to be than they look, as they and the estimate err for common causes: what
    serves the people held out best is kept."""
    worse: float = 0.05
    """Share of them who may end more than 10 mm worse; they are harder than people in photos."""


@dataclass(frozen=True)
class Cases:
    """n people seen in one way: the fitter's answers and the truth."""

    start: Bodies
    true: Bodies
    camera: Camera
    clues: Clues
    detections: Float[Tensor, "n 41 2"]
    with_keypoints: bool

    def __getitem__(self, rows: Tensor) -> "Cases":
        return Cases(
            self.start[rows],
            self.true[rows],
            self.camera[rows],
            Clues(*(value[rows] for value in self.clues)),
            self.detections[rows],
            self.with_keypoints,
        )


@dataclass(frozen=True)
class Examples:
    """What the perceptron learns from, mirror images included: clues, what was missed, and what of that counts."""

    clues: Float[Tensor, "n c"]
    missed: Float[Tensor, "n m"]
    counts: Float[Tensor, "n m"]


def train_doubt(config: DoubtConfig) -> Doubt:
    """Train, calibrate, save. Raises ModelFileError, DataError for missing files."""
    torch.manual_seed(config.loop.seed)
    body = load_body("anny24", "small")
    doubted = Doubted(body, Doubt(body.shape_count))
    regress = Regress(load_kind(config.fitter, Fitter))
    people = load_packs(sorted(config.people.glob("*.npz")))
    count = len(people["betas"])
    order = torch.randperm(count, generator=Generator().manual_seed(config.loop.seed))
    held_out, taught = order[: round(count * config.held_out)], order[round(count * config.held_out) :]
    cases = [cases_of(regress, doubted, people, seen) for seen in (True, False)]
    lessons = [examples(doubted, some[taught]) for some in cases]
    photos = [] if config.photos is None else [photographed(regress, doubted, config.photos)]
    lesson = Examples(*(torch.cat(values) for values in zip(*map(_fields, lessons + photos))))
    doubted = Doubted(body, learn(doubted.doubt, lesson, config))
    correlate(doubted.doubt, lessons, config)
    record = {"config": {name: str(value) for name, value in vars(config).items()}, "people": len(taught)}
    record |= calibrate(doubted, [some[held_out] for some in cases], config)
    logger.info("%s", record)
    save_network(doubted.doubt, config.loop.folder / "weights", record)
    return doubted.doubt


@torch.no_grad()
def cases_of(regress: Regress, doubted: Doubted, people: Batch, seen: bool) -> Cases:
    """All people of a pack through the fitter, by what the segmenter saw or by their true part maps."""
    start, told, detections = _estimated(regress, doubted, people, seen)
    true = Bodies.placed(doubted.body, *(people[name].float() for name in ("betas", "rotations", "translation")))
    return Cases(start, true, _camera(people), told, detections, seen)


@torch.no_grad()
def photographed(regress: Regress, doubted: Doubted, folder: Path) -> Examples:
    """What keypoints miss in photos, where nobody knows the bodies, and the mirror images."""
    people = load_packs(sorted(folder.glob("*.npz")))
    _, told, detections = _estimated(regress, doubted, people, seen=True)
    labelled = people["keypoints"][..., :2] / INPUT_SIZE
    noise = torch.zeros_like(detections)
    noise[:, :KEYPOINTS] = detections[:, :KEYPOINTS] - labelled
    trusted = torch.zeros_like(detections)
    trusted[:, :KEYPOINTS] = people["keypoints"][..., 2:]
    errors = torch.zeros(len(noise), len(doubted.doubt.error_root))
    return _both_ways(told, errors, noise, torch.cat([errors, trusted.flatten(1)], 1))


def _estimated(regress: Regress, doubted: Doubted, people: Batch, seen: bool) -> tuple[Bodies, Clues, Tensor]:
    """The fitter's answers, the clues to how wrong they are, and the detections in crop sides."""
    found = []
    for rows in torch.arange(len(people["focal"])).split(_BATCH):
        proxy = Proxy(_camera(people)[rows], expand(people["seen_parts" if seen else "parts"][rows]))
        if seen:
            proxy = replace(proxy, joints=in_sides(in_crop(people["seen_keypoints"][rows].float())))
        fit = regress(proxy)
        assert fit.reading is not None  # of a regressor
        points = detections(fit.reading, proxy)
        found.append((fit.bodies, clues(doubted.points, fit.bodies, fit.reading, proxy, points), points))
    starts, told, seen_points = zip(*found)
    start = Bodies(*(torch.cat(values) for values in zip(*map(_fields, starts))))
    return start, Clues(*(torch.cat(values) for values in zip(*told))), torch.cat(seen_points)


def _camera(people: Batch) -> Camera:
    """In crop sides."""
    return Camera(people["focal"] / INPUT_SIZE, people["center"] / INPUT_SIZE)


def examples(doubted: Doubted, cases: Cases) -> Examples:
    """What estimates and detections miss, and the mirror image of all of it."""
    error = deviation(cases.start, cases.true, cases.camera)
    noise = cases.detections - cases.camera.project(place(doubted.points, cases.true, jacobian=False).points)
    counts = torch.ones(len(error), error.shape[1] + 2 * POINTS)
    if not cases.with_keypoints:
        counts[:, error.shape[1] : error.shape[1] + 2 * KEYPOINTS] = 0
    return _both_ways(cases.clues, error, noise, counts)


def _both_ways(
    told: Clues, error: Float[Tensor, "n p"], noise: Float[Tensor, "n 41 2"], counts: Float[Tensor, "n m"]
) -> Examples:
    """With the mirror images; `counts` is of x and y of every detection after the entries of the error."""
    flipped = noise[:, MIRROR_POINTS] * noise.new_tensor([-1.0, 1.0])
    missed = torch.cat([error, noise.flatten(1)], 1), torch.cat([mirror_deviation(error), flipped.flatten(1)], 1)
    known, points = counts.split((error.shape[1], 2 * POINTS), 1)
    other = torch.cat([known, points.unflatten(1, (POINTS, 2))[:, MIRROR_POINTS].flatten(1)], 1)
    return Examples(torch.cat([told.flat(), told.mirrored().flat()]), torch.cat(missed), torch.cat([counts, other]))


class DoubtTask:
    """Standard deviations by the likelihood of what was missed under Student's t."""

    def __init__(self, doubt: Doubt, lesson: Examples, config: DoubtConfig) -> None:
        """The scales of clues and of what is usual come from the lesson at once."""
        self.network, self.jitter, self.tails = doubt, config.jitter, config.tails
        doubt.clue_mean.copy_(lesson.clues.mean(0))
        doubt.clue_spread.copy_(lesson.clues.std(0) + 1e-3)
        doubt.usual.copy_(_usual(doubt, lesson))

    def losses(self, network: Callable, batch: Batch) -> dict[str, Tensor]:
        told = batch["clues"] + self.jitter * self.network.clue_spread * torch.randn_like(batch["clues"])
        logs = logs_of(self.network.once(told))
        unit = batch["missed"] * (-logs).exp()
        surprise = logs + (self.tails + 1) / 2 * torch.log1p(unit.square() / self.tails)
        return {"surprise": (surprise * batch["counts"]).sum() / batch["counts"].sum()}


def doubt_draw(lesson: Examples, batch: int) -> Draw:
    """Random rows of a lesson."""

    def draw(seed: int) -> Batch:
        rows = torch.randint(len(lesson.clues), (batch,), generator=Generator().manual_seed(seed))
        return {name: getattr(lesson, name)[rows] for name in ("clues", "missed", "counts")}

    return draw


def learn(doubt: Doubt, lesson: Examples, config: DoubtConfig) -> Doubt:
    """The network that has learnt from a lesson."""
    task = DoubtTask(doubt, lesson, config)
    return train(task, seeded(doubt_draw(lesson, config.batch), config.loop.seed), config.loop)


@torch.no_grad()
def correlate(doubt: Doubt, lessons: Sequence[Examples], config: DoubtConfig) -> None:
    """What goes wrong together: the correlations of estimates over all people, of detections where there are any."""
    errors = len(doubt.error_root)
    units = [lesson.missed * (-logs_of(doubt.once(lesson.clues))).exp() for lesson in lessons]
    through, without = units
    doubt.error_root.copy_(_root(robust_covariance(torch.cat(units)[:, :errors], config)))
    doubt.noise_root.copy_(_root(robust_covariance(through[:, errors:], config)))
    doubt.joint_noise_root.copy_(_root(robust_covariance(without[:, errors + 2 * KEYPOINTS :], config)))


def robust_covariance(values: Float[Tensor, "n d"], config: DoubtConfig) -> Float[Tensor, "d d"]:
    """The scatter matrix of a multivariate t (Kent & Tyler 1991), its correlations shrunk (Ledoit & Wolf 2004)."""
    size = values.shape[1]
    covariance = torch.cov(values.T)
    for _ in range(8):
        distance = (_root(covariance) @ values.T).square().sum(0)
        weight = (size + config.tails) / (distance + config.tails)
        covariance = (values * weight[:, None]).T @ values / len(values)
        covariance = torch.lerp(covariance, torch.diag(covariance.diagonal()), config.shrink)
    return covariance


@dataclass(frozen=True)
class Trial:
    """Held-out people refined: predicted and actual errors of joints (metres, pelvis aligned), of keypoints in the crop
    (its sides), and of heights."""

    joints: tuple[Float[Tensor, "n 23"], Float[Tensor, "n 23"]]
    keypoints: tuple[Float[Tensor, " k"], Float[Tensor, " k"]]
    heights: tuple[Float[Tensor, " n"], Float[Tensor, " n"]]
    before: Float[Tensor, " n"]
    """PA-MPJPE in mm, as is `after`."""
    after: Float[Tensor, " n"]


@torch.no_grad()
def attempt(doubted: Doubted, cases: Cases) -> Trial:
    """Refine people and compare with the truth."""
    doubt, joints = doubted.doubt, Landmarks.keypoints(doubted.body, "smpl24")
    with_keypoints = torch.full((len(cases.detections),), cases.with_keypoints)
    estimate = Estimate.make(
        doubt, doubt(cases.clues), cases.start, cases.camera, doubted.points, cases.detections, with_keypoints
    )
    problem = DoubtedProblem(doubted.body, estimate, doubted.prior)
    refined, _ = solve(problem, estimate.start, steps=STEPS)
    covariance = torch.linalg.inv(normal_equations(problem, refined := refined.orthonormal())[0])
    places = [place(joints, state, jacobian=False).points for state in (cases.start, refined, cases.true)]
    start, end, true = (points - points[:, :1] for points in places)
    height, slopes = height_and_slopes(doubted.body, refined.betas)
    true_height, _ = height_and_slopes(doubted.body, cases.true.betas)
    shape = covariance[:, SHAPE_START:, SHAPE_START:]
    keypoints = Landmarks.keypoints(doubted.body, "coco17")
    found, there = (
        cases.camera.project(place(keypoints, state, jacobian=False).points) for state in (refined, cases.true)
    )
    inside = ((there >= 0) & (there <= 1)).all(-1)
    said = mean_length(pixel_covariances(keypoints, refined, cases.camera, covariance))
    return Trial(
        (joint_sigmas(joints, refined, covariance)[:, 1:], (end - true).norm(dim=-1)[:, 1:]),
        (said[inside], (found - there).norm(dim=-1)[inside]),
        (torch.einsum("ni,nij,nj->n", slopes, shape, slopes).sqrt(), (height - true_height).abs()),
        (align(start, true) - true).norm(dim=-1).mean(1) * 1000,
        (align(end, true) - true).norm(dim=-1).mean(1) * 1000,
    )


@torch.no_grad()
def calibrate(doubted: Doubted, cases: Sequence[Cases], config: DoubtConfig) -> dict[str, float]:
    """Set the caution, and make the mean predicted errors of joints, keypoints and heights those of people held out."""
    doubt, record, trials = doubted.doubt, {}, []
    for some, root, kind in zip(cases, (doubt.noise_root, doubt.joint_noise_root), ("rgb", "true")):
        plain, best = root.clone(), (float("inf"), 0.0)
        for caution in config.cautions:
            root.copy_(plain / caution)
            trial = attempt(doubted, some)
            harmed = float((trial.after > trial.before + 10).float().mean())
            best = min(best, (float(trial.after.mean()) + 1e3 * max(harmed - config.worse, 0), caution))
        root.copy_(plain / best[1])
        trials.append(attempt(doubted, some))
        harmed = float((trials[-1].after > trials[-1].before + 10).float().mean())
        record |= {
            f"{kind}_caution": best[1],
            f"{kind}_worse_by_10mm": round(harmed, 4),
            f"{kind}_pa_mpjpe_before_mm": round(float(trials[-1].before.mean()), 2),
            f"{kind}_pa_mpjpe_after_mm": round(float(trials[-1].after.mean()), 2),
        }
    said, was = (torch.cat([trial.joints[k].flatten() for trial in trials]) for k in (0, 1))
    where, missed = (torch.cat([trial.keypoints[k] for trial in trials]) for k in (0, 1))
    tall, off = (torch.cat([trial.heights[k] for trial in trials]) for k in (0, 1))
    doubt.joint_factor.copy_(was.mean() / said.mean())
    doubt.keypoint_factor.copy_(missed.mean() / where.mean())
    # A normal error's mean size is 0.8 of its standard deviation.
    doubt.shape_factor.copy_(off.mean() / (MEAN_SIZE * tall.mean()))
    return record | {
        "joint_factor": round(float(doubt.joint_factor), 3),
        "shape_factor": round(float(doubt.shape_factor), 3),
        "keypoint_factor": round(float(doubt.keypoint_factor), 3),
        "joint_correlation": round(float(torch.corrcoef(torch.stack([said, was]))[0, 1]), 3),
    }


def logs_of(doubts: Doubts) -> Float[Tensor, "n m"]:
    """Log deviations in the order of `Examples.missed`."""
    return torch.cat([doubts.error(), doubts.noise()], dim=1)


def _usual(doubt: Doubt, lesson: Examples) -> Tensor:
    """Log of the mean size of what is missed, for every output of the network."""
    size = (lesson.missed.abs() * lesson.counts).sum(0) / lesson.counts.sum(0)
    turns, rest, points = size.log().split((3 * JOINTS, PLACE + doubt.shapes, 2 * POINTS))
    across, along = turns.unflatten(0, (JOINTS, 3))[:, :2].mean(1), turns.unflatten(0, (JOINTS, 3))[:, 2]
    return torch.cat([torch.stack([across, along], 1).flatten(), rest, points.unflatten(0, (POINTS, 2)).mean(1)])


def _root(covariance: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """U with U'U the inverse of a covariance."""
    return torch.linalg.inv(torch.linalg.cholesky(covariance.double())).float()


def _fields(value: Any) -> tuple[Any, ...]:
    return tuple(vars(value).values())
