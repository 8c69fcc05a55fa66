"""Weights between those a training starts from and those it ends with."""

import copy
import logging
from collections.abc import Callable

import torch

from nbf.nets.weights import read_card, save_network
from nbf.train.batch import Source
from nbf.train.config import LoopConfig
from nbf.train.loop import NetworkT, Task, train

logger = logging.getLogger(__name__)


def train_blended(
    task: Task[NetworkT],
    source: Source,
    config: LoopConfig,
    validate: Callable[[NetworkT], dict[str, float]],
    share: float,
) -> NetworkT:
    """`nbf.train.loop.train`, of which only `share` of the way from the task's network is kept, in the file as well."""
    start = copy.deepcopy(task.network)
    learnt = train(task, source, config, validate)
    if share == 1:
        return learnt
    blended = blend(start, learnt, share)
    weights = config.folder / "weights.safetensors"
    record = read_card(weights)["record"] | {"blend": share, "validation": validate(blended)}
    logger.info("blended: %s", record["validation"])
    save_network(blended, weights, record)
    return blended


@torch.no_grad()
def blend(start: NetworkT, learnt: NetworkT, share: float) -> NetworkT:
    """Weights between those of a start and those learnt from it, in eval mode.

    They keep more of what the start knew and the later samples do not show, and of two such networks between which the
    loss is low all the way, the middle errs less than either (Wortsman et al. 2022, "Robust fine-tuning of zero-shot
    models").
    """
    blended, ends = copy.deepcopy(start).eval(), (start.state_dict(), learnt.state_dict())
    blended.load_state_dict(
        {
            name: torch.lerp(first, ends[1][name], share) if first.is_floating_point() else first
            for name, first in ends[0].items()
        }
    )
    return blended
