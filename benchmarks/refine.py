"""Does the search find a perturbed pose again from true surface correspondences, and what does refinement take?

    python benchmarks/refine.py [--n 200] [--points 1164] [--noise 0 1] [--threads 1] [--poses runs/cache/poses.npz]

Bodies are drawn from the body model's population, poses are captured ones that the pose prior did not learn from (drawn
from the prior itself where there is no file of poses), with any heading, before a camera of random focal length.
Evidence are the 2D places of those of the surface points that the camera sees, exact or with noise (standard deviation
in pixels of a crop of 256). The search starts from the true pose with every joint, the root too, turned by 15 degrees
about an axis of its own, drawn evenly from the sphere, from the average shape and the true place. Found again means a
mean error of the 24 joints after Procrustes alignment (PA-MPJPE) below 10 mm. Limbs that the body itself hides leave no
evidence, so people of whom some surface of every limb is seen are counted apart. Last comes the time that `Optimise`
takes for one person, warm, on one thread and on two.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from nbf.body.bodies import Bodies
from nbf.body.files import load_body
from nbf.body.landmarks import Landmarks, place
from nbf.body.model import BodyModel
from nbf.body.pose_prior import PosePrior
from nbf.geometry import Camera, align, matrix_from_axis_angle
from nbf.known import NOTHING
from nbf.nets.doubt import Doubt
from nbf.nets.mean_body import UPRIGHT
from nbf.nets.mirror import in_sides
from nbf.nets.weights import load_kind
from nbf.proxy.proxy import Proxy
from nbf.solve import terms
from nbf.solve.doubted import Doubted
from nbf.solve.fit import Fit, Reading
from nbf.solve.levenberg import Block, solve
from nbf.solve.optimise import Optimise
from nbf.solve.surface import Surface
from nbf.synth.poses import FILE, PoseLibrary

ANGLE = math.radians(15)
FOUND = 10.0  # mm
PIXELS = 256
EXACT = 0.25  # pixels that exact places are taken to be off by: less only makes the valley of good poses narrower
ROUNDS = ((8.0, 0.1, 20), (1.0, 0.3, 20), (1.0, 1.0, 30))
"""Searches, one after the other: factor of the noise, weight of the pose prior, steps. Only the last is honest: strong
at first, the prior would settle for one of its Gaussians before the evidence had its say."""
_SPAN = 0.85  # of the crop
_LEAST = 1 / 400  # points seen on each limb, as a share of all, by which a limb counts as seen


@dataclass(frozen=True)
class Correspondences:
    """Surface points seen in 2D, the pose prior and the shape prior."""

    points: Landmarks
    camera: Camera
    places: Float[Tensor, "b n 2"]
    """Crop sides."""
    weights: Float[Tensor, "b n"]
    """One over the standard deviation; 0 where a point is not seen."""
    prior: PosePrior
    pose: float

    def blocks(self, state: Bodies, jacobian: bool = True) -> list[Block]:
        """All residuals, in standard deviations."""
        pixels = terms.project(place(self.points, state, jacobian), self.camera)
        return [
            terms.points_2d(pixels, self.places, self.weights, None),
            terms.pose(state, self.prior, self.pose, jacobian),
            terms.shape(state, 1.0, jacobian),
        ]


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--points", type=int, default=1164, help="of the surface, before the camera looks")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 1.0])
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--poses", type=Path, default=FILE)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    body, library = load_body("anny24", "small"), PoseLibrary.load(given.poses)
    source = "bundled prior" if library.prior else str(given.poses)
    print(f"{given.n} people, seed {given.seed}, {given.points} points, poses of {source}, {given.threads} threads")
    print("noise px  start mm  mean mm  median   worst   found        all limbs seen     ms")
    with torch.no_grad():
        for noise in given.noise:
            print(recovery(body, library, noise, given), flush=True)
        for threads in (1, 2):
            print(refinement(body, library, threads, given.seed), flush=True)


def recovery(body: BodyModel, library: PoseLibrary, noise: float, given: argparse.Namespace) -> str:
    """A row of the table."""
    generator = Generator().manual_seed(given.seed)
    surface, joints, prior = Surface.spread(body, given.points), Landmarks.keypoints(body, "smpl24"), PosePrior.load()
    before, after, whole, seconds = [], [], [], 0.0
    for count in torch.arange(given.n).split(given.batch):
        true, camera = people(body, library, len(count), generator)
        start = turned(true, generator)
        seen, _, _ = surface.seen_by(true, camera)
        places = camera.project(place(surface.landmarks, true, jacobian=False).points)
        places = places + noise / PIXELS * torch.randn(places.shape, generator=generator)
        began = time.perf_counter()
        found = search(surface.landmarks, camera, places, seen, prior, max(noise, EXACT), start)
        seconds += time.perf_counter() - began
        before.append(error(joints, start, true))
        after.append(error(joints, found, true))
        limbs = torch.stack([(seen & (surface.part == part)).sum(1) for part in range(1, 15)], 1)
        whole.append((limbs >= _LEAST * given.points).all(1))
    start_mm, mm, complete = torch.cat(before), torch.cat(after), torch.cat(whole)
    share, of_complete = ((mm[rows] < FOUND).float().mean() for rows in (slice(None), complete))
    return (
        f"{noise:>8}{start_mm.mean():>10.1f}{mm.mean():>9.2f}{mm.median():>8.2f}{mm.max():>8.1f}{share:>8.1%}"
        f"{f'{of_complete:.1%} of {int(complete.sum())}':>22}{1000 * seconds / given.n:>7.0f}"
    )


def search(
    points: Landmarks,
    camera: Camera,
    places: Float[Tensor, "b n 2"],
    seen: Bool[Tensor, "b n"],
    prior: PosePrior,
    noise: float,
    state: Bodies,
) -> Bodies:
    """Bodies whose points are where they were seen; `noise` is in pixels."""
    for factor, pose, steps in ROUNDS:
        problem = Correspondences(points, camera, places, seen * (PIXELS / (factor * noise)), prior, pose)
        state, _ = solve(problem, state, steps=steps)
    return state


def people(body: BodyModel, library: PoseLibrary, count: int, generator: Generator) -> tuple[Bodies, Camera]:
    """People who fill their crops, and cameras in crop sides of 1 to 2.5 crops focal length."""
    betas = body.shape_samples[torch.randint(len(body.shape_samples), (count,), generator=generator)]
    rotations = library.sample(count, generator, "test")
    about = 2 * math.pi * torch.rand(count, 1, generator=generator) * torch.tensor([0.0, 1.0, 0.0])
    root = UPRIGHT @ matrix_from_axis_angle(about) @ rotations[:, 0]
    rotations = torch.cat([root[:, None], rotations[:, 1:]], 1)
    focal, nowhere = 1 + 1.5 * torch.rand(count, generator=generator), torch.zeros(count, 2)
    vertices = Bodies(betas, rotations, torch.zeros(count, 3)).posed(body).vertices
    reach = (vertices.amax(1) - vertices.amin(1))[:, :2].amax(1)
    state = Bodies(betas, rotations, torch.cat([nowhere, (focal * reach / _SPAN)[:, None]], 1))
    pixels = Camera(focal, nowhere).project(state.posed(body).vertices)
    return state, Camera(focal, 0.5 - (pixels.amax(1) + pixels.amin(1)) / 2)


def turned(state: Bodies, generator: Generator) -> Bodies:
    """Everybody's average shape, and every joint turned by ANGLE about a random axis."""
    axes = torch.nn.functional.normalize(torch.randn(*state.rotations.shape[:3], generator=generator), dim=-1)
    return Bodies(state.betas * 0, state.rotations @ matrix_from_axis_angle(ANGLE * axes), state.pelvis)


