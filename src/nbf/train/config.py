"""What trainings share: how long, how fast, where to, and what data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class LoopConfig:
    """The training loop."""

    name: str
    """Name of the run; everything is written to RUNS/NAME. If that holds a checkpoint.pt the run goes on from there; a
    finished schedule is followed by a new one."""
    steps: int = 20_000
    """Length of the schedule in steps; ignored when `minutes` is given."""
    minutes: float | None = None
    """Length of the schedule in wall-clock minutes: the learning rate reaches zero when they are over."""
    stop_after: float | None = None
    """Leave after this many minutes with a checkpoint, the schedule unfinished; run again to go on."""
    rate: float = 2e-3
    """Peak learning rate."""
    trunk_rate: float = 0.5
    """Factor on the learning rate of a pretrained trunk."""
    joints_rate: float = 0.1
    """Factor on the learning rate of MoveNet's joints, which have seen more people than a training here shows."""
    frozen: tuple[str, ...] = ()
    """Beginnings of the names of weights that do not learn, such as `trunk.stem`: the first layers, at full size, cost
    most of a step and know what pictures are made of already."""
    curve: Literal["cosine", "linear"] = "cosine"
    """How the learning rate falls to zero: along half a cosine, or a line (polynomial decay of power 1)."""
    warmup: int = 300
    """Steps of linear warm-up."""
    decay: float = 0.02
    """Weight decay (on matrices only)."""
    clip: float = 1.0
    """Largest gradient norm."""
    average: float = 0.999
    """Decay of the moving average of weights, which is what is validated and saved."""
    seed: int = 0
    """Seed of weights, batches and corruptions."""
    device: str = "cpu"
    """cpu, cuda or cuda:N; of several processes on a machine, each has the GPU of its number (`cuda`)."""
    bf16: bool = True
    """Compute in bfloat16 where it is safe (weights stay float32)."""
    log_every: int = 50
    """Steps between log lines."""
    save_minutes: float = 3.0
    """Minutes between checkpoints."""
    validate_minutes: float = 3.0
    """Minutes between validations."""
    runs: Path = Path("runs")
    """Folder of all runs."""

    @property
    def folder(self) -> Path:
        return self.runs / self.name


@dataclass(frozen=True)
class DataConfig:
    """What a network that looks at pictures is trained on."""

    batch: int = 64
    """Samples per step, of all processes together."""
    real: float = 0.35
    """Share of real photos among them, if the pack of real photos is there."""
    reuse: int = 1
    """How often a sample is used on average. Above 1 saves drawing time; a resumed run then repeats only roughly."""
    cache: Path = Path("runs/cache")
    """Folder with the packs of tools/pack_training.py."""
    validation: int = 256
    """Samples of the test split that are measured now and then."""
