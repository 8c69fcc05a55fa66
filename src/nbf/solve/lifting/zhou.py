"""Zhou, Zhu, Leonardos & Daniilidis 2016, "Sparse representation for 3D shape estimation: a convex relaxation approach"
(PAMI).

A pose is a few members of a basis times positive factors. Let each have a rotation of its own, and a factor times the
two rows of a rotation that a picture shows be any 2x3 matrix, whose largest singular value then counts as the factor:
a convex problem with one answer and no start (section 3). From its answer, the one rotation of all and the factors are
improved in turn (section 4.3).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.geometry import project_to_rotation
from nbf.solve.lifting.basis import PoseBasis
from nbf.solve.lifting.camera import Lifted, Seen, reversed_depth, turned
from nbf.solve.lifting.sparse import sparse_codes

PENALTY = 0.001
"""Of the factors' sum, against half of the weighted mean square residual."""
_ITERATIONS, _ROUNDS, _CODE_STEPS = 200, 15, 40
# By how much the iterations shrink a matrix's norm each time; factors are a few of these.
_SHRINK = 1.0


def lift_zhou(seen: Seen, basis: PoseBasis, penalty: float = PENALTY) -> Lifted:
    """Poses from the convex start, and from its reversal in depth, whichever costs less in the end."""
    around = seen.about_each(basis.shapes)
    first, factors = one_camera(relaxed(seen, around, penalty))
    points = torch.einsum("bk,bkpi->bpi", factors.clamp_min(0), around)
    rotations = torch.stack([first, reversed_depth(points, first)], 1).flatten(0, 1)
    seen, around, factors = seen.repeated(2), around.repeat_interleave(2, 0), factors.repeat_interleave(2, 0)
    root = seen.weights.sqrt()[..., None]
    for _ in range(_ROUNDS):
        shown = ((around @ rotations.mT[:, None])[..., :2] * root[:, None]).flatten(2).mT
        values = (seen.points * root).flatten(1)
        factors = sparse_codes(shown, values, penalty, _CODE_STEPS, start=factors.clamp_min(0), positive=True)
        points = torch.einsum("bk,bkpi->bpi", factors, around)
        rotations = turned(seen, points, rotations, 3)
    cost = seen.missed((points @ rotations.mT)[..., :2]) / 2 + penalty * factors.sum(1)
    whole = torch.einsum("bk,kpi->bpi", factors, basis.shapes)
    return Lifted(whole, rotations, torch.ones_like(cost), cost).best(2)


def relaxed(seen: Seen, around: Float[Tensor, "b k 17 3"], penalty: float) -> Float[Tensor, "b k 2 3"]:
    """The matrices M that make |seen - sum M_i B_i|^2 / 2 + penalty * sum |M_i| least, with the squares weighted and
    |M| the largest singular value (equation 12).

    The alternating direction method of multipliers (algorithm 1), in its scaled form (Boyd et al. 2011, section 3.1.1).
    """
    k = around.shape[1]
    stiffness = penalty / _SHRINK
    root = seen.weights.sqrt()
    members = (around * root[:, None, :, None]).transpose(2, 3).flatten(1, 2)  # (b, 3k, 17)
    values = (seen.points * root[..., None]).mT
    # (B B' + mu)^-1 by way of the 17 x 17 matrix B' B + mu (Woodbury).
    inner = torch.linalg.inv(members.mT @ members + stiffness * torch.eye(17).to(members))
    fixed = values @ members.mT
    m = dual = torch.zeros_like(fixed)
    for _ in range(_ITERATIONS):
        wanted = fixed + stiffness * (m - dual)
        z = (wanted - wanted @ members @ inner @ members.mT) / stiffness
        m = shrunk((z + dual).unflatten(2, (k, 3)).transpose(1, 2), _SHRINK).transpose(1, 2).flatten(2)
        dual = dual + z - m
    return m.unflatten(2, (k, 3)).transpose(1, 2)


def shrunk(matrices: Float[Tensor, "*b 2 3"], amount: float) -> Float[Tensor, "*b 2 3"]:
    """Proximal operator of `amount` times the largest singular value (section 3.3).

    Singular values less their projection onto the L1 ball of that radius; for two of them there is a closed form, by
    the 2x2 matrix M M'.
    """
    a, b, d = ((matrices[..., i, :] * matrices[..., j, :]).sum(-1) for i, j in ((0, 0), (0, 1), (1, 1)))
    middle, away = (a + d) / 2, torch.hypot((a - d) / 2, b)
    large, small = (middle + away).clamp_min(0).sqrt(), (middle - away).clamp_min(0).sqrt()
    both = ((large + small - amount) / 2).clamp_min(0)
    apart = large - small >= amount
    new_large, new_small = torch.where(apart, large - amount, both), torch.where(apart, small, both)
    # M M' has the eigenvalues large^2 and small^2; a function of it that maps them to the ratios new / old.
    ratio_large = new_large / large.clamp_min(1e-12)
    ratio_small = torch.where(small > 1e-6 * large, new_small / small.clamp_min(1e-12), ratio_large)
    slope = (ratio_large - ratio_small) / (2 * away).clamp_min(1e-12)
    offset = ratio_small - slope * (middle - away)
    gram = torch.stack([torch.stack([a, b], -1), torch.stack([b, d], -1)], -2)
    return slope[..., None, None] * (gram @ matrices) + offset[..., None, None] * matrices


def one_camera(matrices: Float[Tensor, "b k 2 3"]) -> tuple[Float[Tensor, "b 3 3"], Float[Tensor, "b k"]]:
    """The one rotation and the factors whose products are nearest to the matrices, by their rank-one approximation."""
    flat = matrices.flatten(2)
    rows = torch.linalg.eigh(flat.mT @ flat).eigenvectors[..., -1]
    factors = (flat @ rows[..., None])[..., 0]
    sign = torch.where(factors.sum(1) < 0, -1.0, 1.0).to(flat)
    rows = (rows * sign[:, None]).unflatten(1, (2, 3))
    u, _, vt = torch.linalg.svd(rows, full_matrices=False)
    rows = u @ vt
    third = torch.linalg.cross(rows[:, 0], rows[:, 1])[:, None]
    # A matrix of norm |M| times a rotation's two rows, of which each has length 1.
    return project_to_rotation(torch.cat([rows, third], 1)), factors * sign[:, None] / 2**0.5
