"""Train the three bundled networks, in rounds that fit a lent machine.

    python tools/train_release.py --device cuda --minutes 9        # all three rounds, 27 minutes
    python tools/train_release.py --device cuda --minutes 9 --rounds 2 3   # go on from the checkpoints in runs/

Round 1 trains the segmenter, the locator and the fitter (on true part maps) side by side; round 2 goes on with the
segmenter and lets the fitter see its predictions, on synthetic people and on real photos; round 3 finishes the fitter
on the finished segmenter. Needs the packs of tools/pack_training.py in runs/cache and starts from ImageNet weights.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

SEGMENTER = Path("runs/segmenter/weights.safetensors")


@dataclass(frozen=True)
class Release:
    """Train the bundled networks."""

    device: str = "cpu"
    """cpu or cuda."""
    minutes: float = 9.0
    """Wall-clock minutes of one round."""
    rounds: tuple[int, ...] = (1, 2, 3)
    """Which rounds to run; later ones go on from the checkpoints of earlier ones."""
    start: Path | None = None
    """Folder with segmenter.safetensors and locator.safetensors to start from instead of the ImageNet package."""
    seed: int = 0
    """Seed of weights and samples."""


def commands(config: Release, number: int) -> dict[str, list[str]]:
    """Arguments of `nbf train` for each network that round `number` trains."""
    seen = ["--segmenter", str(SEGMENTER)] if number > 1 else []
    fitter = [
        *_loop(config, 3, 1e-3),
        "--data.batch",
        "320",
        "--data.reuse",
        "2",
        "--data.predicted",
        "0.5",
        "--data.real",
        "0.15",
        *seen,
    ]
    segmenter = [*_loop(config, 2, 2e-3), "--data.batch", "128", "--data.reuse", "2", *_start(config, "segmenter")]
    locator = [*_loop(config, 1, 2e-3), "--data.batch", "64", "--data.reuse", "2", *_start(config, "locator")]
    return {
        1: {"segmenter": segmenter, "fitter": fitter, "locator": locator},
        2: {"segmenter": segmenter, "fitter": fitter},
        3: {"fitter": fitter},
    }[number]


def _loop(config: Release, rounds: int, rate: float) -> list[str]:
    """A schedule over so many rounds, left with a checkpoint at the end of each."""
    options = {
        "device": config.device,
        "minutes": rounds * config.minutes,
        "stop-after": config.minutes,
        "rate": rate,
        "seed": config.seed,
        "log-every": 100,
    }
    return [word for name, value in options.items() for word in (f"--loop.{name}", str(value))]


def _start(config: Release, name: str) -> list[str]:
    return [] if config.start is None else ["--start", str(config.start / f"{name}.safetensors")]


def run_round(config: Release, number: int) -> None:
    """Train the networks of one round side by side; raises SystemExit if one of them fails."""
    logs = Path("runs/release")
    logs.mkdir(parents=True, exist_ok=True)
    running = {}
    for name, arguments in commands(config, number).items():
        code = "import sys; from nbf.cli import main; sys.exit(main())"
        log = (logs / f"{name}_{number}.log").open("w")
        running[name] = subprocess.Popen(
            [sys.executable, "-c", code, "train", name, *arguments], stdout=log, stderr=subprocess.STDOUT
        )
    failed = [name for name, process in running.items() if process.wait() != 0]
    for name in running:
        tail = (logs / f"{name}_{number}.log").read_text().splitlines()[-15:]
        print(f"--- {name}, round {number}", *tail, sep="\n")
    if failed:
        raise SystemExit(f"round {number}: {', '.join(failed)} failed; see {logs}")


if __name__ == "__main__":
    release = tyro.cli(Release, description=__doc__)
    for each in release.rounds:
        run_round(release, each)
