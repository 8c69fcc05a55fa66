"""One shape out of several fits to the same person."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class SharedShape:
    """The product of Gaussians: each fit's betas count as much as they are sure."""

    precision: Float[Tensor, "s s"]
    weighted: Float[Tensor, " s"]
    """Precision times mean."""

    @classmethod
    def nothing(cls, shapes: int) -> "SharedShape":
        """Of nobody yet."""
        return cls(torch.zeros(shapes, shapes).double(), torch.zeros(shapes).double())

    def with_fit(self, betas: Float[Tensor, " s"], covariance: Float[Tensor, "s s"]) -> "SharedShape":
        """One fit more."""
        precision = torch.linalg.inv(covariance.double())
        return SharedShape(self.precision + precision, self.weighted + precision @ betas.double())

    @property
    def mean(self) -> Float[Tensor, " s"]:
        """The shape; there must be a fit."""
        return torch.linalg.solve(self.precision, self.weighted).float()
