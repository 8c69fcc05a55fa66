"""Products, sums and angles over a batch that are the same to the last bit however many are in it.

Libraries multiply one row by other code than several, and few by other code than many, and take the angles of what is
left over at the end by other code than the rest; the last bits differ, and what an optimiser makes of them. Whoever is
solved for beside others would come out otherwise than alone.
"""

from collections.abc import Sequence
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor


def by_vectors(matrices: Float[Tensor, "*b i j"], vectors: Float[Tensor, "*b j"]) -> Float[Tensor, "*b i"]:
    """Each matrix times its vector."""
    return (matrices * vectors[..., None, :]).sum(-1)


def by_matrix(rows: Float[Tensor, "b j"], matrix: Float[Tensor, "j i"]) -> Float[Tensor, "b i"]:
    """Rows of a few numbers times a matrix."""
    return rows @ matrix if len(rows) != 1 else (rows.expand(2, -1) @ matrix)[:1]


def total(values: Sequence[Float[Tensor, "*b"]]) -> Float[Tensor, "*b"]:
    """The sum of several tensors, in their order. `Tensor.sum` over a stack takes another one at the ends of rows."""
    return reduce(torch.add, values)


def atan2(y: Float[Tensor, "*b"], x: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """As `torch.atan2`, in float64: it is there that last bits differ."""
    return torch.atan2(y.double(), x.double()).to(y.dtype)
