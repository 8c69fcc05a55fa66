"""Shapes of people of whom something is known: the population of a body model's draws, conditioned on facts.

The draws of anny24 are Anny's (Brégier et al., 2025), whose ages, heights and weights follow the World Health
Organization's growth charts.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.model import BodyModel
from nbf.errors import InputError

# Widths of the kernels about a known fact: years (and a share of the age, as children change faster), where sex runs
# from 0 to 1, metres, log kilograms. Within a kernel everything is taken to be linear.
_YEARS, _SHARE_OF_AGE = 0.5, 0.12
_WIDTHS = {"sex": 0.25, "height": 0.06, "weight": 0.15}
# Draws that a mean and a covariance are taken of, in number of components; kernels widen until there are so many.
_LEAST, _WIDER, _WIDEST = 8, 1.4, 40
_FLOOR = 0.1
"""Standard deviations of betas below which nothing is believed: nobody is exactly on the population's mean."""


Gaussian = tuple[Float[Tensor, " s"], Float[Tensor, "s s"]]
"""Mean and covariance."""


def shape_given(
    body: BodyModel,
    *,
    sex: float | None = None,
    age: float | tuple[float, float] | None = None,
    height: float | None = None,
    weight: float | None = None,
) -> Gaussian:
    """Mean and covariance of the betas of people like that: local linear regression (Cleveland 1979) over the draws.

    Args:
        body: the body model.
        sex: from 0 (male) to 1 (female), the body's own axis.
        age: years; or a range of them, from the first up to but not including the second.
        height: metres.
        weight: kilograms.

    Raises:
        InputError: the body model does not know enough people like that (SMPL knows no ages and sexes at all).
    """
    betas, info = body.shape_samples.double(), body.shape_info.double()
    draws = {"age": info[:, 0], "sex": info[:, 1], "height": info[:, 2], "weight": info[:, 3].log()}
    among = torch.ones(len(betas), dtype=torch.bool)
    given = {"sex": sex, "age": age, "height": height, "weight": None if weight is None else math.log(weight)}
    known = {name: value for name, value in given.items() if isinstance(value, int | float)}
    for name in known:
        among &= draws[name].isfinite()
    if isinstance(age, tuple):
        among &= (draws["age"] >= age[0]) & (draws["age"] < age[1])
    least = _LEAST * body.shape_count
    if int(among.sum()) < least:
        raise InputError(
            f"known: expected a body model that knows {least} people like that or more, got one with "
            f"{int(among.sum())} (SMPL knows no ages and sexes at all); use anny24, or leave them out"
        )
    if not known:
        return _gaussian(betas, torch.ones(len(betas), 1, dtype=torch.float64), among.double())
    away = torch.stack([(draws[name] - value) / _width(name, value) for name, value in known.items()], 1)
    wider = 1.0
    while True:
        near = torch.where(among, torch.exp(-0.5 * (away / wider).square().sum(1)), 0.0)
        # Kish's effective number of draws.
        if float(near.sum() ** 2 / near.square().sum().clamp_min(1e-300)) >= least or wider > _WIDEST:
            break
        wider *= _WIDER
    design = torch.cat([torch.ones(len(betas), 1, dtype=torch.float64), torch.where(near[:, None] > 0, away, 0)], 1)
    return _gaussian(betas, design, near)


def _width(name: str, value: float) -> float:
    return _YEARS + _SHARE_OF_AGE * value if name == "age" else _WIDTHS[name]


def _gaussian(
    betas: Float[Tensor, "n s"], design: Float[Tensor, "n f"], weight: Float[Tensor, " n"]
) -> tuple[Float[Tensor, " s"], Float[Tensor, "s s"]]:
    """Of betas where all features but the first, which is constant, are 0."""
    share = weight / weight.sum()
    root = share.sqrt()[:, None]
    slopes = torch.linalg.lstsq(design * root, betas * root).solution
    left = (betas - design @ slopes) * root
    covariance = left.T @ left + _FLOOR**2 * torch.eye(betas.shape[1], dtype=torch.float64)
    return slopes[0].float(), covariance.float()


def rooted(told: Gaussian) -> tuple[Float[Tensor, " s"], Float[Tensor, "s s"]]:
    """Its mean and a root R of its precision, R^T R."""
    mean, covariance = told
    return mean, torch.linalg.inv(torch.linalg.cholesky(covariance.double())).float()


def beyond(told: Gaussian, usual: Gaussian) -> tuple[Float[Tensor, " s"], Float[Tensor, "s s"]]:
    """What facts add to an estimate that has the population in it already: the quotient of two Gaussians, as a mean and
    a root R of its precision, R^T R.

    Along directions in which the facts leave more open than the population does, nothing is added.
    """
    (mean, covariance), (middle, spread) = (tuple(value.double() for value in each) for each in (told, usual))
    precision, before = torch.linalg.inv(covariance), torch.linalg.inv(spread)
    values, axes = torch.linalg.eigh(precision - before)
    root = values.clamp_min(0).sqrt()[:, None] * axes.mT
    pull = precision @ mean - before @ middle
    # In the subspace that is told of; elsewhere the estimate stays as it is, so any mean does.
    inverse = torch.where(values > 1e-6, 1 / values.clamp_min(1e-6), 0.0)
    return (axes @ (inverse * (axes.mT @ pull))).float(), root.float()
