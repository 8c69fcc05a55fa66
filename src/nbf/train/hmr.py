"""Training `hmr`: bodies from pictures (Kanazawa et al. 2018)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.model import BodyModel
from nbf.body.pose_prior import PosePrior
from nbf.nets.blocks import for_inference
from nbf.nets.hmr import Hmr
from nbf.nets.mean_body import FitterOutput
from nbf.nets.segmenter import Segmenter
from nbf.nets.weights import load_kind
from nbf.proxy.shown import PictureFeatures
from nbf.train.batch import Batch
from nbf.train.body_task import BodyTask, BodyWeights
from nbf.train.config import LoopConfig
from nbf.train.pictures import PicturesConfig, proxy_of, small_body, train_baseline


@dataclass(frozen=True)
class HmrWeights(BodyWeights):
    """Weights of the losses."""

    prior: float = 3e-4
    """How unlikely the pose is, nats: in place of HMR's adversary, which learns from poses what poses are like."""


@dataclass(frozen=True)
class HmrConfig:
    """Train hmr on packs of people with their pictures; the trunk that looks at these is a segmenter's, as it is."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig("hmr", steps=3000, rate=1e-3))
    data: PicturesConfig = field(default_factory=PicturesConfig)
    weights: HmrWeights = field(default_factory=HmrWeights)
    segmenter: Path | None = None
    """Whose trunk; the bundled one's if not given."""


def train_hmr(config: HmrConfig) -> Hmr:
    """Returns the averaged network. Raises ModelFileError, DataError for missing files."""
    torch.manual_seed(config.loop.seed)
    body = small_body(config.loop.device)
    trunk = for_inference(load_kind(config.segmenter or "segmenter", Segmenter).trunk).to(config.loop.device)
    look = PictureFeatures(trunk, config.loop.device)

    def show(batch: Batch) -> tuple[Tensor, ...]:
        return look(proxy_of(batch))

    task = HmrTask(Hmr(body.shape_count), show, body, config.weights)
    return train_baseline(task, config.data, config.loop, show)


class HmrTask(BodyTask[Hmr]):
    """A body's losses, and how unlikely its pose is."""

    def __init__(
        self, network: Hmr, show: Callable[[Batch], tuple[Tensor, ...]], body: BodyModel, weights: HmrWeights
    ) -> None:
        super().__init__(network, show, body, weights)
        self.prior = PosePrior.load()

    def residuals(self, output: FitterOutput, batch: Batch) -> dict[str, Float[Tensor, " b"]]:
        """A body's, and nats."""
        return super().residuals(output, batch) | {"prior": -self.prior.log_density(output.rotations)}
