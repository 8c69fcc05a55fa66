"""Shapes of people of whom something is known: the population of a body model's draws, conditioned on facts.

A population with children in it is not normal: in one Gaussian of everybody nobody is certain to be an adult. So it is
also given as a sum of Gaussians, one for each age group.

The draws of anny24 are Anny's (Brégier et al., 2025), whose ages, heights and weights follow the World Health
Organization's growth charts.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.body.model import BodyModel
from nbf.errors import InputError
from nbf.limits import AGE_GROUPS

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


GROWN = AGE_GROUPS["child"][1]
"""Years from which on people are built nearly like adults: larger bodies, smaller heads."""
_RARE = 0.005
"""Share of people like that below which an age group is left out."""


@dataclass(frozen=True)
class Group:
    """People of one age group."""

    share: float
    """Of all people like that."""
    shape: Gaussian
    """Of their betas."""
    grown: bool
    """Of ages from `GROWN` on."""


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
    away, near = _like(body, sex, age, height, weight)
    betas = body.shape_samples.double()
    design = torch.cat([torch.ones(len(betas), 1, dtype=torch.float64), torch.where(near[:, None] > 0, away, 0)], 1)
    return _gaussian(betas, design, near)


def groups_given(
    body: BodyModel,
    *,
    sex: float | None = None,
    age: float | tuple[float, float] | None = None,
    height: float | None = None,
    weight: float | None = None,
) -> list[Group]:
    """The same of each age group that people like that may belong to; of one alone where the age is known.

    Raises:
        InputError: as `shape_given`.
    """
    facts: dict[str, float | None] = {"sex": sex, "height": height, "weight": weight}
    ages = body.shape_info[:, 0]
    if age is not None or not ages.isfinite().all():
        youngest = age[0] if isinstance(age, tuple) else age
        return [Group(1.0, shape_given(body, age=age, **facts), youngest is None or youngest >= GROWN)]
    _, near = _like(body, sex, None, height, weight)
    shares = {group: float(near[(ages >= group[0]) & (ages < group[1])].sum()) for group in AGE_GROUPS.values()}
    often = {group: share for group, share in shares.items() if share >= _RARE * sum(shares.values())}
    return [
        Group(share / sum(often.values()), shape_given(body, age=group, **facts), group[0] >= GROWN)
        for group, share in often.items()
    ]


def _like(
    body: BodyModel,
    sex: float | None,
    age: float | tuple[float, float] | None,
    height: float | None,
    weight: float | None,
) -> tuple[Float[Tensor, "n f"], Float[Tensor, " n"]]:
    """Of each draw: how far it is from each of f known facts, in widths of kernels, and how much it counts."""
    info = body.shape_info.double()
    draws = {"age": info[:, 0], "sex": info[:, 1], "height": info[:, 2], "weight": info[:, 3].log()}
    among = torch.ones(len(info), dtype=torch.bool)
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
    away = [(draws[name] - value) / _width(name, value) for name, value in known.items()]
    apart = torch.stack(away, 1) if away else info.new_zeros(len(info), 0)
    wider = 1.0
    while True:
        near = torch.where(among, torch.exp(-0.5 * (apart / wider).square().sum(1)), 0.0)
        # Kish's effective number of draws.
        if float(near.sum() ** 2 / near.square().sum().clamp_min(1e-300)) >= least or wider > _WIDEST:
            return apart, near
        wider *= _WIDER


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


def nearest_draws(body: BodyModel, betas: Float[Tensor, "n s"]) -> Float[Tensor, "n k"]:
    """`shape_info` of the draws that shapes are nearest to."""
    return body.shape_info[torch.cdist(betas, body.shape_samples.to(betas)).argmin(1)]


@dataclass(frozen=True)
class SexAxis:
    """The sex of a shape, 0 male to 1 female: betas @ slope + offset, give or take sigma."""

    slope: Float[Tensor, " s"]
    offset: float
    sigma: float


def sex_axis(body: BodyModel) -> SexAxis | None:
    """Linear regression over the draws; None where no sexes are known."""
    sexes = body.shape_info[:, 1].double()
    if not sexes.isfinite().all():
        return None
    design = torch.cat([body.shape_samples.double(), torch.ones(len(sexes), 1, dtype=torch.float64)], 1)
    weights = torch.linalg.lstsq(design, sexes[:, None]).solution[:, 0]
    return SexAxis(weights[:-1].float(), float(weights[-1]), float((design @ weights - sexes).std()))
