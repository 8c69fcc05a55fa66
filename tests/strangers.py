"""Whatever a stranger might pass as an argument, for tests that nothing breaks a function."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

_SHAPES = st.one_of(
    arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    st.sampled_from([(4,), (1, 4), (3, 4), (1, 17, 3), (2, 17, 3), (20, 17, 3), (20, 17), (3, 17, 20), (4, 4)]),
)
_KINDS = st.sampled_from(["u1", "u2", ">u2", "i4", "i8", "f2", "f4", ">f8", "c8", "?", "U3", "S2", "M8[s]", "O"])
_NUMBERS = st.one_of(
    st.integers(),
    st.integers(0, 20),
    st.floats(),
    st.floats(0, 20),
    st.sampled_from([1e-40, 1e30, 1e38, -1e300, 10**400, True, np.float32(1.5), np.bool_(True), 1 + 2j]),
)


def _array(kind: str, shape: tuple[int, ...], value: Any) -> np.ndarray:
    with np.errstate(all="ignore"):
        try:
            return np.full(shape, value, kind)
        except (ValueError, TypeError, OverflowError):
            return np.zeros(shape, kind)


_ARRAYS = st.builds(_array, _KINDS, _SHAPES, _NUMBERS)
_FLOATS = arrays_of.arrays(np.float64, _SHAPES, elements=st.one_of(st.floats(), st.floats(-50, 50)))


def _other_arrays(array: np.ndarray) -> list[Any]:
    """The same values in other clothes."""
    kinds: list[Any] = [
        np.ma.masked_array(array, np.ones(array.shape, bool)),
        np.ma.masked_array(array),
        np.asfortranarray(array),
        array[::-1] if array.ndim else array,
        np.broadcast_to(array[..., None], (*array.shape, 3)),
        array.tolist(),
        [array, array],
    ]
    if array.ndim == 2:
        kinds.append(array.view(np.matrix))
    if array.dtype.isnative and array.dtype.kind in "uif":
        tensor = torch.from_numpy(array.copy())
        kinds += [tensor, tensor.to("meta"), tensor.float().to_sparse(), [tensor]]
        if tensor.is_floating_point():
            kinds += [tensor.clone().requires_grad_(), tensor.bfloat16(), torch.nested.as_nested_tensor([tensor])]
    return kinds


def _endless(shape: tuple[int, ...]) -> list[Any]:
    return [np.broadcast_to(np.uint8(0), shape), torch.zeros(1).expand(shape)]


anything: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    _NUMBERS,
    st.text(max_size=8),
    st.sampled_from(["28mm", "1200", "exif", "adult", "nan", "-1px", "a\0b"]),
    st.binary(max_size=8),
    st.builds(object),
    st.dictionaries(st.text(max_size=3), st.floats(), max_size=2),
    st.recursive(_NUMBERS, lambda inner: st.lists(inner, max_size=5), max_leaves=30),
    st.one_of(_ARRAYS, _FLOATS),
    st.one_of(_ARRAYS, _FLOATS).flatmap(lambda array: st.sampled_from(_other_arrays(array))),
    st.sampled_from([(90_000, 90_000, 3), (90_000, 90_000), (3, 90_000, 90_000), (90_000_000, 4)]).flatmap(
        lambda shape: st.sampled_from(_endless(shape))
    ),
)
"""Values of all kinds, those that numerical code trips over above all."""


def as_called(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """A call as users make it: without the types checked that tests check, which would refuse strangers first."""
    with torch.no_grad():
        return inspect.unwrap(function)(*arguments, **options)


def as_made(kind: type, **options: Any) -> Any:
    """The same for an object of a class."""
    made = object.__new__(kind)
    as_called(kind.__init__, made, **options)
    return made
