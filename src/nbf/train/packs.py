"""Drawn people on disk: the fitter's training samples, drawn once by as many processes as there are cores.

Part probabilities are kept as the strongest labels of each pixel with their shares: 24 kB a map instead of 400.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from nbf.errors import DataError
from nbf.files import replacing
from nbf.reading import Array, Damaged, fitted, read_any_npz, refusing
from nbf.train.batch import Batch

_FAR = 1e6
PARTS = 25
STRONGEST = 3
_KNOWN = {
    "betas": Array(np.float32, ("n", "s"), low=-_FAR, high=_FAR),
    "rotations": Array(np.float32, ("n", 24, 3, 3), low=-1.01, high=1.01),
    "translation": Array(np.float32, ("n", 3), low=-_FAR, high=_FAR),
    "focal": Array(np.float32, ("n",), low=1e-3, high=_FAR),
    "center": Array(np.float32, ("n", 2), low=-_FAR, high=_FAR),
    "keypoints": Array(np.float32, ("n", 17, 3), low=-_FAR, high=_FAR),
    "seen_keypoints": Array(np.float32, ("n", 17, 3), low=-_FAR, high=_FAR),
    "parts": Array(np.uint8, ("n", 2, "k", 64, 64)),
    "seen_parts": Array(np.uint8, ("n", 2, "seen_k", 64, 64)),
    "image": Array(np.uint8, ("n", 3, 128, 128)),
    "surface": Array(np.uint8, ("n", 3, 64, 64)),
    "has_body": Array(bool, ("n",)),
}


def compress(parts: Float[Tensor, "n 25 h w"], strongest: int = STRONGEST) -> UInt8[Tensor, "n 2 k h w"]:
    """The labels of the strongest parts of each pixel and their shares, which are made to sum to one."""
    shares, labels = parts.topk(strongest, dim=1)
    shares = shares / shares.sum(1, keepdim=True).clamp(min=1e-6)
    return torch.stack([labels.to(torch.uint8), (255 * shares).round().to(torch.uint8)], 1)


def expand(packed: UInt8[Tensor, "n 2 k h w"]) -> Float[Tensor, "n 25 h w"]:
    """Part probabilities again; the inverse of `compress` up to rounding and the weak parts that it dropped."""
    labels, shares = packed[:, 0].long(), packed[:, 1].float()
    shares = shares / shares.sum(1, keepdim=True)
    return shares.new_zeros(len(packed), PARTS, *packed.shape[-2:]).scatter_add_(1, labels, shares)


def save_pack(pack: Batch, path: Path) -> Path:
    """Write a batch whose part maps are compressed; the file appears whole or not at all."""
    with replacing(path.with_suffix(".npz")) as draft:
        np.savez_compressed(draft, allow_pickle=False, **{name: value.cpu().numpy() for name, value in pack.items()})
    return path.with_suffix(".npz")


def load_packs(files: Sequence[Path]) -> Batch:
    """All samples of some packs as one batch.

    Raises:
        DataError: there is no file, or one of them is not a pack, or they differ in what they hold.
    """
    if not files:
        raise DataError("no packs of drawn people: expected one file or more; make them with `nbf draw`")
    rows: list[dict[str, np.ndarray]] = []
    for file in files:
        with refusing(DataError, file, "a pack of `nbf draw`", "draw it again"):
            rows.append(_checked(read_any_npz(file)))
        if rows[-1].keys() != rows[0].keys():
            raise DataError(
                f"{file}: holds {sorted(rows[-1])}, but {files[0]} holds {sorted(rows[0])}; draw both again"
            )
        for name, array in rows[-1].items():
            if array.shape[1:] != rows[0][name].shape[1:] or array.dtype != rows[0][name].dtype:
                raise DataError(
                    f"{file}: holds {name} as {array.dtype} of {array.shape[1:]}, but {files[0]} as "
                    f"{rows[0][name].dtype} of {rows[0][name].shape[1:]}; draw both again"
                )
    return {name: torch.from_numpy(np.concatenate([row[name] for row in rows])) for name in rows[0]}


def _checked(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Numbers of people, as the loops that train take them: those that are known by name, and any others. Raises
    Damaged."""
    known = {name: _KNOWN[name] for name in arrays if name in _KNOWN}
    people = next((len(array) for array in arrays.values() if array.ndim), 0)
    if people == 0:
        raise Damaged("expected somebody in it, got nobody")
    arrays = arrays | fitted(arrays, known, n=people)
    for name, array in arrays.items():
        if array.ndim == 0 or len(array) != people or array.dtype.kind not in "fiub":
            raise Damaged(f"expected numbers of {people} people in {name[:40]!a}, got {array.dtype} of {array.shape}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise Damaged(f"expected finite numbers in {name[:40]!a}, got nan or infinity")
        if name in ("parts", "seen_parts") and (array[:, 0].max() >= PARTS or not array[:, 1].any(1).all()):
            raise Damaged(f"expected labels up to {PARTS - 1} and shares above 0 in {name}")
    return arrays
