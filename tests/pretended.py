"""A GPU that is not there: computes on the CPU and fails where CUDA would, when tensors of two devices meet.

Only what Python sees is checked: `device` says "cuda" for tensors that were made there or from such ones, and every
call of PyTorch with tensors is looked at. Backward passes and optimisers are not.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

CUDA = torch.device("cuda")
# Of these, arguments on another device are welcome.
MOVES = ("to", "copy_", "__get__", "__set__", "load_state_dict", "__deepcopy__", "register_hook")
TO_CPU = ("cpu", "item", "tolist", "__bool__", "__int__", "__float__", "__index__", "__format__", "__repr__")


class PretendedGenerator(torch.Generator):
    """A generator of the CPU that says it is of another device."""

    def __new__(cls, device: torch.device | str = "cpu") -> "PretendedGenerator":
        return super().__new__(cls, "cpu")  # pyright: ignore[reportCallIssue]

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._pretended = torch.device(device)

    @property
    def device(self) -> torch.device:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._pretended


class PretendedCuda(TorchFunctionMode):
    """While it is active, "cuda" is a device. Generators must be `PretendedGenerator`s."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", str(func))
        if func == torch.Tensor.device.__get__:
            return CUDA if on_cuda(args[0]) else torch.device("cpu")
        if name == "numpy" and on_cuda(args[0]):
            raise TypeError("can't convert a cuda tensor to numpy: copy it to the CPU first")
        tensors = list(leaves((args, kwargs)))
        target = kwargs.pop("device", None)
        if name == "to":
            args, named = without_devices(args)
            target = target or named
            if len(args) > 1 and isinstance(args[1], Tensor):
                target = CUDA if on_cuda(args[1]) else torch.device("cpu")
        cuda = any(map(on_cuda, tensors)) if target is None else torch.device(target).type == "cuda"
        generator = kwargs.get("generator")
        if isinstance(generator, torch.Generator) and (generator.device.type == "cuda") != cuda:
            raise RuntimeError(f"{name}: a generator on {generator.device} for tensors {'not ' * (not cuda)}on cuda")
        if name not in MOVES and target is None:
            check(name, args, kwargs, tensors)
        result = func(*args, **kwargs)
        if name in TO_CPU:
            return result.clone() if result is args[0] else result
        if cuda is False and target is not None and isinstance(result, Tensor) and on_cuda(result):
            result = result.clone()  # `to` gives back the same tensor, but this one is somewhere else
        for tensor in leaves(result):
            if cuda or (name == "__get__" and on_cuda(args[0])):
                tensor.pretends = True  # pyright: ignore[reportAttributeAccessIssue]
        return result


def on_cuda(tensor: Tensor) -> bool:
    return getattr(tensor, "pretends", False)


def leaves(values: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dictionaries."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from leaves(value)
    elif isinstance(values, dict):
        yield from leaves(list(values.values()))


def without_devices(args: tuple) -> tuple[tuple, torch.device | None]:
    """Arguments of `Tensor.to` without the device among them, and that device."""
    named = [arg for arg in args[1:] if isinstance(arg, str | torch.device)]
    return tuple(arg for arg in args if not any(arg is one for one in named)), torch.device(named[0]) if named else None


def check(name: str, args: tuple, kwargs: dict, tensors: list[Tensor]) -> None:
    """Raises RuntimeError where tensors of two devices meet that must not: scalars may, and indices on the CPU."""
    if name in ("__getitem__", "__setitem__"):
        indices = list(leaves(args[1]))
        if not on_cuda(args[0]) and any(map(on_cuda, indices)):
            raise RuntimeError(f"{name}: indices on cuda for a tensor on the CPU")
        # Without index tensors, a value is copied as from any device.
        tensors = [args[0], *leaves(args[2:])] if indices else [args[0]]
    here = {on_cuda(tensor) for tensor in tensors if tensor.ndim}
    if len(here) > 1 or (here == {False} and any(map(on_cuda, tensors)) and name.endswith("_")):
        shapes = [f"{'cuda' if on_cuda(tensor) else 'cpu'} {tuple(tensor.shape)}" for tensor in tensors]
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, got {', '.join(shapes)}")


def module_to(real: Callable) -> Callable:
    """`nn.Module.to` that pretends as well."""

    def to(self: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        args, named = without_devices((self, *args))
        named = kwargs.pop("device", named)
        real(*args, **kwargs)
        if named is not None:
            for tensor in (*self.parameters(), *self.buffers()):
                tensor.pretends = torch.device(named).type == "cuda"  # pyright: ignore[reportAttributeAccessIssue]
        return self

    return to
