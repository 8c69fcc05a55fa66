"""Training `pavlakos`: pose from joints, shape from silhouettes (Pavlakos et al. 2018)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from nbf.nets.pavlakos import Pavlakos
from nbf.proxy.shown import joints_and_silhouette
from nbf.train.batch import Batch
from nbf.train.body_task import BodyTask, BodyWeights
from nbf.train.config import LoopConfig
from nbf.train.corrupt import CorruptionConfig
from nbf.train.pictures import PicturesConfig, proxy_of, small_body, spoilt, train_baseline


@dataclass(frozen=True)
class PavlakosConfig:
    """Train pavlakos on packs of people, whose true joints and silhouettes are made as wrong as a segmenter's."""

    loop: LoopConfig = field(default_factory=lambda: LoopConfig("pavlakos", steps=3000, rate=1e-3))
    data: PicturesConfig = field(default_factory=PicturesConfig)
    weights: BodyWeights = field(default_factory=BodyWeights)
    corruption: CorruptionConfig = field(default_factory=CorruptionConfig)


def train_pavlakos(config: PavlakosConfig) -> Pavlakos:
    """Returns the averaged network. Raises DataError for missing files."""
    torch.manual_seed(config.loop.seed)
    body = small_body(config.loop.device)

    def show(batch: Batch) -> tuple[Tensor, ...]:
        return joints_and_silhouette(spoilt(proxy_of(batch), config.corruption))

    task = BodyTask(Pavlakos(body.shape_count), show, body, config.weights)
    return train_baseline(task, config.data, config.loop, lambda batch: joints_and_silhouette(proxy_of(batch)))
