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
from nbf.train.batch import Batch

PARTS = 25
STRONGEST = 3


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
        try:
            with np.load(file, allow_pickle=False) as arrays:
                rows.append({name: arrays[name] for name in arrays.files})
        except (OSError, ValueError) as error:
            raise DataError(f"{file}: expected a pack of `nbf draw`, got {error!r}; draw it again") from error
        if rows[-1].keys() != rows[0].keys():
            raise DataError(
                f"{file}: holds {sorted(rows[-1])}, but {files[0]} holds {sorted(rows[0])}; draw both again"
            )
    return {name: torch.from_numpy(np.concatenate([row[name] for row in rows])) for name in rows[0]}
