"""Similarity alignment of point sets (Procrustes analysis)."""

from jaxtyping import Float
from torch import Tensor

from nbf.geometry.rotations import project_to_rotation


def similarity(
    source: Float[Tensor, "*b n 3"], target: Float[Tensor, "*b n 3"]
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b 3 3"], Float[Tensor, "*b 3"]]:
    """Scale, rotation (determinant +1) and translation that bring `source` nearest to `target` in least squares.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991. The scale
    of points that all coincide is not a number.
    """
    start, end = source.mean(dim=-2), target.mean(dim=-2)
    source, target = source - start[..., None, :], target - end[..., None, :]
    covariance = target.mT @ source / source.shape[-2]
    rotation = project_to_rotation(covariance)
    scale = (rotation * covariance).sum(dim=(-2, -1)) / source.square().sum(dim=-1).mean(dim=-1)
    return scale, rotation, end - scale[..., None] * (rotation @ start[..., None])[..., 0]


def align(source: Float[Tensor, "*b n 3"], target: Float[Tensor, "*b n 3"]) -> Float[Tensor, "*b n 3"]:
    """`source` after the best scale, rotation and translation onto `target`: the "PA" of PA-MPJPE. Same units."""
    scale, rotation, translation = similarity(source, target)
    return scale[..., None, None] * (source @ rotation.mT) + translation[..., None, :]
