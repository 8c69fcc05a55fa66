"""Train the bundled networks, step by step.

    python tools/train_release.py --device cuda                    # all steps
    python tools/train_release.py --steps draw fitter              # go on from what earlier steps left in runs/release

`vision` trains segmenter and locator side by side, starting from ImageNet's and MoveNet's weights. `draw` draws
people into packs and lets the segmenter look at them; photos take part if `nbf fit-photos` has fitted them. `fitter`
trains on these packs, first mostly on naked people and joints alone, then on dressed people. `lifter` trains its
second half on, on what its first half finds in these packs. `end_to_end` trains the segmenter on, with the losses of
that fitter. `doubt` draws people whom the fitter has not seen and learns how wrong it is about them. Needs the packs
of tools/pack_training.py and the weights of tools/bake_movenet.py in runs/cache.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import tyro

CACHE, RELEASE = Path("runs/cache"), Path("runs/release")
"""What is trained on; where the weights of the last step that trained a network lie, and the logs."""
PEOPLE = CACHE / "people"
Step = Literal["vision", "draw", "fitter", "lifter", "end_to_end", "doubt"]


@dataclass(frozen=True)
class Release:
    """Train the bundled networks."""

    device: str = "cpu"
    """cpu or cuda."""
    steps: tuple[Step, ...] = get_args(Step)
    """Which steps to run; later ones go on from what earlier ones left."""
    vision: float = 17.0
    """Minutes of segmenter and locator (an H100's; a CPU needs a day)."""
    people: int = 60_000
    """Dressed people to draw, and a quarter as many in the studio; five times as many naked ones."""
    fitter: tuple[float, float] = (40.0, 34.0)
    """Minutes of the two trainings of the fitter (a CPU's)."""
    lifter: float = 37.0
    """Minutes of its lifter alone, afterwards (a CPU's)."""
    end_to_end: float = 15.0
    """Minutes of the segmenter with the fitter's losses, afterwards (an H100's; a CPU needs a day)."""
    seed: int = 0
    """Seed of weights and samples."""


def nbf(*words: object) -> list[str]:
    """The command `nbf WORDS`, in this Python."""
    return [sys.executable, "-c", "import sys; from nbf.cli import main; sys.exit(main())", *map(str, words)]


def training(config: Release, name: str, run: str, minutes: float, rate: float, *options: object) -> list[str]:
    """The command that trains a network, from its weights in RELEASE if there are any."""
    loop = {"name": run, "device": config.device, "minutes": minutes, "rate": rate, "seed": config.seed}
    words = [word for key, value in loop.items() for word in (f"--loop.{key}", value)]
    earlier = RELEASE / f"{name}.safetensors"
    start = ["--start", earlier] if earlier.is_file() else []
    return nbf("train", name, *words, *options, *start)


def run(**commands: list[str]) -> None:
    """Run commands side by side, each with a log of its name; raises SystemExit if one of them fails."""
    RELEASE.mkdir(parents=True, exist_ok=True)
    running = {}
    for name, command in commands.items():
        with (RELEASE / f"{name}.log").open("w") as log:
            running[name] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    failed = [name for name, process in running.items() if process.wait() != 0]
    for name in running:
        print(f"--- {name}", (RELEASE / f"{name}.log").read_text()[-2000:], sep="\n")
    if failed:
        raise SystemExit(f"{', '.join(failed)} failed; the logs are in {RELEASE}")


def keep(name: str, run_name: str) -> None:
    """Make a run's weights those of the release."""
    for suffix in (".safetensors", ".json"):
        shutil.copy(Path("runs") / run_name / f"weights{suffix}", RELEASE / f"{name}{suffix}")


def vision(config: Release) -> None:
    """Segmenter and locator."""
    run(
        segmenter=training(
            config, "segmenter", "segmenter", config.vision, 2e-3, "--data.batch", 128, "--data.reuse", 2
        ),
        locator=training(config, "locator", "locator", config.vision / 2, 2e-3, "--data.batch", 64, "--data.reuse", 2),
    )
    keep("segmenter", "segmenter")
    keep("locator", "locator")


def draw(config: Release) -> None:
    """Packs of people for the fitter."""
    look = ["--segmenter", RELEASE / "segmenter.safetensors", "--device", config.device]
    seed = 100 * config.seed
    run(
        dressed=nbf("draw", "--n", config.people, "--seed", seed + 2, *look),
        studio=nbf("draw", "--track", "studio", "--n", config.people // 4, "--seed", seed + 5, *look),
        bare=nbf("draw", "--kind", "bare", "--n", 5 * config.people, "--seed", seed + 1, "-o", PEOPLE / "bare", *look),
    )
    test = nbf("draw", "--split", "test", "--n", 1024, "--seed", seed + 90, "-o", CACHE / "people_test", *look)
    skeletons = nbf("draw", "--kind", "skeletons", "-o", PEOPLE / "skeletons")
    more = {
        "skeletons": [*skeletons, "--n", "200000", "--seed", str(seed + 4)],
        "studio_skeletons": [*skeletons, "--track", "studio", "--n", "100000", "--seed", str(seed + 6)],
    }
    if (CACHE / "real_fits.npz").is_file():
        photos = nbf("draw", "--kind", "photos", "--n", 6144, "--seed", seed + 3, "-o", PEOPLE / "photos")
        more["photos"] = [*photos, "--segmenter", str(RELEASE / "segmenter.safetensors")]
    run(test=test, **more)


def fitter(config: Release) -> None:
    """The fitter, twice."""
    first, second = config.fitter
    bare = ("--data.bare", 0.6, "--loop.warmup", 200)
    run(fitter_1=training(config, "fitter", "fitter_1", first, 1e-3, *bare))
    keep("fitter", "fitter_1")
    seen = ("--data.bare", 0.15, "--data.photos", 0.1, "--data.predicted", 0.65, "--data.skeletons", 256)
    run(fitter_2=training(config, "fitter", "fitter_2", second, 8e-4, *seen, "--loop.warmup", 100))
    keep("fitter", "fitter_2")


def lifter(config: Release) -> None:
    """The fitter's second half, on."""
    shares = ("--data.bare", 0.3, "--data.photos", 0.04, "--data.predicted", 0.55, "--data.skeletons", 256)
    command = training(config, "lifter", "lifter", config.lifter, 8e-4, *shares, "--loop.warmup", 100)
    run(lifter=[*command, "--start", str(RELEASE / "fitter.safetensors")])
    keep("fitter", "lifter")


def end_to_end(config: Release) -> None:
    """The segmenter on, judged by what the fitter makes of its maps; with other batches than before."""
    data = ("--data.batch", 128, "--data.reuse", 2, "--data.real", 0.2, "--data.studio", 0.3, "--data.rolled", 0.15)
    judge = ("--weights.body", 0.5, "--fitter", RELEASE / "fitter.safetensors", "--loop.average", 0.99)
    other = replace(config, seed=config.seed + 1)
    run(end_to_end=training(other, "segmenter", "end_to_end", config.end_to_end, 6e-4, *data, *judge))
    keep("segmenter", "end_to_end")


def doubt(config: Release) -> None:
    """How wrong the fitter is."""
    people = RELEASE / "people"
    look = ["--segmenter", RELEASE / "segmenter.safetensors", "--device", config.device]
    run(drawn=nbf("draw", "--n", 8192, "--seed", 100 * config.seed + 50, "-o", people, *look))
    run(doubt=nbf("train", "doubt", "--people", people, "--fitter", RELEASE / "fitter"))
    keep("doubt", "doubt")


STEPS = {step.__name__: step for step in (vision, draw, fitter, lifter, end_to_end, doubt)}

if __name__ == "__main__":
    release = tyro.cli(Release, description=__doc__)
    for step in release.steps:
        STEPS[step](release)
