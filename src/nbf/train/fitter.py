"""Training the fitter, from its configuration to its weights: body parameters from part maps, true, spoilt or
predicted, and from joints alone; then its second half, the lifter, alone, on what its first half finds in part maps
once and for all."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional as F

from nbf import losses, processes
from nbf.body.files import load_body
from nbf.body.joints import MIRROR_SMPL24
from nbf.body.model import BodyModel
from nbf.geometry.camera import Camera
from nbf.nets.blocks import for_inference
from nbf.nets.fitter import Findings, Fitter, FitterInput, JointMaps
from nbf.nets.mean_body import FitterOutput
from nbf.nets.mirror import in_crop, in_pixels
from nbf.nets.weights import load_kind
from nbf.train.augment import move_people, random_moves
from nbf.train.batch import BODY_LABELS, Batch, Source, concatenate, mixed_seed
from nbf.train.blend import train_blended
from nbf.train.body_task import MEAN_BATCHES, BodyWeights, body_residuals, set_mean, true_joints, validate_bodies
from nbf.train.config import LoopConfig
from nbf.train.corrupt import CorruptionConfig, corrupt, noisy_joints, noisy_keypoints
from nbf.train.loop import train
from nbf.train.packs import expand, load_packs, save_pack
from nbf.train.people import (
    PeopleConfig,
    held_out_batches,
    load_groups,
    mirror_people,
    people_source,
    rows_of,
    shares,
)

logger = logging.getLogger(__name__)

# Side of a cell of the joint maps in pixels of the crop.
JOINT_STRIDE = 8
JOINT_SIGMA = 1.0
# Maps that are read at a time for the lifter.
CHUNK = 128


@dataclass(frozen=True)
class FitterWeights(BodyWeights):
    """Weights of the fitter's losses."""

    maps: float = 0.05
    """Cross entropy of the joint maps."""
    places: float = 1.0
    """L1 of the joints' places in the crop, half crop sides."""


