"""What the experiments about methods share: the benchmark's people, a floor, and looks that are not taken twice."""

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import torch

from nbf.body.bodies import Bodies
from nbf.evaluate.bench import Benchmark
from nbf.evaluate.protocol import asked
from nbf.evaluate.score import score_bodies
from nbf.experiments.experiment import Lab, Scores
from nbf.experiments.regression import SCORES, kept
from nbf.geometry import Camera, translation_from_crop_camera
from nbf.known import NOTHING, Known
from nbf.methods import method as method_of
from nbf.nets.fitter import Fitter
from nbf.nets.segmenter import INPUT_SIZE
from nbf.networks import Networks
from nbf.proxy.proxy import Crops, Proxy, Rgb, See
from nbf.proxy.segmented import Segmented
from nbf.solve.fit import Fit, Method
from nbf.synth.tracks import TRACKS, Track

MEAN_POSE = "mean-pose"
"""The floor under all methods."""
SECONDS = "seconds"
"""The score that says how long a person took, in looking and in solving."""


SMALL = 20
"""People of the benchmark below which a preset only shows that things run, and leaves out more of the same."""


def tracks(lab: Lab) -> Sequence[Track]:
    """Those of the benchmark that a lab measures on."""
    return TRACKS if lab.preset.bench >= SMALL else ("wild",)


@dataclass(frozen=True)
class Subjects:
    """Some people: what a method is shown of them, and the bodies that it should find."""

    crops: Crops
    true: Bodies

    @property
    def camera(self) -> Camera:
        """Of the crops, in pixels."""
        return self.crops.camera.scaled(INPUT_SIZE)


# One track at a time, as a person takes over a megabyte.
@lru_cache(maxsize=1)
def subjects(lab: Lab, track: Track, count: int) -> Sequence[Subjects]:
    """The first `count` people of a track of the benchmark, at most as many as there are."""
    bench = Benchmark.load(track, lab.benchmark)
    return [Subjects(*asked(group.batch, bench.body)) for group in bench.groups(min(count, len(bench)))]


@cache
def networks(device: torch.device | str) -> Networks:
    """The bundled ones, the same numbers on every machine."""
    return replace(Networks.load(device=device), exact=True)


def method(lab: Lab, name: str) -> Method:
    """A method of `nbf.methods.METHODS`, or the floor."""
    nets = networks(lab.device)
    return Method(Rgb(), MeanPose(nets.fitter)) if name == MEAN_POSE else method_of(name, nets)


class MeanPose:
    """Finds in everybody the mean body of the people whom the fitter was trained on, upright, facing the camera, in the
    middle of the crop."""

    def __init__(self, fitter: Fitter) -> None:
        self.fitter = fitter

    @torch.no_grad()
    def __call__(self, proxy: Proxy, known: Known = NOTHING) -> Fit:
        nothing = self.fitter.mean_betas.new_zeros(len(proxy), self.fitter.numbers)
        output = self.fitter.body(nothing)
        pelvis = translation_from_crop_camera(output.scale.cpu(), output.offset.cpu(), proxy.camera, resolution=1)
        return Fit(Bodies(output.betas.cpu(), output.rotations.cpu(), pelvis))


Memory = dict[bytes, tuple[Proxy, float]]
"""What was seen in crops, by a digest of their pixels, and the seconds that it took."""


class Remembering:
    """Sees what another sees, and looks only once at the same crops."""

    def __init__(self, see: See, memory: Memory) -> None:
        """`memory` is of what sees the same."""
        self.see, self.memory = see, memory
        self.saved = 0.0
        """Seconds that looking anew would have taken."""

    def __call__(self, crops: Crops) -> Proxy:
        pixels = hashlib.sha256(crops.image.numpy().tobytes()).digest()
        if pixels in self.memory:
            proxy, seconds = self.memory[pixels]
            self.saved += seconds
            return replace(proxy, camera=crops.camera)
        start = time.perf_counter()
        proxy = self.see(crops)
        self.memory[pixels] = proxy, time.perf_counter() - start
        return proxy


@lru_cache(maxsize=1)
def memory(lab: Lab, pictures: str) -> Memory:
    """Of the segmenter of a lab, for pictures of a name; those of another name are forgotten."""
    return {}


def remembering(method: Method, memory: Memory) -> tuple[Method, Callable[[], float]]:
    """The method with its looks remembered, where it looks by segmenting, which takes long; and the seconds that this
    has saved so far."""
    if not isinstance(method.see, Segmented):
        return method, lambda: 0.0
    see = Remembering(method.see, memory)
    return Method(see, method.solve), lambda: see.saved


def measured(
    lab: Lab,
    method: Method,
    people: Iterable[Subjects],
    memory: Memory,
    tell: Callable[[Subjects], Known] = lambda _: NOTHING,
) -> tuple[Scores, Bodies]:
    """Scores of a method, person by person (SCORES and SECONDS), and the bodies that it found.

    `tell` says what the method is told of people beside their pictures.
    """
    body, (ready, saved) = networks(lab.device).body, remembering(method, memory)
    rows: list[Scores] = []
    found: list[Bodies] = []
    for some in people:
        start, before = time.perf_counter(), saved()
        _, fit = ready(some.crops, tell(some))
        seconds = time.perf_counter() - start + saved() - before
        found.append(fit.bodies)
        scores = kept(score_bodies(body, fit.bodies, some.true, some.camera, INPUT_SIZE))
        count = len(some.crops)
        rows.append({name: scores[name] for name in SCORES} | {SECONDS: torch.full((count,), seconds / count)})
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}, gathered(found)


def gathered(bodies: Iterable[Bodies]) -> Bodies:
    """All of them."""
    return Bodies(*(torch.cat(parts) for parts in zip(*((b.betas, b.rotations, b.pelvis) for b in bodies))))


def of(results: dict[str, Scores], group: str) -> dict[str, Scores]:
    """The cases whose names begin with a group's and a dot, by the rest of their names."""
    return {name.removeprefix(f"{group}."): each for name, each in results.items() if name.startswith(f"{group}.")}
