"""Body model files: the bundled anny24 bodies, and SMPL files that the user brings."""

from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nbf.arguments import path as checked_path
from nbf.arguments import shown
from nbf.body.model import BodyData, BodyModel
from nbf.body.smpl import read_smpl
from nbf.errors import ModelFileError

ASSETS = Path(__file__).resolve().parents[1] / "assets"
BUNDLED = ("anny24",)
# Version of the layout of bundled files; tools/bake_body.py writes it.
LAYOUT = "1"


def load_body(name_or_path: str | Path = "anny24", detail: Literal["full", "small"] = "full") -> BodyModel:
    """A body model in float32 on the CPU.

    `name_or_path` is `anny24` (bundled; `detail` picks 12,488 or 1,164 vertices), a `.safetensors` file of the same
    layout, or an SMPL file (`.npz` or `.pkl`, as its licence-holder hands it out; one level of detail only).

    Raises ModelFileError where the file is missing, damaged, unsafe or of an unknown kind, and InputError where
    `name_or_path` is no path.
    """
    if isinstance(name_or_path, str | Path) and str(name_or_path) in BUNDLED:
        if not isinstance(detail, str) or detail not in ("full", "small"):
            raise ModelFileError(f"body detail: expected 'full' or 'small', got {shown(detail)}")
        return BodyModel(read_bundled(ASSETS / f"{name_or_path}_{detail}.safetensors"))
    path = checked_path(name_or_path, "name_or_path")
    if not path.is_file():
        raise ModelFileError(
            f"{path}: no such body model file; expected one of {', '.join(BUNDLED)} or the path of an SMPL .npz or .pkl"
        )
    if path.suffix == ".safetensors":
        return BodyModel(read_bundled(path))
    return BodyModel(read_smpl(path))


def read_bundled(path: Path) -> BodyData:
    """Read the file that tools/bake_body.py writes (half precision where accuracy allows) into float32 and int64."""
    try:
        with safe_open(path, framework="pt") as file:
            layout = (file.metadata() or {}).get("layout")
            stored = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path}: cannot be read as a body model ({error}); reinstall the package") from error
    if layout != LAYOUT:
        raise ModelFileError(f"{path}: expected body file layout {LAYOUT}, got {layout}; reinstall the package")
    data = {key: _widen(value) for key, value in stored.items()}
    # Half precision leaves the sums off by up to a thousandth.
    data["skin_weights"] /= data["skin_weights"].sum(1, keepdim=True)
    data["keypoint_weights"] /= data["keypoint_weights"].sum(1, keepdim=True)
    return BodyData(**data)


def _widen(value: Tensor) -> Tensor:
    return value.to(torch.float32 if value.is_floating_point() else torch.int64)
