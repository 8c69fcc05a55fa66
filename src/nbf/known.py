"""What a user may know about the people before anything is predicted, checked once and made usable."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from nbf.arguments import numbers, shown
from nbf.body.model import BodyModel
from nbf.body.population import Gaussian, Group, beyond, groups_given, rooted, shape_given
from nbf.errors import InputError
from nbf.limits import AGE_GROUPS, RANGES, check_age_group, checked_fact, sex_number
from nbf.nets.locator import box_iou

T = TypeVar("T")

_MOST_DEVIATIONS = 30.0
"""Betas are standard deviations of people's shapes: nobody's are as far off the mean."""

_SPREADS = (1e-4, 1e4)
"""Standard deviations of betas between which single precision still solves for them."""

_SAME_BOX = 0.3
"""Overlap (IoU) from which a box that somebody gives means the person in a box that was found."""


@dataclass(frozen=True)
class Known:
    """What is known of people besides what a picture shows; None is unknown.

    Attributes:
        height: metres, standing upright without shoes: everybody's, or (n,) of n people in the order of `boxes` or of
            the people to refit, nan where unknown.
        sex: "female", "male", or a number from 0 (male) to 1 (female), the body's own axis; everybody's or each one's.
        age: years; everybody's or each one's.
        weight: kilograms; everybody's or each one's.
        age_group: a key of `nbf.limits.AGE_GROUPS`, everybody's or each one's (None where unknown).
        shape: mean and covariance of everybody's betas, where they are known better than by all this.

    Raises:
        InputError: a value is impossible.
    """

    height: float | Float[Tensor, " n"] | None = None
    age_group: str | tuple[str | None, ...] | None = None
    shape: Gaussian | None = None
    sex: str | float | Float[Tensor, " n"] | None = None
    age: float | Float[Tensor, " n"] | None = None
    weight: float | Float[Tensor, " n"] | None = None

    def __post_init__(self) -> None:
        # Whatever arrays they came in, once checked they are tensors.
        for name in RANGES:
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else _checked_facts(name, value))
        object.__setattr__(self, "shape", None if self.shape is None else _checked_gaussian(self.shape))
        if isinstance(self.age_group, list | tuple):
            object.__setattr__(self, "age_group", tuple(self.age_group))
        for group in self.age_group if isinstance(self.age_group, tuple) else (self.age_group,):
            if group is not None:
                check_age_group(group)

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return any(getattr(self, field.name) is not None for field in fields(self))

    def heights(self, count: int) -> Float[Tensor, " {count}"] | None:
        """Of `count` people, nan where unknown; None where nobody's is known. Raises InputError as `of`."""
        return self._of_each("height", count)

    def of(self, turn: slice, count: int) -> "Known":
        """What is known of some of `count` people.

        Raises:
            InputError: it is known of another number of people.
        """
        each = {name: self._of_each(name, count) for name in RANGES}
        if not any(_several(getattr(self, name)) for name in (*RANGES, "age_group")):
            return self
        some = {name: values[turn] for name, values in each.items() if values is not None}
        groups = self._groups(count)
        return replace(
            self, **some, age_group=tuple(groups[turn]) if isinstance(self.age_group, tuple) else self.age_group
        )

    def _of_each(self, name: str, count: int) -> Float[Tensor, " {count}"] | None:
        value = getattr(self, name)
        if value is None:
            return None
        values = torch.as_tensor(value)
        if values.ndim == 1 and len(values) not in (1, count):
            raise InputError(f"{name}: expected one, or one for each of {count} people, got {len(values)}")
        return values.expand(count)

    def _facts(self, count: int) -> list[dict[str, Any]]:
        """What `shape_given` takes, for each of `count` people."""
        facts: list[dict[str, Any]] = [{} for _ in range(count)]
        for name in RANGES:
            values = self._of_each(name, count)
            for known, value in zip(facts, [] if values is None else values.tolist()):
                if not math.isnan(value):
                    known[name] = value
        for known, group in zip(facts, self._groups(count)):
            if group is not None and "age" not in known:
                known["age"] = AGE_GROUPS[group]
        return facts

    def _groups(self, count: int) -> list[str | None]:
        if not isinstance(self.age_group, tuple):
            return [self.age_group] * count
        if len(self.age_group) != count:
            raise InputError(f"age_group: expected one, or one for each of {count} people, got {len(self.age_group)}")
        return list(self.age_group)

    def shapes(
        self, body: BodyModel, count: int, *, beyond_population: bool = False
    ) -> tuple[Float[Tensor, "{count} s"], Float[Tensor, "{count} s s"]] | None:
        """What is known of the betas of `count` people: means, and roots R of precisions, R^T R; None where nothing is.

        Of people of whom nothing is known these are the population's. `beyond_population` is for estimates that have
        the population in them already: only what is known beside it, which is nothing (R = 0) of such people.

        Raises:
            InputError: the shape is one of another body model; the body model does not know such people.
        """
        if not self:
            return None
        if self.shape is not None:
            mean, root = rooted(self._shape_of(body, self.shape))
            return mean.expand(count, -1), root.expand(count, -1, -1)
        usual = shape_given(body)

        def rest(known: dict[str, Any]) -> Gaussian:
            gaussian = shape_given(body, **known)
            return beyond(gaussian, usual) if beyond_population else rooted(gaussian)

        told = self._each(count, rest)
        means, roots = zip(*told)
        return torch.stack(means), torch.stack(roots)

    def groups(self, body: BodyModel, count: int) -> list[list[Group]]:
        """The age groups that each of `count` people may belong to, and the shapes of people like them in each.

        Raises InputError as `shapes`.
        """
        if self.shape is not None:
            shape = self._shape_of(body, self.shape)
            return [[Group(group.share, shape, group.grown) for group in groups_given(body)]] * count
        return self._each(count, lambda known: groups_given(body, **known))

    def _each(self, count: int, told: Callable[[dict[str, Any]], T]) -> list[T]:
        """What facts tell of each person, asked once of people of whom the same is known."""
        facts = [tuple(sorted(known.items())) for known in self._facts(count)]
        answers = {known: told(dict(known)) for known in dict.fromkeys(facts)}
        return [answers[known] for known in facts]

    def _shape_of(self, body: BodyModel, shape: Gaussian) -> Gaussian:
        """Raises InputError where it is one of another body model."""
        if len(shape[0]) != body.shape_count:
            raise InputError(
                f"shape: expected mean and covariance of this body model's {body.shape_count} betas, got those of "
                f"{len(shape[0])}"
            )
        return shape


