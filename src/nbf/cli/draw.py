"""Draw synthetic people into packs that `nbf train fitter` learns from; run several for several cores."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from nbf.cli._output import say
from nbf.cli._usage import UsageError, parsed
from nbf.errors import DataError

if TYPE_CHECKING:
    from torch import Generator

    from nbf.train.batch import Batch


@dataclass(frozen=True)
class Arguments:
    """Draw people into packs: dressed ones, whose pictures the segmenter looks at; dressed ones with the pictures
    themselves, for baselines and experiments; dressed or naked ones by their true part maps alone; skeletons without
    any map; or crops of photos as the segmenter sees them: those that `nbf fit-photos` has fitted, (snapshots) all with
    labelled keypoints, or (sets) people of data sets whose bodies are known."""

    kind: Literal["dressed", "pictures", "labels", "bare", "skeletons", "photos", "snapshots", "sets"] = "dressed"
    """All but `dressed` and `pictures` belong in a folder of their own name in that of the dressed ones; `sets` in
    `photos`."""

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="DIR")] = Path("runs/cache/people")
    """Folder of the packs. A pack that is already there is not drawn again."""
    n: int = 20_000
    """How many people."""
    seed: int = 0
    """Which people of this kind, track and split; give every process another one."""
    segmenter: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: bundled)")] = None
    """Weights of the segmenter."""
    cache: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/cache")
    """Folder with the packs of tools/pack_training.py."""
    track: Literal["wild", "studio"] = "wild"
    """Free views, clutter and things in front, or one person in a plain room: the tracks of `nbf evaluate`."""
    split: Literal["train", "test"] = "train"
    """Poses, clothes, skins and backgrounds to train with, or those held out."""
    sets: tuple[str, ...] = ()
    """Data sets, NAME:FOLDER or NAME:FOLDER@SHARE of the people."""
    bodies: tuple[Path, ...] = ()
    """Files of `nbf data bodies`: bodies for the people of these sets."""
    threads: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Processor threads."""
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "cpu"
    """Where people are drawn."""


# People in a pack, and drawn at a time.
PACK, BATCH = 1024, 64


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and draw; 0 when all packs are written."""
    given = parsed(Arguments, "draw", arguments)
    if given.n < PACK:
        raise UsageError(f"--n: expected {PACK} or more, the size of a pack, got {given.n}")
    # Here and not above: help and mistakes should not wait for torch.
    import torch
    from rich.progress import track

    from nbf.train.batch import mixed_seed
    from nbf.train.packs import save_pack

    torch.set_num_threads(given.threads)
    draw, generator = _source(given)
    for index in track(range(given.n // PACK), "drawing", disable=not sys.stderr.isatty()):
        path = given.output / f"{given.seed:03}_{index:04}.npz"
        if path.is_file():
            continue
        generator.manual_seed(mixed_seed(given.kind, given.track, given.split, given.seed, index))
        batches = [draw() for _ in range(PACK // BATCH)]
        save_pack({name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}, path)
    say(f"{given.n // PACK} packs of {PACK} people in {given.output}")
    return 0


def _source(given: Arguments) -> "tuple[Callable[[], Batch], Generator]":
    """What draws the next BATCH people, and the generator that it draws from."""
    import torch
    from torch import Generator

    from nbf.body.files import load_body
    from nbf.data.fits import RealFits
    from nbf.data.pack import load_photos
    from nbf.nets.blocks import for_inference
    from nbf.nets.segmenter import Segmenter
    from nbf.nets.weights import load_kind
    from nbf.synth.sampler import Sampler
    from nbf.synth.tracks import CONFIGS
    from nbf.train import drawing
    from nbf.train.labelled import SetsConfig, open_sets

    segmenter = for_inference(load_kind(given.segmenter or "segmenter", Segmenter)).to(given.device)
    if given.kind in ("photos", "snapshots"):
        photos = load_photos(given.cache, "train")
        if photos is None:
            raise DataError(f"{given.cache}: no pack of photos; make it with `python tools/pack_training.py`")
        photos, generator = photos.to(given.device), Generator(given.device)
        if given.kind == "snapshots":
            return lambda: drawing.draw_snapshots(photos, segmenter, BATCH, generator), generator
        fits = RealFits.load(given.cache / "real_fits.npz", photos).to(given.device)
        return lambda: drawing.draw_photos(photos, fits, segmenter, BATCH, generator), generator
    if given.kind == "sets":
        config, generator = SetsConfig(given.sets, given.bodies, given.split), Generator()
        sets = open_sets(config, BATCH, load_body("anny24", "small"), needs="body")
        if sum(count for _, count in sets) != BATCH:
            raise DataError(f"--sets: expected shares that sum to one, got {', '.join(given.sets) or 'none'}")
        return lambda: drawing.draw_labelled(sets, segmenter, torch.device(given.device), generator), generator
    sampler = Sampler.load(given.cache, given.split, device=given.device, config=CONFIGS[given.track])
    if given.kind != "dressed":
        draw = {
            "pictures": drawing.draw_pictures,
            "labels": drawing.draw_labels,
            "bare": drawing.draw_bare,
            "skeletons": drawing.draw_skeletons,
        }
        return lambda: draw[given.kind](sampler, BATCH), sampler.generator
    return lambda: drawing.draw_dressed(sampler, segmenter, BATCH), sampler.generator
