"""How fast people are drawn and networks are trained, and where the time of a step goes.

    python benchmarks/training.py [--device cpu|cuda] [--threads 2] [--batch 64] [--rounds 5] [--cache runs/cache]

The first table is the sampler alone: `skeletons` are bodies without a map, `bare` labels of naked people, `labels`
those of dressed ones, `pictures` come with their labels. The second is a training step of each network on freshly drawn
people, by stage; the lifter's were drawn and read before, as in its training. Everything is the median of the rounds.
Without the packs of tools/pack_training.py people wear painted clothes, which is quicker to draw.
"""

import argparse
import statistics
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch

from nbf.body.files import load_body
from nbf.nets.blocks import multiplies_bfloat16
from nbf.nets.fitter import Fitter
from nbf.nets.segmenter import Segmenter
from nbf.synth.sampler import Sampler
from nbf.train.batch import Batch
from nbf.train.config import LoopConfig
from nbf.train.corrupt import CorruptionConfig
from nbf.train.fitter import FitterTask, FitterWeights, LifterTask, read
from nbf.train.log import Stopwatch
from nbf.train.loop import Task, make_optimizer
from nbf.train.packs import compress
from nbf.train.segmenter import SegmenterTask, SegmenterWeights

STAGES = ("draw", "forward", "backward", "optimiser")
Draw = Callable[[int], Batch]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = torch.device(given.device)
    watch = Stopwatch(device)
    sampler = Sampler.load(given.cache, "train", device=device)
    print(f"{device}, {given.threads} threads, batches of {given.batch}, median of {given.rounds}\n")

    draws: dict[str, Draw] = {
        "skeletons": sampler.sample_skeletons,
        "bare": sampler.sample_bare,
        "labels": lambda count: sampler.sample(count, picture=False),
        "pictures": sampler.sample,
    }
    print(f"{'sampler':<12}{'ms a sample':>13}{'samples a s':>13}")
    for name, draw in draws.items():
        (seconds,) = medians(lambda draw=draw: stretches(watch, lambda: draw(given.batch)), given.rounds)
        print(f"{name:<12}{1000 * seconds / given.batch:>13.2f}{given.batch / seconds:>13.0f}")

    body = load_body("anny24", "small").to(device)
    fitter = FitterTask(Fitter(body.shape_count).to(device), body, FitterWeights(), CorruptionConfig())
    segmenter = SegmenterTask(Segmenter().to(device), SegmenterWeights(), device)
    bare = {name: value.cpu() for name, value in draws["bare"](given.batch).items()}
    findings = read(fitter, bare | {"parts": compress(bare["parts"], 1)}, seen=False, looks=1, device=device)
    steps: dict[str, tuple[Task, Draw]] = {
        "segmenter": (segmenter, draws["pictures"]),
        "fitter": (fitter, lambda count: unseen(draws["labels"](count))),
        "fitter, bare": (fitter, lambda count: unseen(draws["bare"](count))),
        "lifter": (LifterTask(fitter, 0.25), lambda count: shown(findings, count, device)),
    }
    header = "".join(f"{stage:>11}" for stage in STAGES)
    print(f"\n{'ms a sample':<14}{header}{'steps a s':>11}{'drawing':>10}")
    for name, (task, draw) in steps.items():
        seconds = medians(step_timer(task, draw, given.batch, watch), given.rounds)
        times = "".join(f"{1000 * each / given.batch:>11.2f}" for each in seconds)
        print(f"{name:<14}{times}{1 / sum(seconds):>11.2f}{seconds[0] / sum(seconds):>10.0%}")


def unseen(batch: Batch) -> Batch:
    """A fitter's batch of true part maps: nobody was seen through the segmenter."""
    nobody = torch.zeros(len(batch["parts"]), dtype=torch.bool, device=batch["parts"].device)
    return batch | {"predicted": nobody, "seen_keypoints": batch["keypoints"]}


def shown(findings: Batch, count: int, device: torch.device) -> Batch:
    """A lifter's batch: random rows of what was read."""
    rows = torch.randint(len(findings["betas"]), (count,))
    return {name: value[rows].to(device).float() for name, value in findings.items()}


def step_timer(task: Task, draw: Draw, count: int, watch: Stopwatch) -> Callable[[], list[float]]:
    """Seconds of the stages of one step, as `nbf.train.loop` takes it."""
    config = LoopConfig("benchmark")
    network = task.network.train().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = make_optimizer(network, config)
    held: dict[str, torch.Tensor] = {}
    drawn: Batch = {}

    def forward() -> None:
        halved = config.bf16 and multiplies_bfloat16(watch.device)
        with torch.autocast(watch.device.type, torch.bfloat16, enabled=halved):
            held["loss"] = torch.stack(list(task.losses(network, drawn).values())).sum()

    def optimise() -> None:
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return lambda: stretches(
        watch, lambda: drawn.update(draw(count)), forward, lambda: held.pop("loss").backward(), optimise
    )


def stretches(watch: Stopwatch, *stages: Callable[[], object]) -> list[float]:
    """Seconds of each stage."""
    marks = [watch.now()]
    for stage in stages:
        stage()
        marks.append(watch.now())
    return [end - begin for begin, end in pairwise(marks)]


def medians(task: Callable[[], list[float]], rounds: int) -> list[float]:
    """Of each of the seconds that a task returns, after one round to warm up."""
    task()
    return [statistics.median(each) for each in zip(*(task() for _ in range(rounds)))]


if __name__ == "__main__":
    main()
