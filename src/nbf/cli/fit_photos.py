"""Fit bodies to the labelled people of the real photos, for training: keypoints and part labels to shape and pose."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from nbf.cli._output import say
from nbf.cli._usage import parsed


@dataclass(frozen=True)
class Arguments:
    """Fit a body to everybody in a pack of real photos who has labels enough (a third of a second each on one core)."""

    pack: Annotated[Path, tyro.conf.arg(metavar="NPZ")] = Path("runs/cache/real_train.npz")
    """The photos; see tools/pack_training.py."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="NPZ")] = Path("runs/cache/real_fits.npz")
    """Where the fits go."""
    segmenter: Annotated[str, tyro.conf.arg(metavar="FILE")] = "segmenter"
    """Weights of the segmenter that makes the start; the bundled ones if not given."""
    fitter: Annotated[str, tyro.conf.arg(metavar="FILE")] = "fitter"
    """Weights of the fitter that makes the start."""
    people: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """Only the first so many people."""
    threads: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Processor threads."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run; 0 when the file is written."""
    given = parsed(Arguments, "fit-photos", arguments)
    # Here and not above: help and mistakes should not wait for torch.
    import torch
    from rich.progress import Progress

    from nbf.body.files import load_body
    from nbf.data.pack import PhotoPack
    from nbf.nets.fitter import Fitter
    from nbf.nets.segmenter import Segmenter
    from nbf.nets.weights import load_kind
    from nbf.proxy.segmented import Segmented
    from nbf.solve.fit import Method
    from nbf.solve.regress import Regress
    from nbf.synth.poses import PoseLibrary
    from nbf.train.photo_bodies import PhotoFitter, everyday_poses, fit_photos

    torch.set_num_threads(given.threads)
    photos = PhotoPack.load(given.pack).decode()
    mixture = everyday_poses(PoseLibrary.load(), torch.Generator().manual_seed(0))
    see = Segmented(load_kind(given.segmenter, Segmenter), exact=True)
    fitter = PhotoFitter(
        photos, Method(see, Regress(load_kind(given.fitter, Fitter))), load_body("anny24", "small"), mixture
    )
    people = torch.arange(len(photos.photo))[: given.people]
    began = time.perf_counter()
    with Progress(disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("fitting people", total=len(people))
        fits, before, after = fit_photos(fitter, people, lambda count: bar.advance(task, count))
    fits.save(given.output)
    kept = after.good()
    seconds = (time.perf_counter() - began) / len(kept)
    say(f"{len(fits)} people, {len(kept)} fitted, {seconds:.2f} s each; {int(kept.sum())} kept -> {given.output}")
    print("                           network    fitted      kept")
    for name, what in (
        ("pck", "PCK@0.2 torso, %"),
        ("keypoints", "keypoint error, % of crop"),
        ("iou", "silhouette IoU, %"),
        ("parts", "same part, %"),
    ):
        values = [getattr(before, name), getattr(after, name), getattr(after, name)[kept]]
        print(f"{what:<26}" + "".join(f"{100 * value.mean():>8.1f}  " for value in values))
    return 0
