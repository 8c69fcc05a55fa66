"""`nbf data bodies`: bodies of one model for the people of a data set."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from nbf.cli._output import say

if TYPE_CHECKING:
    from nbf.body.model import BodyModel


@dataclass(frozen=True)
class Bodies:
    """Make a file of bodies for the people of a data set, to train on: its own bodies of SMPL turned into bodies of
    anny24, mesh to mesh, or bodies fitted to its joints in space."""

    data: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="NAME:FOLDER")]]
    """The data set; docs/datasets.md says which there are."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="NPZ")]
    """Where the bodies go."""
    split: str = "train"
    """Whose."""
    body: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: anny24)")] = None
    """SMPL file whose parameters the bodies are to have."""
    smpl: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """SMPL's neutral model, of which labels are parameters; likewise --smpl-female, --smpl-male."""
    smpl_female: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """The same, female."""
    smpl_male: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """The same, male."""
    threads: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Processor threads."""


def smpl_models(*files: Path | None) -> "dict[tuple[str, str], BodyModel]":
    """The models in files of SMPL, neutral, female and male, by name and gender. Raises ModelFileError."""
    from nbf.body.files import load_body

    named = zip(("neutral", "female", "male"), files, strict=True)
    return {("smpl", gender): load_body(file) for gender, file in named if file is not None}


def make_bodies(given: Bodies) -> int:
    """Make the file and say how good it is; 0 when it is written."""
    # Here and not above: help and mistakes should not wait for torch.
    import torch
    from rich.console import Console
    from rich.progress import track

    from nbf.body.files import load_body
    from nbf.data.catalogue import named
    from nbf.train.set_bodies import Maker

    torch.set_num_threads(given.threads)
    kind, folder = named(given.data)
    pictures = kind.open(folder, given.split)
    models = smpl_models(given.smpl, given.smpl_female, given.smpl_male)
    target = load_body("anny24", "small") if given.body is None else load_body(given.body)
    console = Console(stderr=True)
    watched = track(pictures, kind.title, len(pictures), console=console, disable=not sys.stderr.isatty())
    bodies = Maker(target, "anny24" if given.body is None else "smpl", models).bodies(kind.name, watched)
    bodies.save(given.output)
    kept = bodies.kept
    error = 1000 * float(bodies.error[kept].mean()) if kept.any() else float("nan")
    say(f"{len(kept)} people, {int(kept.sum())} of them fit to learn from, off by {error:.1f} mm -> {given.output}")
    return 0
