"""Network <-> file: safetensors beside a JSON that says which network it is and how it was trained.

Numbers are float16 or, in files that are shipped, int8 with a float32 scale for each row of a matrix.
"""

import json
from pathlib import Path
from typing import Any, TypeVar, get_args

import torch
from jaxtyping import Float, Int8
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.overrides import TorchFunctionMode

from nbf.arguments import shown
from nbf.errors import ModelFileError
from nbf.files import replacing
from nbf.nets.doubt import Doubt
from nbf.nets.fitter import Fitter
from nbf.nets.hmr import Hmr
from nbf.nets.locator import Locator
from nbf.nets.omran import CameraKind, Omran
from nbf.nets.pavlakos import Pavlakos
from nbf.nets.regressor import Regressor
from nbf.nets.segmenter import Segmenter
from nbf.nets.unet import UNet
from nbf.reading import Damaged, read_json, refusing

Network = Segmenter | Locator | Fitter | Doubt | Hmr | Omran | Pavlakos | Regressor | UNet
N = TypeVar("N", bound=Network)
CLASSES: tuple[type[Network], ...] = (Segmenter, Locator, Fitter, Doubt, Hmr, Omran, Pavlakos, Regressor, UNet)
ASSETS = Path(__file__).parent.parent / "assets"
SCALE = ":scale"
"""Ending of the name under which the scales of an int8 tensor are stored."""
_LEAST = 4096
"""Numbers in a tensor below which int8 saves nothing worth its error."""
_WIDEST = 4096
"""Channels, shapes or blocks of a network: more than any that is trained here."""
_MOST_STAGES = 8
_REMEDY = "reinstall nbf, or train it anew"


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
        raise ModelFileError(f"{path}: network class is {shown(card.get('class'))}, expected one of {known}.")
    with refusing(ModelFileError, path, "a network file", _REMEDY):
        tensors = _dense(_stored(path))
        network = _outline(kind, card.get("arguments"), sum(tensor.numel() for tensor in tensors.values()))
    expected = network.state_dict()
    wrong = sorted(expected.keys() ^ tensors.keys()) or sorted(
        key for key in expected if expected[key].shape != tensors[key].shape
    )
    if wrong:
        raise ModelFileError(
            f"{path}: {len(wrong)} tensors do not fit {kind.__name__}({card['arguments']}), first {wrong[0][:80]!a}. "
            "The file belongs to another version of nbf: reinstall nbf or train it anew."
        )
    tensors = {key: tensor.to(expected[key].dtype) for key, tensor in tensors.items()}
    for name, tensor in tensors.items():
        # Of a variance the square root is taken.
        low = 0.0 if name.endswith("running_var") else torch.finfo(torch.float32).min
        if tensor.is_floating_point() and tensor.numel() and not _within(tensor, low):
            raise ModelFileError(
                f"{path}: expected finite numbers (variances from 0), got others in {name}: training went wrong, or "
                f"the file is damaged; {_REMEDY}"
            )
    network.load_state_dict(tensors, assign=True)
    return network.eval()


def _within(tensor: Tensor, low: float) -> bool:
    """Whether all are finite numbers from `low`: looked at once, as both ends are nan where any is."""
    least, most = tensor.aminmax()
    return low <= float(least) and float(most) < torch.inf


def _stored(path: Path) -> dict[str, Tensor]:
    """Raises Damaged."""
    try:
        return load_file(path)
    # Of kinds of number that PyTorch has not, too; safetensors itself checks that shapes have the bytes that are there.
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise Damaged(f"{type(error).__name__} {error}"[:200]) from error


def _dense(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """With rows and their scales multiplied. Raises Damaged."""
    dense = {name: tensor for name, tensor in tensors.items() if not name.endswith(SCALE)}
    for name, scale in tensors.items():
        rows = dense.get(name.removesuffix(SCALE))
        if not name.endswith(SCALE) or rows is None:
            continue
        if rows.ndim == 0 or scale.shape != rows.shape[:1] or rows.dtype != torch.int8 or scale.dtype != torch.float32:
            raise Damaged(f"expected a float32 scale for each int8 row, got {scale.shape} for {rows.shape}")
        dense[name.removesuffix(SCALE)] = restored(rows, scale)
    for name, tensor in dense.items():
        if tensor.is_complex() or (tensor.element_size() == 1 and tensor.is_floating_point()):
            raise Damaged(f"expected float16, float32 or whole numbers, got {tensor.dtype} in {name[:80]!a}")
    return dense


class _Unfilled(TorchFunctionMode):
    """Leaves out a new network's first numbers: where there is no memory for them, PyTorch spends a second on
    importing what it needs to do nothing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in ("normal_", "uniform_", "kaiming_uniform_", "fill_", "zero_"):
            return args[0] if args else kwargs["tensor"]
        if func is torch.eye:
            return torch.empty(args[0], args[0])
        return func(*args, **kwargs)


def _outline(kind: type[Network], arguments: Any, most: int) -> Network:
    """A network of `kind` without memory for its numbers, of which there are at most `most`.

    Raises Damaged where there is none with these arguments.
    """
    if not isinstance(arguments, dict) or not all(_fits(value, min(_WIDEST, most)) for value in arguments.values()):
        raise Damaged(f"expected arguments from above 0 to {_WIDEST} in its .json, got {shown(arguments)}")
    try:
        with torch.device("meta"), _Unfilled():
            return kind(**arguments)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise Damaged(f"no {kind.__name__} can be made of its .json: {error}"[:200]) from error


def _fits(value: Any, most: int) -> bool:
    """Whether it can be an argument: a number, the numbers of some stages, or a kind of camera."""
    if isinstance(value, list):
        counts = all(type(each) is int and each > 0 for each in value)
        return counts and len(value) <= _MOST_STAGES and 0 < sum(value) <= most
    if isinstance(value, str):
        return value in get_args(CameraKind)
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= most


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
    with refusing(ModelFileError, card_path, "the .json of a network", _REMEDY):
        card = read_json(card_path)
    if not isinstance(card, dict):
        raise ModelFileError(f"{card_path}: expected a JSON object, got {shown(card)}. {_REMEDY}")
    return card