@dataclass(frozen=True)
class FitterConfig:
    """Train the fitter on packs of drawn people: true part maps, spoilt ones, predicted ones, and joints alone."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig("fitter"))
    data: PeopleConfig = field(default_factory=PeopleConfig)
    weights: FitterWeights = field(default_factory=FitterWeights)
    corruption: CorruptionConfig = field(default_factory=CorruptionConfig)
    start: Path | None = None
    """Start from this weight file instead of random weights."""


def train_fitter(config: FitterConfig) -> Fitter:
    """Returns the averaged network. Raises ModelFileError, DataError for missing files."""
    device = torch.device(config.loop.device)
    torch.manual_seed(config.loop.seed)
    body = load_body("anny24", "small").to(device)
    network = (Fitter(body.shape_count) if config.start is None else load_kind(config.start, Fitter)).to(device)
    source = people_source(config.data, config.loop.seed, device)
    task = FitterTask(network, body, config.weights, config.corruption)
    if config.start is None:
        set_mean(network, body, islice(source(0), MEAN_BATCHES))
    return train(task, source, config.loop, fitter_validation(config.data, task, device))


class FitterTask:
    """L_lat + L_3D + L_2D through the body model (Omran et al. 2018, section 3.3), and the joints' maps."""

    def __init__(
        self,
        network: Fitter,
        body: BodyModel,
        weights: FitterWeights,
        corruption: CorruptionConfig | None = None,
    ) -> None:
        self.network = network
        self.body = body
        self.weights = weights
        self.corruption = corruption

    def losses(self, network: Callable, batch: Batch) -> dict[str, Tensor]:
        output, maps = network(self.proxy(batch))
        return self.judge(output, maps, batch)

    def judge(self, output: FitterOutput, maps: JointMaps, batch: Batch) -> dict[str, Tensor]:
        """The weighted losses of a fitter's answers for the first rows of a batch; the others are lifted here."""
        truth = self.truth(batch)
        output = self.completed(output, batch, truth)
        with torch.autocast(output.betas.device.type, enabled=False):  # millimetres need float32
            return self.residuals(output, batch, truth) | self.map_residuals(maps, batch, truth)

    def truth(self, batch: Batch) -> Float[Tensor, "b 24 3"]:
        """The true joints, camera metres."""
        return true_joints(self.body, batch)

    def completed(self, output: FitterOutput, batch: Batch, truth: Tensor) -> FitterOutput:
        """The answers for the first rows of a batch, and after them those for people whose map is not shown."""
        shown = len(output.betas)
        if shown == len(batch["betas"]):
            return output
        return FitterOutput(*(torch.cat(pair) for pair in zip(output, self.lifted(batch, truth, shown))))

    def lifted(self, batch: Batch, truth: Tensor, shown: int) -> FitterOutput:
        """The people whose map is not shown, from their joints and keypoints with a finder's errors."""
        camera = Camera(batch["focal"][shown:], batch["center"][shown:])
        places = in_crop(camera.project(losses.in_front(truth[shown:])))
        keypoints = noisy_keypoints(in_crop(batch["keypoints"][shown:]))
        return processes.by_rows(self.network.lift)(Findings(*noisy_joints(places), keypoints))[0]

    def residuals(self, output: FitterOutput, batch: Batch, truth: Tensor) -> dict[str, Tensor]:
        """The weighted losses of an estimate."""
        residuals = body_residuals(self.body, output, batch, truth)
        return {name: getattr(self.weights, name) * value.mean() for name, value in residuals.items()}

    def map_residuals(self, maps: JointMaps, batch: Batch, truth: Tensor) -> dict[str, Tensor]:
        """The weighted losses of the joint maps."""
        pixels = in_pixels(self.true_places(batch, truth, len(maps.places)))
        entropy = losses.heatmap_cross_entropy(maps.logits, pixels, JOINT_STRIDE, JOINT_SIGMA)
        return {"maps": self.weights.maps * entropy.mean()} | self.place_residuals(maps.places, batch, truth)

    def place_residuals(self, places: Tensor, batch: Batch, truth: Tensor) -> dict[str, Tensor]:
        """The weighted loss of the joints' places in the crop, of the first rows of a batch."""
        true = self.true_places(batch, truth, len(places))
        return {"places": self.weights.places * losses.latent(places, true).mean()}

    @staticmethod
    def true_places(batch: Batch, truth: Tensor, count: int) -> Float[Tensor, "n 24 2"]:
        """Where the joints of the first rows are to be found: those outside the crop at the rim next to them."""
        camera = Camera(batch["focal"][:count], batch["center"][:count])
        return in_crop(camera.project(losses.in_front(truth[:count]))).clamp(-1, 1)

    @torch.no_grad()
    def proxy(self, batch: Batch) -> FitterInput:
        """What is shown: predicted maps as they are, true ones spoilt if the task spoils them."""
        parts = batch["parts"]
        if self.corruption is not None:
            true = (~batch["predicted"]).nonzero()[:, 0]
            parts = parts.index_copy(0, true, corrupt(parts[true], self.corruption))
        keypoints = in_crop(batch["seen_keypoints"]) * batch["predicted"][:, None, None]
        return FitterInput(parts.contiguous(memory_format=torch.channels_last), keypoints)


def fitter_validation(
    data: PeopleConfig, task: FitterTask, device: torch.device
) -> Callable[[Fitter], dict[str, float]]:
    """Scores of two kinds of people: `true_...` by their true part maps, `rgb_...` through the segmenter."""
    clean = FitterTask(task.network, task.body, task.weights)
    batches = {"true": held_out_batches(data, False, device), "rgb": held_out_batches(data, True, device)}

    def validate(average: Fitter) -> dict[str, float]:
        return {
            f"{kind}_{name}": value
            for kind, some in batches.items()
            for name, value in validate_fitter(average, some, clean).items()
        }

    return validate


