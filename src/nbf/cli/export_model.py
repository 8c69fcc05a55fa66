"""The networks and the body model as ONNX files, for programs in other languages and for --runtime onnx."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from nbf.cli._output import complain, hushed, say
from nbf.cli._usage import UsageError, check_folder, parsed, understanding
from nbf.errors import InputError, NbfError
from nbf.limits import weight_files

if TYPE_CHECKING:
    from torch import Tensor

    from nbf.networks import Networks

MOST_PHOTOS = 100
"""That int8 looks at: more teach it nothing, and it takes half a second for each."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """From the networks to ONNX files.

    Writes locator.onnx, segmenter.onnx, fitter.onnx, doubt.onnx and body.onnx, for batches of any size; model.json,
    which says what goes into each and what comes out, and LICENSE.txt. docs/onnx.md says how they are used. The exit
    status is 0 if all were written, 1 if not, 2 if the command line is not understood.
    """

    output: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Folder for the files, made if missing; files of these names in it are replaced."""
    weights: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: bundled)")] = None
    """Folder with weights that you trained, used in place of the bundled ones."""
    int8: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PHOTO...", help_behavior_hint="")] = ()
    """Write locator and segmenter with int8 convolutions, fitted to photos such as they will see: files, folders or
    quoted patterns, some dozens of people in all."""


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run; 0 if all files were written."""
    given = parsed(Arguments, "export-model", arguments)
    check_folder(given.output)
    with understanding():
        if given.weights is not None:
            weight_files(given.weights)
    # Here and not above: help and mistakes should not wait for torch.
    from nbf.networks import Networks
    from nbf.onnx.folder import write_folder, write_index
    from nbf.onnx.graphs import check_installed
    from nbf.onnx.int8 import NAMES, quantise

    with understanding(InputError):
        check_installed("onnx", *(["onnxruntime"] if given.int8 else []))
    networks = Networks.load(given.weights)
    images = _seen(networks, given.int8) if given.int8 else {}
    try:
        graphs = write_folder(networks, given.output)
        for name in images:
            quantise(given.output / f"{name}.onnx", images[name])
        write_index(graphs, networks, given.output, int8=NAMES if given.int8 else ())
    except OSError as error:
        raise InputError(f"{given.output}: cannot be written ({error}); choose another folder") from error
    for name, graph in graphs.items():
        path = given.output / f"{name}.onnx"
        say(f"{path}  {path.stat().st_size / 1e6:.1f} MB  {graph.what}")
    return 0


def _seen(networks: "Networks", photos: Sequence[str]) -> "dict[str, Tensor]":
    """What locator and segmenter are shown of photos, both ways round. Raises UsageError where those show nobody."""
    import torch

    from nbf.geometry import Crop
    from nbf.locate import framed
    from nbf.methods import method
    from nbf.nets.locator import INPUT_SIZE
    from nbf.pictures import find_photos, read_picture
    from nbf.predictor import Predictor

    predictor = Predictor(networks, method("nbf-plain", networks))
    wholes, people = [], []
    for path in find_photos(list(photos))[:MOST_PHOTOS]:
        try:
            with hushed():
                picture = read_picture(path)
        except NbfError as error:
            complain(str(error))
            continue
        image = torch.from_numpy(picture.pixels).permute(2, 0, 1)
        middle = torch.tensor([[picture.width / 2, picture.height / 2]])
        side = torch.tensor([float(max(picture.width, picture.height))])
        wholes.append(Crop(middle, side, INPUT_SIZE).sample(image))
        people.append(framed(predictor.locate(image)[0], picture.height).sample(image))
    if not sum(map(len, people)):
        raise UsageError("--int8: expected photos of people, got none with anybody in it")
    say(f"int8: fitted to {sum(map(len, people))} people in {len(wholes)} photos")
    both = (torch.cat([torch.cat(some), torch.cat(some).flip(-1)]) for some in (wholes, people))
    return dict(zip(("locator", "segmenter"), both))
