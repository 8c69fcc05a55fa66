"""Work on many small tensors, of which nobody takes gradients: inference mode spares them a fifth of their time."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def inferred(work: Callable[P, R]) -> Callable[P, R]:
    """A function that works in inference mode, and whose results, dataclasses and named tuples of tensors, are like
    any others. What it keeps for later must be made outside of that mode (`torch.inference_mode(False)`)."""

    @wraps(work)
    def inferring(*args: P.args, **options: P.kwargs) -> R:
        with torch.inference_mode():
            result = work(*args, **options)
        return _like_others(result)

    return inferring


def _like_others(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone() if value.is_inference() else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_like_others, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _like_others(getattr(value, each.name)) for each in fields(value)})
    return value
