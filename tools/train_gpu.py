"""Train the bundled networks on where a GPU is lent for minutes: the segmenter, then the fitter on what it sees.

    python tools/train_gpu.py --minutes 9          # and once more in the same place, to go on

Starts from the bundled weights; needs what tools/pack_training.py puts into runs/cache. Everything is kept in runs/gpu:
delete that to start anew. When its minutes are over, or it is killed, the next call goes on from the last save. If the
environment variable OUT names a folder, weights and logs are copied there at every save, in files of 16 MiB at most:
`cat segmenter.safetensors.* > segmenter.safetensors` joins the parts of one that was larger.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import tyro
from train_release import nbf

from nbf.files import replacing

CACHE, GPU = Path("runs/cache"), Path("runs/gpu")
PEOPLE, TEST, DRAWN = GPU / "people", GPU / "people_test", GPU / "drawn"
"""Packs of people as the segmenter sees them, and the mark that all of them are drawn."""
SEGMENTER = GPU / "segmenter" / "weights.safetensors"
LARGEST = 16 * 2**20
"""Bytes of a file that comes back from a borrowed machine."""
STARTING, LEAVING = 20.0, 10.0
"""Seconds that a training may need before its first step, and after its last."""
SEGMENTER_RECIPE = (
    *("--loop.rate", "6e-4", "--loop.joints-rate", "0.05", "--loop.warmup", "100", "--loop.average", "0.998"),
    *("--data.reuse", "2", "--data.real", "0.5", "--data.studio", "0.2", "--data.rolled", "0.15"),
    *("--weights.body", "0.5", "--blend", "0.5"),
)
FITTER_RECIPE = (
    *("--loop.rate", "4e-4", "--loop.warmup", "100", "--loop.average", "0.998"),
    *("--data.bare", "0.15", "--data.photos", "0.15", "--data.predicted", "0.65", "--data.skeletons", "256"),
)


@dataclass(frozen=True)
class Config:
    """Train segmenter and fitter on."""

    minutes: float = 9.0
    """From now until everything is saved and this command leaves."""
    segmenter: float = 5.0
    """Minutes of the segmenter's schedule, all calls together, without its preparations."""
    fitter: float = 2.5
    """Minutes of the fitter's."""
    batch: int = 128
    """Crops or part maps in a step; half as many where these are too much for the memory."""
    people: int = 8192
    """Dressed people to draw for the fitter, and in proportion all others."""
    save: float = 0.5
    """Minutes between saves."""
    device: str = "cuda"
    """cuda or cpu."""


def main(config: Config) -> bool:
    """Whether all is done; if not, the next call goes on."""
    until = time.monotonic() + 60 * config.minutes
    done = segmenter(config, until) and draw(config, until) and fitter(config, until)
    print("all is done" if done else f"the {config.minutes:g} minutes are over; run this again to go on")
    return done


def segmenter(config: Config, until: float) -> bool:
    """Train the segmenter; whether its schedule is over."""
    return train(config, "segmenter", config.segmenter, until, *SEGMENTER_RECIPE)


def draw(config: Config, until: float) -> bool:
    """Draw people for the fitter and let the segmenter look at them, all kinds side by side; whether all are drawn."""
    if not DRAWN.is_file() and run(until, draw_commands(config)):
        DRAWN.touch()
    return DRAWN.is_file()


def fitter(config: Config, until: float) -> bool:
    """Train the fitter; whether its schedule is over."""
    packs = ("--data.people", str(PEOPLE), "--data.test", str(TEST))
    return train(config, "fitter", config.fitter, until, *packs, *FITTER_RECIPE)