@dataclass(frozen=True)
class Facts:
    """What is known of one person, as in `Known`, and where they are in the picture.

    Attributes:
        box: x0, y0, x1, y1 in pixels, about; the person who is found there is meant. None: everybody.
    """

    sex: str | float | None = None
    age: float | None = None
    age_group: str | None = None
    height: float | None = None
    weight: float | None = None
    box: Any = None

    def known(self) -> Known:
        """Of everybody. Raises InputError where a value is impossible."""
        return Known(height=self.height, age_group=self.age_group, sex=self.sex, age=self.age, weight=self.weight)


NOTHING = Known()
"""About anybody."""


def _checked_facts(name: str, value: Any) -> float | Float[Tensor, " n"]:
    """One number or one for each person, nan where unknown. Raises InputError where a value is impossible."""
    if not isinstance(value, list | tuple) and not getattr(value, "ndim", 0):
        return checked_fact(name, value)
    low, high, unit = RANGES[name]
    if isinstance(value, list | tuple):
        value = [math.nan if each is None else sex_number(each) if name == "sex" else each for each in value]
    expected = f"one number, or a row of them, of {unit} between {low:g} and {high:g}, nan where unknown"
    values = _tensor(value, name, expected, nan=True)
    if values.ndim != 1 or len(values) == 0:
        raise InputError(f"{name}: expected {expected}, got shape {tuple(values.shape)}")
    wrong = values[~values.isnan() & ~((values >= low) & (values <= high))]
    if len(wrong):
        raise InputError(f"{name}: expected {expected}, got {float(wrong[0]):g}")
    return values


