"""Training the fitter's second half alone, on what its first half finds in part maps once and for all."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from nbf.body.files import load_body
from nbf.body.joints import MIRROR_SMPL24
from nbf.nets.blocks import for_inference
from nbf.nets.fitter import Findings, Fitter
from nbf.nets.weights import load_kind
from nbf.train.augment import move_people, random_moves
from nbf.train.batch import Batch, Source, concatenate, mixed_seed
from nbf.train.blend import train_blended
from nbf.train.config import LoopConfig
from nbf.train.corrupt import CorruptionConfig, noisy_joints
from nbf.train.drawing import BODY_LABELS
from nbf.train.fitter import FitterTask, FitterWeights
from nbf.train.packs import expand, load_packs, save_pack
from nbf.train.people import PeopleConfig, load_groups, mirror_people, rows_of, shares
from nbf.train.recipes import fitter_validation

logger = logging.getLogger(__name__)

# Maps that are read at a time.
CHUNK = 128


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
        output, places = self.network.lift(self.mislead(findings._replace(**of_map), batch, truth))
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
