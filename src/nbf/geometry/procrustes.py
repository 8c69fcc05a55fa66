"""Similarity alignment of point sets (Procrustes analysis)."""

from typing import Any

import roma
from jaxtyping import Float
from torch import Tensor


def similarity(
    source: Float[Tensor, "*b n 3"], target: Float[Tensor, "*b n 3"]
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b 3 3"], Float[Tensor, "*b 3"]]:
    """Scale, rotation (determinant +1) and translation that bring `source` nearest to `target` in least squares.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991.
    """
    # Indexed, not unpacked: the length of roma's tuple depends on its arguments, which type checkers cannot follow.
    fit: Any = roma.rigid_points_registration(source, target, compute_scaling=True)
    return fit[2], fit[0], fit[1]


def align(source: Float[Tensor, "*b n 3"], target: Float[Tensor, "*b n 3"]) -> Float[Tensor, "*b n 3"]:
    """`source` after the best scale, rotation and translation onto `target`: the "PA" of PA-MPJPE. Same units."""
    scale, rotation, translation = similarity(source, target)
    return scale[..., None, None] * (source @ rotation.mT) + translation[..., None, :]