def validate_fitter(network: Fitter, batches: Sequence[Batch], task: FitterTask) -> dict[str, float]:
    """Scores of `validate_bodies`. Proxies are made as in training: give a `task` without corruption."""
    return validate_bodies(lambda batch: network(task.proxy(batch))[0], batches, task.body)


@dataclass(frozen=True)
class LifterConfig:
    """Train the second half of a fitter: the perceptron that lifts what the convolutions find.

    They read each map, its mirror image and how both might look elsewhere in a picture before training starts, which
    the folder of the run remembers; a step then costs a thirtieth of one that trains them.
    """

    loop: LoopConfig = field(default_factory=lambda: LoopConfig("lifter"))
    data: PeopleConfig = field(default_factory=lambda: PeopleConfig(batch=512, skeletons=512))
    weights: FitterWeights = field(default_factory=lambda: FitterWeights(places=5.0))
    corruption: CorruptionConfig = field(default_factory=CorruptionConfig)
    hidden: float = 0.25
    """Share of the numbers of what a map says that a step hides (dropout): few maps are soon known by heart."""
    misled: float = 0.2
    """Share of the people with keypoints of whom a step shows nothing of the map but wrong places of joints, a third of
    them with left and right exchanged: maps fail on poses that the keypoints get right."""
    blend: float = 0.5
    """Share of what was learnt in the weights that are kept; the rest are those of the start."""
    read: int = 40_960
    """People of each kind whose maps are read, at most."""
    looks: int = 2
    """Times that a segmenter's maps are read: as they are, then moved at random. True ones are cheaper drawn anew."""
    start: Path | None = None
    """Weights of the fitter; the bundled ones if not given."""


def train_lifter(config: LifterConfig) -> Fitter:
    """Returns the averaged network. Raises ModelFileError, DataError for missing files."""
    device = torch.device(config.loop.device)
    torch.manual_seed(config.loop.seed)
    body = load_body("anny24", "small").to(device)
    network = load_kind(config.start or "fitter", Fitter).to(device)
    task = FitterTask(network, body, config.weights, config.corruption)
    source = findings_source(config, task, device)
    validate = fitter_validation(config.data, task, device)
    return train_blended(LifterTask(task, config.hidden, config.misled), source, config.loop, validate, config.blend)


class LifterTask:
    """The fitter's losses of bodies and places, from findings instead of maps."""

    def __init__(self, fitter: FitterTask, hidden: float, misled: float = 0.0) -> None:
        self.fitter, self.hidden, self.misled = fitter, hidden, misled

    @property
    def network(self) -> Fitter:
        """The whole fitter, of which the lifter learns."""
        return self.fitter.network

    def losses(self, network: Callable, batch: Batch) -> dict[str, Tensor]:
        """Weighted; the first rows of a batch have findings, the others are skeletons."""
        truth = self.fitter.truth(batch)
        findings = Findings(*(batch[found(name)] for name in Findings._fields))
        of_map = {name: F.dropout(batch[found(name)], self.hidden) for name in ("moments", "gathered", "context")}
        lift = processes.by_rows(self.network.lift)
        output, places = lift(self.mislead(findings._replace(**of_map), batch, truth))
        output = self.fitter.completed(output, batch, truth)
        with torch.autocast(output.betas.device.type, enabled=False):  # millimetres need float32
            return self.fitter.residuals(output, batch, truth) | self.fitter.place_residuals(places, batch, truth)

    @torch.no_grad()
    def mislead(self, findings: Findings, batch: Batch, truth: Tensor) -> Findings:
        """Findings, for some of those who have keypoints without what the map says, but for wrong places of joints."""
        count, device = len(findings.places), findings.places.device
        rows = (torch.rand(count, device=device) < self.misled) & (findings.keypoints[..., 2] > 0).any(1)
        places, spreads = noisy_joints(self.fitter.true_places(batch, truth, count))
        exchanged = (torch.rand(count, device=device) < 1 / 3)[:, None, None]
        places = torch.where(exchanged, places[:, list(MIRROR_SMPL24)], places)
        of_map = {name: getattr(findings, name) * ~rows[:, None] for name in ("moments", "gathered", "context")}
        return findings._replace(
            places=torch.where(rows[:, None, None], places, findings.places),
            spreads=torch.where(rows[:, None], spreads, findings.spreads),
            **of_map,
        )


