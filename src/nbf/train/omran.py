"""Training the paper's own fitter (Omran et al. 2018, section 4.1): ResNet-50 on colour-coded maps of 12 parts."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from nbf.body.files import load_body
from nbf.nets.omran import CameraKind, Omran
from nbf.nets.weights import load_kind
from nbf.proxy.shown import part_colours
from nbf.train.batch import Batch
from nbf.train.body_task import BodyTask, BodyWeights
from nbf.train.config import LoopConfig
from nbf.train.pictures import PicturesConfig, proxy_of, train_baseline


@dataclass(frozen=True)
class OmranConfig:
    """Train the paper's fitter on part maps of drawn people and of data sets, by default as the paper did: Adam without
    weight decay at 4e-5, which falls to zero along a line, and losses that count alike."""

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            "omran", rate=4e-5, warmup=0, decay=0.0, curve="linear", clip=float("inf"), average=0.0
        )
    )
    data: PicturesConfig = field(default_factory=lambda: PicturesConfig(batch=64))
    weights: BodyWeights = field(
        default_factory=lambda: BodyWeights(rotations=1.0, betas=1.0, joints=1.0, projection=1.0, camera=0.0)
    )
    camera: CameraKind = "fixed"
    """The paper's one camera for everybody, or each crop's own, before which the network also says where people are."""
    body: Path | None = None
    """Body model to learn the parameters of: an SMPL file; anny24 if not given."""
    start: Path | None = None
    """Start from this weight file, whose camera, blocks and width then count."""
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    """Residual blocks of each stage; those of ResNet-50."""
    width: int = 64
    """Channels of the first stage."""


def train_omran(config: OmranConfig) -> Omran:
    """Returns the network. Raises DataError or ModelFileError for missing files."""
    torch.manual_seed(config.loop.seed)
    body = (load_body("anny24", "small") if config.body is None else load_body(config.body)).to(config.loop.device)
    if config.start is None:
        network = Omran(body.shape_count, config.camera, config.blocks, config.width)
    else:
        network = load_kind(config.start, Omran)
    weights = config.weights
    if not network.fixed and not weights.camera:
        weights = replace(weights, camera=1.0)

    def show(batch: Batch) -> tuple[Tensor, ...]:
        return part_colours(proxy_of(batch))

    task = BodyTask(network, show, body, weights, "anny24" if config.body is None else "smpl")
    return train_baseline(task, config.data, config.loop, show)