def error(joints: Landmarks, found: Bodies, true: Bodies) -> Float[Tensor, " b"]:
    """PA-MPJPE in mm."""
    here, there = (place(joints, state, jacobian=False).points for state in (found, true))
    return 1000 * (align(here, there) - there).norm(dim=-1).mean(1)


def refinement(body: BodyModel, library: PoseLibrary, threads: int, seed: int) -> str:
    """Time of `Optimise` for one person at a time, from a made-up reading of joints that are off by 15 degrees."""
    torch.set_num_threads(threads)
    generator = Generator().manual_seed(seed)
    doubted = Doubted(body, load_kind("doubt", Doubt))
    true, camera = people(body, library, 1, generator)
    start = turned(true, generator)
    seen = 2 * camera.project(place(doubted.points, true, jacobian=False).points) - 1
    small = [0.1 * torch.randn(1, *size, generator=generator) for size in ((24, 3), (24, 2), start.betas.shape[1:], ())]
    reading = Reading(torch.cat([seen[:, 17:], torch.full((1, 24, 1), -4.0)], -1), *small)
    parts = torch.softmax(torch.randn(1, 25, 64, 64, generator=generator), 1)
    proxy = Proxy(camera, parts, in_sides(torch.cat([seen[:, :17], torch.full((1, 17, 1), 0.8)], -1)))
    fit = Fit(start, reading=reading)
    optimise = Optimise(body, lambda proxy, known: fit, doubted)
    estimate = milliseconds(lambda: doubted(proxy, NOTHING, fit))
    both = milliseconds(lambda: optimise(proxy))
    return f"Optimise, {threads} threads: {both:.1f} ms a person, {estimate:.1f} of them for the terms (median of 30)"


def milliseconds(job: Callable[[], object], rounds: int = 30) -> float:
    """Median, warm."""
    times = []
    for _ in range(rounds + 3):
        start = time.perf_counter()
        job()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[3:])


if __name__ == "__main__":
    main()
