"""Training what `selfsup` starts from: a network that knows drawn people alone (Tung et al. 2017)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from nbf.nets.regressor import Regressor
from nbf.proxy.shown import joint_maps_and_silhouette
from nbf.train.batch import Batch
from nbf.train.body_task import BodyTask, BodyWeights
from nbf.train.config import LoopConfig
from nbf.train.corrupt import CorruptionConfig
from nbf.train.pictures import PicturesConfig, proxy_of, small_body, spoilt, train_baseline

CHANNELS = 18
"""Heat maps of COCO-17, and the silhouette."""


@dataclass(frozen=True)
class SelfsupConfig:
    """Train what selfsup starts from on packs of people, whose joints and silhouettes are made as wrong as a
    segmenter's."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig("selfsup", steps=3000, rate=2e-3))
    data: PicturesConfig = field(default_factory=PicturesConfig)
    weights: BodyWeights = field(default_factory=BodyWeights)
    corruption: CorruptionConfig = field(default_factory=CorruptionConfig)


def train_selfsup(config: SelfsupConfig) -> Regressor:
    """Returns the averaged network. Raises DataError for missing files."""
    torch.manual_seed(config.loop.seed)
    body = small_body(config.loop.device)

    def show(batch: Batch) -> tuple[Tensor, ...]:
        return joint_maps_and_silhouette(spoilt(proxy_of(batch), config.corruption))

    task = BodyTask(Regressor(CHANNELS, body.shape_count), show, body, config.weights)
    return train_baseline(task, config.data, config.loop, lambda batch: joint_maps_and_silhouette(proxy_of(batch)))
