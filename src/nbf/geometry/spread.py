"""How far Gaussian errors in the picture reach."""

import math

from jaxtyping import Float
from torch import Tensor


def mean_length(covariance: Float[Tensor, "*b 2 2"]) -> Float[Tensor, "*b"]:
    """Mean length of errors of mean zero, in the unit whose square the covariance is in.

    As if they went as far in all directions (Rayleigh's distribution), which is a tenth too much at most. Nan where the
    covariance is none.
    """
    return (math.pi / 4 * covariance.diagonal(dim1=-2, dim2=-1).sum(-1)).sqrt()