def _checked_gaussian(shape: Any) -> Gaussian:
    expected = "(mean, covariance) of betas, of shapes (s,) and (s, s)"
    if not isinstance(shape, list | tuple) or len(shape) != 2:
        raise InputError(f"shape: expected {expected}, got {shown(shape)}")
    mean, covariance = (_tensor(values, "shape", expected) for values in shape)
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise InputError(f"shape: expected {expected}, got {tuple(mean.shape)} and {tuple(covariance.shape)}")
    if (mean.abs() > _MOST_DEVIATIONS).any():
        raise InputError(
            f"shape: expected a mean within {_MOST_DEVIATIONS:g} standard deviations, got {float(mean.abs().max()):g}"
        )
    double = covariance.double()
    lowest, highest = (spread**2 for spread in _SPREADS)
    spreads = torch.linalg.eigvalsh(double) if len(mean) else double.diagonal()
    symmetric = torch.allclose(double, double.mT, rtol=1e-3, atol=1e-6 * float(double.abs().amax() if len(mean) else 0))
    if not symmetric or not ((spreads >= lowest) & (spreads <= highest)).all():
        raise InputError(
            "shape: expected a covariance that is symmetric and positive definite, with standard deviations between "
            f"{_SPREADS[0]:g} and {_SPREADS[1]:g}, got variances along its axes of {spreads.tolist()}"
        )
    return mean, covariance


def _tensor(given: Any, name: str, expected: str, nan: bool = False) -> Float[Tensor, "..."]:
    """Numbers in float32, on the device that they came from. Raises InputError as `numbers`."""
    values = torch.from_numpy(numbers(given, name, expected, nan))
    return values.to(given.device) if isinstance(given, Tensor) else values


def checked_known(known: Any) -> "Known | list[Facts]":
    """What is known of everybody or of each of some people, or of whoever is where (each with a box).

    Raises InputError where it is nothing of the kind.
    """
    if isinstance(known, Facts):
        known = [known] if known.box is not None else known.known()
    if isinstance(known, Known):
        return known
    if isinstance(known, list | tuple) and known and all(isinstance(each, Facts) for each in known):
        for each in known:
            each.known()
        return list(known)
    raise InputError(
        f"known: expected nbf.Known, such as nbf.Known(height=1.78), nbf.Facts or a list of them, got {shown(known)}"
    )


def known_of(known: "Known | list[Facts]", boxes: Float[Tensor, "n 4"], *, ordered: bool) -> Known:
    """What is known of the people in some boxes.

    Args:
        known: as `checked_known` gives it.
        boxes: of the people, pixels.
        ordered: whoever gave what is known also gave the boxes, or has seen them, so that rows may belong to them.

    Raises:
        InputError: it is known of another number of people, or of somebody who is not there.
    """
    count = len(boxes)
    if isinstance(known, Known):
        several = [name for name in (*RANGES, "age_group") if _several(getattr(known, name))]
        if several and not ordered:
            raise InputError(
                f"{several[0]}: expected one where people are yet to be located, got several; give boxes= beside them, "
                "in the same order, or say where each is: known=[nbf.Facts(box=..., ...), ...]"
            )
        if count:
            known.of(slice(None), count)
        return known
    rows: list[Facts | None] = [None] * count
    placed = [each for each in known if each.box is not None]
    if placed and len(placed) < len(known):
        raise InputError("known: expected a box in each of several facts, got some without")
    if not placed:
        if not ordered or len(known) != count:
            raise InputError(f"known: expected facts of {count} people, or boxes in them, got those of {len(known)}")
        rows = list(known)
    for each in placed:
        box = numbers(each.box, "box", "x0, y0, x1, y1 in pixels")
        if box.shape != (4,):
            raise InputError(f"box: expected x0, y0, x1, y1 in pixels, got shape {box.shape}")
        overlap = box_iou(torch.from_numpy(box)[None], boxes)[0]
        person = int(overlap.argmax()) if count else 0
        if not count or overlap[person] < _SAME_BOX:
            raise InputError(f"known: nobody was found at {box.tolist()}, about whom facts are given; give boxes=")
        if rows[person] is not None:
            raise InputError(f"known: expected facts of one person at {box.tolist()}, got those of two")
        rows[person] = each
    given: dict[str, Any] = {}
    for name in (*RANGES, "age_group"):
        values = tuple(None if row is None else getattr(row, name) for row in rows)
        if any(value is not None for value in values):
            given[name] = values if name == "age_group" else _checked_facts(name, values)
    return Known(**given)


def _several(value: Any) -> bool:
    return isinstance(value, tuple) or (isinstance(value, Tensor) and value.numel() > 1)
