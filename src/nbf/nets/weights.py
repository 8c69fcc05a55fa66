"""Network <-> file: safetensors beside a JSON that says which network it is and how it was trained.

Numbers are float16 or, in files that are shipped, int8 with a float32 scale for each row of a matrix.
"""

import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int8
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nbf.errors import ModelFileError
from nbf.files import replacing
from nbf.nets.doubt import Doubt
from nbf.nets.fitter import Fitter
from nbf.nets.hmr import Hmr
from nbf.nets.locator import Locator
from nbf.nets.omran import Omran
from nbf.nets.pavlakos import Pavlakos
from nbf.nets.regressor import Regressor
from nbf.nets.segmenter import Segmenter
from nbf.nets.unet import UNet

Network = Segmenter | Locator | Fitter | Doubt | Hmr | Omran | Pavlakos | Regressor | UNet
N = TypeVar("N", bound=Network)
CLASSES: tuple[type[Network], ...] = (Segmenter, Locator, Fitter, Doubt, Hmr, Omran, Pavlakos, Regressor, UNet)
ASSETS = Path(__file__).parent.parent / "assets"
SCALE = ":scale"
"""Ending of the name under which the scales of an int8 tensor are stored."""
_LEAST = 4096
"""Numbers in a tensor below which int8 saves nothing worth its error."""


def save_network(network: Network, path: Path, record: dict[str, Any], *, small: bool = False) -> Path:
    """Write `path` (.safetensors) and its .json with class, constructor arguments and the training `record`.

    Tensors are float16; in a `small` file large ones are int8, which halves it and rounds each number to a 254th of
    the range of its row: for shipping, not for training on.

    Raises ModelFileError if a tensor does not survive float16 (not finite), so that no broken file is ever written.
    """
    path = Path(path).with_suffix(".safetensors")
    tensors = {}
    for name, tensor in network.state_dict().items():
        half = tensor.detach().cpu().contiguous()
        half = half.half() if half.is_floating_point() else half
        if half.is_floating_point() and not half.isfinite().all():
            raise ModelFileError(f"{path}: tensor {name} is not finite in float16; the network is not fit to be saved.")
        if small and half.is_floating_point() and half.ndim > 1 and half.numel() >= _LEAST:
            tensors[name], tensors[name + SCALE] = quantised(half.float())
        else:
            tensors[name] = half
    with replacing(path) as draft:
        save_file(tensors, draft)
    card = {"class": type(network).__name__, "arguments": network.arguments, "record": record}
    with replacing(path.with_suffix(".json")) as draft:
        draft.write_text(json.dumps(card, indent=2) + "\n")
    return path


def load_network(name: str | Path) -> Network:
    """The network in a file, or the bundled one of that name ("segmenter", "locator" ...): eval, float32, CPU.

    Raises ModelFileError when the file or its .json is missing or damaged, or when they do not belong together.
    """
    path = ASSETS / f"{name}.safetensors" if str(name).isidentifier() else Path(name).with_suffix(".safetensors")
    card = read_card(path)
    kind = next((kind for kind in CLASSES if kind.__name__ == card.get("class")), None)
    if kind is None:
        known = ", ".join(kind.__name__ for kind in CLASSES)
        raise ModelFileError(f"{path}: network class is {card.get('class')!r}, expected one of {known}.")
    try:
        network = kind(**card["arguments"])
        tensors = load_file(path)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path}: not a readable network file ({error}). Reinstall nbf or train it anew."
        ) from error
    scales = [name for name in tensors if name.endswith(SCALE)]
    for name in scales:
        rows = name.removesuffix(SCALE)
        if rows in tensors:
            tensors[rows] = restored(tensors[rows], tensors.pop(name))
    expected = network.state_dict()
    wrong = sorted(expected.keys() ^ tensors.keys()) or sorted(
        key for key in expected if expected[key].shape != tensors[key].shape
    )
    if wrong:
        raise ModelFileError(
            f"{path}: {len(wrong)} tensors do not fit {kind.__name__}({card['arguments']}), first {wrong[0]!r}. "
            "The file belongs to another version of nbf: reinstall nbf or train it anew."
        )
    network.load_state_dict({key: tensor.to(expected[key].dtype) for key, tensor in tensors.items()})
    return network.eval()


def quantised(tensor: Float[Tensor, "n *rest"]) -> tuple[Int8[Tensor, "n *rest"], Float[Tensor, " n"]]:
    """Rows as whole numbers from -127 to 127, and what one of them is worth in each row."""
    scale = tensor.flatten(1).abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / 127
    return (tensor / scale.view(-1, *[1] * (tensor.ndim - 1))).round().to(torch.int8), scale


def restored(steps: Int8[Tensor, "n *rest"], scale: Float[Tensor, " n"]) -> Float[Tensor, "n *rest"]:
    """The inverse of `quantised`, up to rounding."""
    return steps.float() * scale.view(-1, *[1] * (steps.ndim - 1))


def load_kind(name: str | Path, kind: type[N]) -> N:
    """As `load_network`, and a ModelFileError when the file holds another kind of network."""
    network = load_network(name)
    if not isinstance(network, kind):
        raise ModelFileError(f"{name}: expected weights of a {kind.__name__}, got those of a {type(network).__name__}")
    return network


def read_card(path: Path) -> dict[str, Any]:
    """The JSON beside a network file. Raises ModelFileError when either file is missing or the JSON is damaged."""
    card_path = path.with_suffix(".json")
    for needed in (path, card_path):
        if not needed.is_file():
            raise ModelFileError(
                f"{needed}: no such file; expected a network file with its .json. Reinstall nbf or train it anew."
            )
    try:
        card = json.loads(card_path.read_text())
    except ValueError as error:
        raise ModelFileError(
            f"{card_path}: not valid JSON ({error}). Reinstall nbf or train the network anew."
        ) from error
    if not isinstance(card, dict):
        raise ModelFileError(f"{card_path}: expected a JSON object, got {type(card).__name__}.")
    return card