def draw_commands(config: Config) -> dict[str, list[str]]:
    """The commands that draw each kind of people; of photos only if `nbf fit-photos` has fitted them."""
    n = config.people
    kinds = {
        "dressed": ("--n", n, "--seed", 2, "-o", PEOPLE),
        "studio": ("--n", n // 4, "--seed", 5, "--track", "studio", "-o", PEOPLE),
        "bare": ("--n", 2 * n, "--seed", 1, "--kind", "bare", "-o", PEOPLE / "bare"),
        "skeletons": ("--n", 8 * n, "--seed", 4, "--kind", "skeletons", "-o", PEOPLE / "skeletons"),
        "test": ("--n", 1024, "--seed", 90, "--split", "test", "-o", TEST),
    }
    if (CACHE / "real_fits.npz").is_file():
        kinds["photos"] = ("--n", n // 2, "--seed", 3, "--kind", "photos", "-o", PEOPLE / "photos")
    look = ("--segmenter", SEGMENTER, "--device", config.device)
    return {f"draw_{kind}": nbf("draw", *words, *look) for kind, words in kinds.items()}


def train(config: Config, name: str, minutes: float, until: float, *options: str) -> bool:
    """Train a network on, from its last save or the bundled weights; whether its schedule is over."""
    copy_back(name)
    for batch in (config.batch, config.batch // 2):
        seconds = until - time.monotonic() - STARTING - LEAVING
        if finished(name) or seconds <= 0:
            return finished(name)
        loop = {"runs": GPU, "name": name, "device": config.device, "minutes": minutes, "stop-after": seconds / 60}
        loop |= {"save-minutes": config.save, "validate-minutes": config.save}
        words = [word for key, value in loop.items() for word in (f"--loop.{key}", value)]
        data = ("--data.batch", batch, "--data.validation", 4 * batch)
        command = nbf("train", name, "--start", name, *words, *data, *options)
        try:
            run(until, {name: command}, lambda: copy_back(name))
            return finished(name)
        except MemoryError:
            print(f"{name}: batches of {batch} are too large for the memory of the device")
    raise SystemExit(f"{name}: expected half of a batch of {config.batch} to be small enough; give a smaller --batch")


def finished(name: str) -> bool:
    """Whether the schedule of a training is over."""
    card = GPU / name / "weights.json"
    return card.is_file() and json.loads(card.read_text())["record"]["progress"] == 1


def run(until: float, commands: dict[str, list[str]], waiting: Callable[[], None] = lambda: None) -> bool:
    """Run commands side by side, each with a log of its name, and call `waiting` now and then; whether they were done
    in time, after which they are killed.

    Raises MemoryError if one of them needs more memory than its device has, and SystemExit, with the end of its log, if
    one fails otherwise.
    """
    GPU.mkdir(parents=True, exist_ok=True)
    began, running = time.monotonic(), {}
    try:
        for name, command in commands.items():
            with (GPU / f"{name}.log").open("w") as log:
                running[name] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        while time.monotonic() < until and any(process.poll() is None for process in running.values()):
            time.sleep(0.2)
            waiting()
    finally:
        killed = [name for name, process in running.items() if process.poll() is None]
        for name in killed:
            running[name].kill()
            running[name].wait()
    waiting()
    print(f"{', '.join(commands)}: {time.monotonic() - began:.0f} s", "until killed" if killed else "")
    for name in running.keys() - killed:
        if running[name].returncode:
            text = (GPU / f"{name}.log").read_text()
            if "out of memory" in text:
                raise MemoryError(name)
            raise SystemExit(f"{name} failed:\n{text[-3000:]}")
    return not killed


def copy_back(name: str) -> None:
    """Copy weights and log of a training to where they come back from, if there is such a place and it lacks them."""
    if not os.environ.get("OUT"):
        return
    out, folder = Path(os.environ["OUT"]), GPU / name
    card, copied = folder / "weights.json", out / f"{name}.json"
    if not card.is_file() or (copied.is_file() and copied.read_bytes() == card.read_bytes()):
        return
    weights = (folder / "weights.safetensors").read_bytes()
    parts = [weights[start : start + LARGEST] for start in range(0, len(weights), LARGEST)]
    endings = [f".{number}" for number in range(1, len(parts) + 1)] if len(parts) > 1 else [""]
    with ExitStack() as together:
        # What is entered first appears last: the card, which says that the rest is there.
        shutil.copy(card, together.enter_context(replacing(copied)))
        shutil.copy(folder / "log.jsonl", together.enter_context(replacing(out / f"{name}.jsonl")))
        for part, ending in zip(parts, endings):
            together.enter_context(replacing(out / f"{name}.safetensors{ending}")).write_bytes(part)


if __name__ == "__main__":
    # A request to end must not leave a training behind that goes on writing.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main(tyro.cli(Config, description=__doc__))
