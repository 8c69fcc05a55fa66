"""Train the fitter of Neural Body Fitting as its paper did (Omran et al. 2018, section 4), for whoever has the data.

    python tools/train_omran2018.py --human36m DIR --up3d DIR --smpl FILE
    python tools/train_omran2018.py --human36m DIR --up3d DIR --smpl FILE --body anny24 --camera perspective

First on Human3.6M, then on UP-3D: ResNet-50 on maps of 12 colours at 224 px, L1 losses, Adam at 4e-5 whose rate falls
to zero along a line, 75 epochs. Human3.6M's own SMPL labels are handed out no more, so bodies are fitted to its joints;
maps are drawn from the bodies, as the paper's are. ResNet-50 starts from nothing, not from ImageNet.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from nbf.data.catalogue import named

BATCH = 64
_TEST = {"human36m": "test", "up3d": "val"}  # on what each training is validated


@dataclass(frozen=True)
class Recipe:
    """Train the paper's fitter."""

    human36m: Path
    """Folder of Human3.6M; docs/datasets/human36m.md."""
    up3d: Path
    """Folder of UP-3D; docs/datasets/up3d.md."""
    smpl: Path
    """SMPL's neutral model, whose parameters the labels of UP-3D are."""
    body: Literal["smpl", "anny24"] = "smpl"
    """Whose parameters are learnt: the paper's, or those that `nbf predict` can use."""
    camera: Literal["fixed", "perspective"] = "fixed"
    """The paper's, or each crop's own."""
    epochs: float = 75
    """Of each of the two trainings."""
    device: str = "cpu"
    """cpu or cuda."""
    runs: Path = Path("runs/omran2018")
    """Folder of all that is written."""


def commands(recipe: Recipe) -> list[list[str]]:
    """The commands, without `nbf` before them, in their order."""
    body = ["--body", str(recipe.smpl)] if recipe.body == "smpl" else []
    listed: list[list[str]] = []
    start: list[str] = []
    for name, folder in (("human36m", recipe.human36m), ("up3d", recipe.up3d)):
        data, files = f"{name}:{folder}", []
        for split in ("train", _TEST[name]):
            files.append(str(recipe.runs / f"{name}_{split}.npz"))
            make = ["data", "bodies", data, "--split", split, "--output", files[-1], "--smpl", str(recipe.smpl), *body]
            listed.append(make)
        kind, _ = named(data)
        steps = max(round(recipe.epochs * len(kind.open(folder, "train")) / BATCH), 1)
        loop = {"name": name, "steps": steps, "runs": recipe.runs, "device": recipe.device}
        options = [word for key, value in loop.items() for word in (f"--loop.{key}", str(value))]
        sets = ["--data.sets", f"{data}@1", "--data.bodies", *files, "--data.test-split", _TEST[name]]
        listed.append(
            ["train", "omran", *options, *sets, "--data.batch", str(BATCH), "--camera", recipe.camera, *body, *start]
        )
        start = ["--start", str(recipe.runs / name / "weights.safetensors")]
    return listed


def main(recipe: Recipe) -> None:
    """Run all commands; raises SystemExit where one fails."""
    for words in commands(recipe):
        print("nbf", *words, flush=True)
        code = "import sys; from nbf.cli import main; sys.exit(main())"
        if subprocess.run([sys.executable, "-c", code, *words]).returncode:
            raise SystemExit(f"failed: nbf {' '.join(words)}")


if __name__ == "__main__":
    main(tyro.cli(Recipe, description=__doc__))
