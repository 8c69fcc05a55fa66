"""The training loop, the same for every network, on CPU and GPU.

Read `train` from top to bottom: it is all there is.
"""

import dataclasses
import json
import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from nbf.nets.blocks import multiplies_bfloat16
from nbf.nets.weights import Network, save_network
from nbf.train.average import Average
from nbf.train.batch import Batch, Source
from nbf.train.checkpoint import load_checkpoint, save_checkpoint
from nbf.train.config import LoopConfig
from nbf.train.log import Log, Stopwatch
from nbf.train.schedule import Schedule

logger = logging.getLogger(__name__)

NetworkT = TypeVar("NetworkT", bound=Network, covariant=True)


@runtime_checkable
class Task(Protocol[NetworkT]):
    """What is trained: a network and its losses."""

    @property
    def network(self) -> NetworkT: ...

    def losses(self, network: Callable, batch: Batch) -> dict[str, Tensor]:
        """Named scalars, already weighted; the loop minimises their sum."""
        ...


def train(
    task: Task[NetworkT],
    source: Source,
    config: LoopConfig,
    validate: Callable[[NetworkT], dict[str, float]] | None = None,
) -> NetworkT:
    """Train a task's network; returns the averaged network in eval mode.

    `validate` is called every few minutes with the averaged network in eval mode; its numbers go into log and record.
    Leaves in RUNS/NAME: `checkpoint.pt`, `log.jsonl`, and `weights.safetensors` + `.json` (the averaged network with
    its training record), the latter rewritten at every validation so that a run that dies still has a result.
    """
    device = torch.device(config.device)
    torch.manual_seed(config.seed)
    torch.backends.cudnn.benchmark = True
    network = task.network.to(device)
    network.to(memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not name.startswith(config.frozen))
    optimizer = make_optimizer(network, config)
    average = Average(network, config.average)
    schedule = Schedule(config)
    step = 0
    checkpoint = config.folder / "checkpoint.pt"
    if config.resume and checkpoint.is_file():
        state = load_checkpoint(checkpoint, device)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        average.load_state_dict(state["average"])
        schedule.load_state_dict(state["schedule"])
        step = state["step"]
        logger.info("resumed %s at step %d, %.0f %% of its schedule", config.name, step, 100 * schedule.progress)

    log, stopwatch = Log(config.folder), Stopwatch(device)
    step_network = torch.compile(network) if config.compile else network
    saved = validated = schedule.seconds
    losses: dict[str, float] = {}
    metrics: dict[str, float] = {}
    batches = source(step)

    def keep() -> None:
        parts = {"network": network, "optimizer": optimizer, "average": average, "schedule": schedule}
        save_checkpoint(checkpoint, {"step": step, **{name: part.state_dict() for name, part in parts.items()}})
        save_network(
            average.network, config.folder / "weights", training_record(config, schedule, step, losses, metrics)
        )

    while not schedule.finished and not schedule.out_of_time:
        timed = (step + 1) % config.log_every == 0
        begin = stopwatch.now() if timed else 0.0
        batch = next(batches)
        drawn = stopwatch.now() if timed else 0.0

        rate = schedule.rate()
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bf16 and multiplies_bfloat16(device)):
            parts = task.losses(step_network, batch)
        torch.stack(list(parts.values())).sum().backward()
        nn.utils.clip_grad_norm_(network.parameters(), config.clip)
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.grad.nan_to_num_(0.0, 0.0, 0.0)  # one bad batch must not end a run; the log shows it
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.update()
        step += 1
        schedule.phase_step += 1

        log.add(parts, samples=len(next(iter(batch.values()))))
        if timed:
            share = (drawn - begin) / max(stopwatch.now() - begin, 1e-9)
            losses = log.write_losses(step, schedule.progress, rate, share)
        if validate is not None and schedule.seconds - validated > 60 * config.validate_minutes:
            metrics = validate(average.network)
            log.write({"step": step, "validation": metrics})
            validated = schedule.seconds
        if schedule.seconds - saved > 60 * config.save_minutes:
            keep()
            saved = schedule.seconds

    if validate is not None:
        metrics = validate(average.network)
        log.write({"step": step, "validation": metrics})
    keep()
    return average.network


def make_optimizer(network: nn.Module, config: LoopConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019); no decay on biases and norms, lower rates for a network's `trunk` and `joints`,
    which start from what others have learnt."""
    factors = {"trunk": config.trunk_rate, "joints": config.joints_rate}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    learning = ((name, each) for name, each in network.named_parameters() if each.requires_grad)
    for name, parameter in learning:
        factor = factors.get(name.split(".")[0], 1.0)
        groups.setdefault((factor, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "factor": factor,
                "weight_decay": config.decay if is_matrix else 0.0,
            }
            for (factor, is_matrix), parameters in groups.items()
        ],
        lr=config.rate,
        fused=True,
    )


def training_record(
    config: LoopConfig, schedule: Schedule, step: int, losses: dict[str, float], metrics: dict[str, float]
) -> dict[str, Any]:
    """What the weight file says about its own training."""
    return {
        "loop": json.loads(json.dumps(dataclasses.asdict(config), default=str)),
        "step": step,
        "progress": round(schedule.progress, 4),
        "minutes_of_last_schedule": round(schedule.seconds / 60, 2),
        "torch": torch.__version__,
        "losses": {name: round(value, 5) for name, value in losses.items()},
        "validation": metrics,
    }
