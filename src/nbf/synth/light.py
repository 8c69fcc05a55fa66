"""Random low-frequency lighting: second-order spherical harmonics.

Nine coefficients describe how a matt surface reflects distant light (Ramamoorthi and Hanrahan, SIGGRAPH 2001). Random
ones give soft, varied shading without casting a ray.
"""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from nbf.synth.view import normal, uniform


def spherical_harmonics(normals: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 9"]:
    """The nine polynomials of order <= 2 at unit `normals`, unnormalised: random coefficients absorb the factors."""
    x, y, z = normals.unbind(-1)
    return torch.stack([torch.ones_like(x), x, y, z, x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1], -1)


def sample_lights(count: int, generator: Generator) -> Float[Tensor, "count 9 3"]:
    """Random coefficients per colour channel: bright from above (camera y points down), tinted, of varied contrast."""
    gray = torch.cat(
        [
            uniform((count, 1), 0.55, 1.05, generator),
            normal((count, 1), 0.3, generator),
            -uniform((count, 1), 0.0, 0.45, generator),
            -uniform((count, 1), -0.05, 0.45, generator),
            normal((count, 5), 0.08, generator),
        ],
        -1,
    )
    tint = 1 + normal((count, 1, 3), 0.06, generator)
    return gray[..., None] * tint + normal((count, 9, 3), 0.015, generator)
