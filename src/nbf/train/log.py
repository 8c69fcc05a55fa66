"""The training log: one JSON line per event in a file, the same as text to `logging`."""

import json
import logging
import math
import time
from pathlib import Path

import torch
from torch import Tensor

from nbf import processes

logger = logging.getLogger(__name__)


class Log:
    """Means of losses since the last line, speed, and how much of a step the data takes.

    Losses are summed on their device: nothing waits for the GPU until a line is written. Of several processes one
    writes.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "log.jsonl"
        self._restart()

    def _restart(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps = self.samples = 0
        self.since = time.monotonic()

    def add(self, losses: dict[str, Tensor], samples: int) -> None:
        for name, value in losses.items():
            self.sums[name] = self.sums[name] + value.detach() if name in self.sums else value.detach()
        self.steps += 1
        self.samples += samples

    def write_losses(self, step: int, progress: float, rate: float, data_share: float) -> dict[str, float]:
        """Write the means since the last call; returns them. A loss that is not finite stops being hidden here."""
        losses = {name: (value / self.steps).item() for name, value in self.sums.items()}
        speed = self.samples / (time.monotonic() - self.since)
        self.write(
            {
                "step": step,
                "progress": round(progress, 4),
                "loss": round(sum(losses.values()), 5),
                **{name: round(value, 5) for name, value in losses.items()},
                "rate": float(f"{rate:.3g}"),
                "samples_per_second": round(speed, 1),
                "data_share": round(data_share, 3),
            }
        )
        if not math.isfinite(sum(losses.values())):
            logger.warning("step %d: the loss is not finite; such steps do not change the weights", step)
        self._restart()
        return losses

    def write(self, line: dict) -> None:
        if not processes.leads():
            return
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        logger.info("  ".join(f"{name} {value}" for name, value in line.items()))


class Stopwatch:
    """Seconds of stretches of work on a device, waiting for the device at both ends of each stretch."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.monotonic()
