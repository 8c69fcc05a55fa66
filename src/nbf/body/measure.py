"""Height, volume and mass of bodies, as differentiable functions of their vertices."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

# kg/m3, Anny's own figure (anny.anthropometry), which its weight calibration assumes.
DENSITY = 980.0


def height(vertices: Float[Tensor, "*batch v 3"]) -> Float[Tensor, "*batch"]:
    """Height in metres of T-posed bodies (y up): crown to sole."""
    return vertices[..., 1].amax(-1) - vertices[..., 1].amin(-1)


def volume(vertices: Float[Tensor, "*batch v 3"], faces: Int64[Tensor, "f 3"]) -> Float[Tensor, "*batch"]:
    """Volume in cubic metres enclosed by faces that wind counter-clockwise seen from outside.

    Sum of signed tetrahedra (Zhang & Chen, ICIP 2001) about the mean vertex, so that small openings, such as the
    eyelids', weigh little and the value does not depend on where the body stands.
    """
    corners = (vertices - vertices.mean(-2, keepdim=True))[..., faces, :]
    a, b, c = corners.unbind(-2)
    return (torch.linalg.cross(a, b) * c).sum(-1).sum(-1) / 6.0


def mass(vertices: Float[Tensor, "*batch v 3"], faces: Int64[Tensor, "f 3"]) -> Float[Tensor, "*batch"]:
    """Mass in kilograms: volume at Anny's density of 980 kg/m3."""
    return DENSITY * volume(vertices, faces)
