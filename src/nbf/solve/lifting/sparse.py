"""Sparse codes: least squares with an L1 penalty, for many at a time."""

import torch
from jaxtyping import Float
from torch import Tensor


def sparse_codes(
    features: Float[Tensor, "#b n k"],
    values: Float[Tensor, "b n"],
    penalty: float,
    steps: int,
    *,
    start: Float[Tensor, "b k"] | None = None,
    positive: bool = False,
) -> Float[Tensor, "b k"]:
    """The codes c that make |features c - values|^2 / 2 + penalty |c|_1 small, all >= 0 if `positive`.

    FISTA (Beck & Teboulle 2009, "A fast iterative shrinkage-thresholding algorithm", section 4), so many steps from
    `start`, or from zeros.
    """
    step = 1 / torch.linalg.eigvalsh(features @ features.mT)[:, -1:].clamp_min(1e-12)
    # Of many codes over the same features, products with the small matrix are cheaper.
    gram, slope = features.mT @ features, (features.mT @ values[..., None])[..., 0]
    now = values.new_zeros(len(values), features.shape[-1]) if start is None else start
    ahead, momentum = now, 1.0
    for _ in range(steps):
        moved = ahead - step * ((gram @ ahead[..., None])[..., 0] if len(gram) > 1 else ahead @ gram[0])
        moved = moved + step * slope
        if positive:
            new = (moved - step * penalty).clamp_min(0)
        else:
            new = moved.sign() * (moved.abs() - step * penalty).clamp_min(0)
        faster = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        now, ahead, momentum = new, new + (momentum - 1) / faster * (new - now), faster
    return now
