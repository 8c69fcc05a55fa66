"""The training loop, the same for every network, on CPU and GPU, in one process or in several.

Read `train` from top to bottom: the rest is what its lines call, optimizer, schedule, average, checkpoint and record.
"""

import dataclasses
import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nbf import processes
from nbf.errors import ModelFileError
from nbf.files import replacing
from nbf.nets.blocks import multiplies_bfloat16
from nbf.nets.weights import Network, save_network
from nbf.train.batch import Batch, Source
from nbf.train.config import LoopConfig
from nbf.train.log import Log, Stopwatch

logger = logging.getLogger(__name__)

Tensors = list[Tensor] | tuple[Tensor, ...]
NetworkT = TypeVar("NetworkT", bound=Network, covariant=True)


@runtime_checkable
class Task(Protocol[NetworkT]):
    """What is trained: a network and its losses."""

    @property
    def network(self) -> NetworkT: ...

    def losses(self, network: Callable, batch: Batch) -> dict[str, Tensor]:
        """Named scalars, already weighted; the loop minimises their sum. `network` is the task's, `by_rows`."""
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

    Several processes (`nbf.processes`) end with the same weights, as one would have; one of them validates and writes.

    Raises:
        ModelFileError: the checkpoint is damaged or of another network, or processes start from different weights.
    """
    device = torch.device(config.device)
    torch.manual_seed(config.seed)
    torch.backends.cudnn.benchmark = True
    network = task.network.to(device)
    network.to(memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not name.startswith(config.frozen))
    optimizer = make_optimizer(network, config)
    average = averaged(network, config.average)
    mean = cast(NetworkT, average.module)
    clock = processes.Clock(time.monotonic)
    schedule = Schedule(config, clock)
    step = 0
    checkpoint = config.folder / "checkpoint.pt"
    if checkpoint.is_file():
        state = load_checkpoint(checkpoint, device)
        try:
            network.load_state_dict(state["network"])
            optimizer.load_state_dict(state["optimizer"])
            mean.load_state_dict(state["average"]["network"])
            average.n_averaged.fill_(state["average"]["updates"])
            schedule.load_state_dict(state["schedule"])
            step = state["step"]
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise ModelFileError(
                f"{checkpoint}: a checkpoint of another network ({error}). Delete it to start the run anew."
            ) from error
        logger.info("resumed %s at step %d, %.0f %% of its schedule", config.name, step, 100 * schedule.progress)

    sums = torch.stack([value.double().sum() for value in network.state_dict().values()])
    if not processes.alike(torch.cat([sums, sums.new_tensor([step])])):
        raise ModelFileError(
            f"{config.folder}: expected the same weights in all processes, got different ones; give all of them the "
            "same files, and one folder of runs"
        )

    log, stopwatch = Log(config.folder), Stopwatch(device)
    saved = validated = schedule.seconds
    losses: dict[str, float] = {}
    metrics: dict[str, float] = {}
    batches = source(step)

    def judge() -> None:
        nonlocal metrics
        if validate is not None and processes.leads():
            metrics = validate(mean)
            log.write({"step": step, "validation": metrics})

    def keep() -> None:
        if not processes.leads():
            return
        kept = {"network": network, "optimizer": optimizer, "schedule": schedule}
        state = {name: part.state_dict() for name, part in kept.items()}
        state["average"] = {"network": mean.state_dict(), "updates": int(average.n_averaged)}
        save_checkpoint(checkpoint, state | {"step": step})
        save_network(mean, config.folder / "weights", training_record(config, schedule, step, losses, metrics))

    while not schedule.finished and not schedule.out_of_time:
        timed = (step + 1) % config.log_every == 0
        begin = stopwatch.now() if timed else 0.0
        batch = next(batches)
        drawn = stopwatch.now() if timed else 0.0

        rate = schedule.rate()
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bf16 and multiplies_bfloat16(device)):
            parts = task.losses(processes.by_rows(network), batch)
        torch.stack(list(parts.values())).sum().backward()
        processes.average_gradients(network.parameters())
        nn.utils.clip_grad_norm_(network.parameters(), config.clip)
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.grad.nan_to_num_(0.0, 0.0, 0.0)  # one bad batch must not end a run; the log shows it
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average.update_parameters(network)
        step += 1
        schedule.phase_step += 1
        clock.look()

        log.add(parts, samples=len(next(iter(batch.values()))))
        if timed:
            share = (drawn - begin) / max(stopwatch.now() - begin, 1e-9)
            losses = log.write_losses(step, schedule.progress, rate, share)
        if schedule.seconds - validated > 60 * config.validate_minutes:
            judge()
            clock.look()
            validated = schedule.seconds
        if schedule.seconds - saved > 60 * config.save_minutes:
            keep()
            saved = schedule.seconds

    judge()
    keep()
    processes.wait()  # until what was kept can be read
    return mean


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


def averaged(network: Network, decay: float) -> AveragedModel:
    """The exponential moving average of a network's weights and statistics; its `module` is in eval mode, ready to use.

    The decay starts low, as (1 + n) / (10 + n), so that a short run is not averaged with its beginning
    (TensorFlow's ExponentialMovingAverage, `num_updates`).
    """

    def move(averages: Tensors, currents: Tensors, _: Tensor | int) -> None:
        count = int(average.n_averaged)  # on the CPU: the count that is handed over would have to be waited for
        get_ema_multi_avg_fn(min(decay, (1 + count) / (10 + count)))(averages, currents, count)

    average = AveragedModel(network, multi_avg_fn=move, use_buffers=True)
    return average.eval().requires_grad_(False)


class Schedule:
    """Linear warm-up, then a half cosine (Loshchilov & Hutter 2017, "SGDR") or a line to zero, over steps or minutes.

    Time is counted while the process trains: a run that was cut off goes on where it was, not where the clock is.
    """

    def __init__(self, config: LoopConfig, clock=time.monotonic) -> None:
        self.config = config
        self.clock = clock
        self.begun = clock()
        self.phase_step = 0
        self.earlier_seconds = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of this schedule so far, earlier processes included."""
        return self.earlier_seconds + self.clock() - self.begun

    @property
    def progress(self) -> float:
        """From 0 to 1."""
        if self.config.minutes is not None:
            return min(self.seconds / (60.0 * self.config.minutes), 1.0)
        return min(self.phase_step / self.config.steps, 1.0)

    @property
    def finished(self) -> bool:
        return self.progress >= 1.0

    @property
    def out_of_time(self) -> bool:
        """Whether `stop_after` is over although the schedule is not."""
        limit = self.config.stop_after
        return limit is not None and self.clock() - self.begun > 60.0 * limit

    def rate(self) -> float:
        """Learning rate of the next step."""
        warm = min((self.phase_step + 1) / max(self.config.warmup, 1), 1.0)
        left = 1.0 - self.progress
        if self.config.curve == "cosine":
            left = 0.5 * (1.0 - math.cos(math.pi * left))
        return self.config.rate * warm * left

    def state_dict(self) -> dict:
        return {"phase_step": self.phase_step, "seconds": self.seconds, "finished": self.finished}

    def load_state_dict(self, state: dict) -> None:
        """Go on with an unfinished schedule; after a finished one stay at the start of a new one."""
        if not state["finished"]:
            self.phase_step, self.earlier_seconds = state["phase_step"], state["seconds"]


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically, with the state of the random generators."""
    generators = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        generators["cuda"] = torch.cuda.get_rng_state()
    with replacing(path) as draft:
        torch.save({**state, "generators": generators}, draft)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint and restore the random generators. Raises ModelFileError if the file is damaged."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        missing = {"network", "optimizer", "average", "schedule", "step", "generators"} - state.keys()
        if missing:
            raise ValueError(f"it is without {', '.join(sorted(missing))}")
        torch.set_rng_state(state["generators"]["cpu"].cpu())
    except Exception as error:  # torch.load raises half a dozen kinds for damaged files
        raise ModelFileError(
            f"{path}: not a readable checkpoint ({error}). Delete it to start the run anew."
        ) from error
    if "cuda" in state["generators"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["generators"]["cuda"].cpu())
    return state


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
