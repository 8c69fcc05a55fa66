"""Train the three bundled networks, in rounds that fit a lent machine.

    python tools/train_release.py --device cuda                  # all rounds, 22 minutes on one H100
    python tools/train_release.py --device cuda --rounds 2 3     # go on from what round 1 left in runs/release

Round 1 trains all three side by side, the fitter on true part maps alone. Round 2 goes on with the segmenter, and the
fitter sees its predictions, on synthetic people and on real photos. Round 3 finishes the fitter on the finished
segmenter. Needs the packs of tools/pack_training.py in runs/cache; starts from ImageNet weights.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

RELEASE = Path("runs/release")
"""Where the weights of the last round that trained a network lie, and the logs."""
PHOTOS = ["--data.predicted", "0.45", "--data.real", "0.12", "--segmenter", str(RELEASE / "segmenter.safetensors")]
FITTER = ["--data.batch", "256", "--data.reuse", "4"]
SEGMENTER = ["--data.batch", "128", "--data.reuse", "2"]
LOCATOR = ["--data.batch", "64", "--data.reuse", "2"]
ROUNDS: dict[int, dict[str, tuple[float, list[str]]]] = {
    1: {"segmenter": (2e-3, SEGMENTER), "fitter": (1e-3, FITTER), "locator": (2e-3, LOCATOR)},
    2: {"segmenter": (1.5e-3, SEGMENTER), "fitter": (1e-3, [*FITTER, *PHOTOS])},
    3: {"fitter": (1e-3, [*FITTER, *PHOTOS])},
}
"""For each round and network the peak learning rate and the options of `nbf train`."""


@dataclass(frozen=True)
class Release:
    """Train the bundled networks."""

    device: str = "cpu"
    """cpu or cuda."""
    minutes: tuple[float, float, float] = (8.0, 9.0, 5.0)
    """Wall-clock minutes of each round."""
    rounds: tuple[int, ...] = (1, 2, 3)
    """Which rounds to run; later ones go on from the weights that earlier ones left."""
    seed: int = 0
    """Seed of weights and samples."""


def command(config: Release, number: int, name: str) -> list[str]:
    """The command that trains one network in one round."""
    rate, options = ROUNDS[number][name]
    loop = {
        "name": f"{name}_{number}",
        "device": config.device,
        "minutes": config.minutes[number - 1],
        "rate": rate,
        "seed": config.seed + number - 1,
        "log-every": 100,
        "validate-minutes": 10.0,
    }
    words = [word for key, value in loop.items() for word in (f"--loop.{key}", str(value))]
    earlier = RELEASE / f"{name}.safetensors"
    start = ["--start", str(earlier)] if earlier.is_file() else []
    code = "import sys; from nbf.cli import main; sys.exit(main())"
    return [sys.executable, "-c", code, "train", name, *words, *options, *start]


def run_round(config: Release, number: int) -> None:
    """Train the networks of one round side by side; raises SystemExit if one of them fails."""
    RELEASE.mkdir(parents=True, exist_ok=True)
    running = {}
    for name in ROUNDS[number]:
        with (RELEASE / f"{name}_{number}.log").open("w") as log:
            running[name] = subprocess.Popen(command(config, number, name), stdout=log, stderr=subprocess.STDOUT)
    failed = [name for name, process in running.items() if process.wait() != 0]
    for name in running:
        print(f"--- {name}, round {number}", (RELEASE / f"{name}_{number}.log").read_text()[-3000:], sep="\n")
    if failed:
        raise SystemExit(f"round {number}: {', '.join(failed)} failed; the logs are in {RELEASE}")
    for name in running:
        for suffix in (".safetensors", ".json"):
            shutil.copy(Path("runs") / f"{name}_{number}" / f"weights{suffix}", RELEASE / f"{name}{suffix}")


if __name__ == "__main__":
    release = tyro.cli(Release, description=__doc__)
    for each in release.rounds:
        run_round(release, each)
