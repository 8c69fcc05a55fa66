"""Body model files: the bundled anny24 bodies, and SMPL files that the user brings."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nbf.arguments import path as checked_path
from nbf.arguments import shown
from nbf.body.model import BodyData, BodyModel
from nbf.body.smpl import read_smpl
from nbf.errors import ModelFileError
from nbf.reading import Array, Damaged, fitted, refusing

ASSETS = Path(__file__).resolve().parents[1] / "assets"
BUNDLED = ("anny24",)
# Version of the layout of bundled files; tools/bake_body.py writes it.
LAYOUT = "1"
# Metres and betas that no body reaches; the least that weights must sum to.
_LARGEST, _LEAST_WEIGHT = 1e4, 1e-3
_ARRAYS = {
    "template": Array(np.float32, ("v", 3), -_LARGEST, _LARGEST),
    "shape_dirs": Array(np.float32, ("v", 3, "s"), -_LARGEST, _LARGEST),
    "joint_template": Array(np.float32, (24, 3), -_LARGEST, _LARGEST),
    "joint_dirs": Array(np.float32, (24, 3, "s"), -_LARGEST, _LARGEST),
    "skin_joints": Array(np.int64, ("v", "k"), 0, 23),
    "skin_weights": Array(np.float32, ("v", "k"), 0, 2),
    "faces": Array(np.int64, ("f", 3), 0),
    "uv": Array(np.float32, ("u", 2), -_LARGEST, _LARGEST),
    "faces_uv": Array(np.int64, ("f", 3), 0),
    "face_parts": Array(np.int64, ("f",), 1, 24),
    "bounds": Array(np.float32, (2, 3), -_LARGEST, _LARGEST),
    "keypoint_vertices": Array(np.int64, (31, "c"), 0),
    "keypoint_weights": Array(np.float32, (31, "c"), -2, 2),
    "shape_samples": Array(np.float32, ("n", "s"), -_LARGEST, _LARGEST),
    "shape_info": Array(np.float32, ("n", 4), -_LARGEST, _LARGEST, nan=True),
}


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


def bundled_body(name: str, vertices: int, components: int) -> BodyModel | None:
    """The bundled model of this name that has so many vertices and shape components; None where no detail has."""
    for detail in ("full", "small"):
        body = load_body(name, detail)
        if (len(body.template), body.shape_count) == (vertices, components):
            return body
    return None


def read_bundled(path: Path) -> BodyData:
    """Read the file that tools/bake_body.py writes (half precision where accuracy allows) into float32 and int64.

    Raises ModelFileError where it cannot be read, or where its arrays are no body: of other shapes, out of range,
    without a surface, or with vertices that no joint moves.
    """
    with refusing(ModelFileError, path, "a body model", "reinstall the package"):
        layout, stored = _stored(path)
        if layout != LAYOUT:
            raise Damaged(f"expected body file layout {LAYOUT}, got {shown(layout)}")
        missing = sorted(_ARRAYS.keys() - stored.keys())
        if missing or stored.keys() - _ARRAYS.keys() - {"pose_dirs"}:
            raise Damaged(f"expected the arrays of another body model; missing are {', '.join(missing) or 'none'}")
        bends = {"pose_dirs": Array(np.float32, ("v", 3, 207), -_LARGEST, _LARGEST)} if "pose_dirs" in stored else {}
        arrays = fitted({name: tensor.numpy() for name, tensor in stored.items()}, _ARRAYS | bends)
        data = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
        _check(data)
    # Half precision leaves the sums off by up to a thousandth.
    data["skin_weights"] /= data["skin_weights"].sum(1, keepdim=True)
    data["keypoint_weights"] /= data["keypoint_weights"].sum(1, keepdim=True)
    return BodyData(**data)


def _stored(path: Path) -> tuple[str | None, dict[str, Tensor]]:
    """Layout and tensors. Raises Damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            layout = (file.metadata() or {}).get("layout")
            stored = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        # Kinds that numpy has not are none of ours.
        return layout, {
            key: tensor.float() if tensor.dtype == torch.bfloat16 else tensor for key, tensor in stored.items()
        }
    except (OSError, SafetensorError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise Damaged(f"{type(error).__name__} {error}"[:200]) from error


def _check(data: dict[str, Tensor]) -> None:
    """What arrays must be besides numbers in a range. Raises Damaged."""
    v, u = len(data["template"]), len(data["uv"])
    for name, limit in (("faces", v), ("faces_uv", u), ("keypoint_vertices", v)):
        if data[name].numel() == 0 or int(data[name].max()) >= limit:
            raise Damaged(f"expected indices from 0 to {limit - 1} in {name}, got others or none")
    for name in ("skin_weights", "keypoint_weights"):
        if data[name].shape[1] == 0 or not bool((data[name].sum(1) > _LEAST_WEIGHT).all()):
            raise Damaged(f"expected weights that sum to one in {name}")
    low, high = data["bounds"]
    if not bool((high > low).all()):
        raise Damaged("expected a lower and an upper corner in bounds")