def findings_source(config: LifterConfig, task: FitterTask, device: torch.device) -> Source:
    """Endless batches of findings and skeletons, each from a seed of its own: the run's seed and the step."""
    people = load_groups(config.data.people)
    groups: list[tuple[Batch, int]] = []
    for share in shares(config.data, set(people)):
        some = people[share.kind]
        if share.seen is not None:
            kept = config.loop.folder / f"{share.kind}_{'seen' if share.seen else 'true'}.npz"
            some = {name: value[: config.read] for name, value in some.items()}
            some = read_once(kept, task, some, share.seen, config.looks if share.seen else 1, device)
        logger.info("%s: %d to learn from", share, len(some["betas"]))
        groups.append(({name: value for name, value in some.items() if name in LEARNT}, share.count))

    def source(step: int) -> Iterator[Batch]:
        while True:
            generator = Generator().manual_seed(mixed_seed(config.loop.seed, step))
            batch = _joined([_pick(some, count, generator) for some, count in groups])
            yield {name: value.to(device).float() for name, value in batch.items()}
            step += 1

    return source


def found(name: str) -> str:
    """The name in a batch of a field of `Findings`; bodies have labels called keypoints as well."""
    return f"found_{name}"


LEARNT = (*BODY_LABELS, *map(found, Findings._fields))


def read_once(kept: Path, task: FitterTask, people: Batch, seen: bool, looks: int, device: torch.device) -> Batch:
    """`read`, or what an earlier call has left in the file `kept`, if that was of the same people."""
    if kept.is_file():
        findings, betas = load_packs([kept]), people["betas"]
        if len(findings["betas"]) == 2 * looks * len(betas) and torch.equal(findings["betas"][:CHUNK], betas[:CHUNK]):
            return findings
    findings = read(task, people, seen, looks, device)
    save_pack(findings, kept)
    return findings


@torch.no_grad()
def read(task: FitterTask, people: Batch, seen: bool, looks: int, device: torch.device) -> Batch:
    """What a fitter finds in the maps of people and in their mirror images, as float16, with the bodies' labels.

    The first look is at the maps as they are, further ones at maps that are moved at random. True maps are spoilt as
    the task spoils them.
    """
    fitter = for_inference(task.network)
    generator = Generator().manual_seed(mixed_seed("looks", seen))
    batches = []
    for rows in torch.arange(len(people["betas"])).split(CHUNK):
        for look, mirrored in product(range(looks), (False, True)):
            batch = mirror_people(rows_of(people, rows, seen), torch.full((len(rows),), mirrored))
            batch = {name: value.to(device) for name, value in batch.items()}
            batch |= {"parts": expand(batch["parts"])}
            if look:
                batch = move_people(batch, random_moves(len(rows), generator).to(device), task.body)
            findings, _ = fitter.find(task.proxy(batch))
            values = {found(name): value.half().cpu() for name, value in findings._asdict().items()}
            batches.append(values | {name: batch[name].cpu() for name in BODY_LABELS})
    return concatenate(batches)


def _pick(people: Batch, count: int, generator: Generator) -> Batch:
    """Random rows; skeletons, which nobody has read both ways, are mirrored by chance."""
    rows = torch.randint(len(people["betas"]), (count,), generator=generator)
    batch = {name: value[rows] for name, value in people.items()}
    if found("places") in batch:
        return batch
    return mirror_people(batch, torch.rand(count, generator=generator) < 0.5)


def _joined(batches: list[Batch]) -> Batch:
    """One batch of all bodies, with the findings of those that have any, who come first."""
    bodies = concatenate([{name: batch[name] for name in BODY_LABELS} for batch in batches])
    names = [found(name) for name in Findings._fields]
    return bodies | concatenate([{name: batch[name] for name in names} for batch in batches if names[0] in batch])
