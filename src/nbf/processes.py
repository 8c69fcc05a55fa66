"""Several processes that train one network, as `torchrun` starts them: what one process would learn, they learn.

Every process has the whole network and goes through the same batches with the same random numbers. Of each batch a
network sees a share of the rows in each process (`by_rows`), but its answers are put together again, so that losses are
those of the whole batch, whatever they are means of. Where one process alone trains, all of this does nothing.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.utils._pytree import tree_leaves, tree_map_only

from nbf.errors import DataError, InputError


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Meanwhile this process is one of those that torchrun started, if it started several; "cuda" is then the GPU of
    its number.

    Raises:
        InputError: `device` is one GPU for all of them, or there are fewer GPUs than processes.
    """
    launched = distributed.is_available() and distributed.is_torchelastic_launched()
    if not launched or os.environ["WORLD_SIZE"] == "1":
        yield
        return
    backend = "gloo"
    if torch.device(device).type == "cuda":
        number, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if torch.device(device).index is not None:
            raise InputError(f"device: expected cpu or cuda, as each process of torchrun has its own GPU, got {device}")
        if number >= gpus:
            raise InputError(
                f"torchrun: expected no more processes than GPUs on a machine, got {os.environ['LOCAL_WORLD_SIZE']} "
                f"for {gpus}; give --nproc-per-node {gpus or 1}" + " --loop.device cpu" * (not gpus)
            )
        torch.cuda.set_device(number)
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend)
    # Not after a failure: leaving waits for the others, who wait for this one. That it ends makes torchrun end them.
    yield
    distributed.destroy_process_group()


def count() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return distributed.get_rank() if count() > 1 else 0


def leads() -> bool:
    """Whether this is the process that writes files and speaks."""
    return rank() == 0


def by_rows(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of a batch, of which every process computes a share of the rows.

    Inputs and answers are tensors, or tuples of them, whose first dimension is the row; inputs are the same in all
    processes and need no gradients. Whatever comes of the answers, the mean over the processes of a parameter's
    gradient is that of one process; so it is for parameters that are used without `by_rows`. The function must draw no
    random numbers.

    Raises:
        DataError: there are fewer rows than processes.
    """
    if count() == 1:
        return function

    def shared(*inputs: Any) -> Any:
        total = len(next(each for each in tree_leaves(inputs) if isinstance(each, Tensor)))
        if total < count():
            raise DataError(f"expected a batch with a row for each of {count()} processes, got {total}; start fewer")
        start, stop = (total * each // count() for each in (rank(), rank() + 1))
        answer = function(*tree_map_only(Tensor, lambda each: each[start:stop], inputs))
        return tree_map_only(Tensor, lambda each: _Joined.apply(each, start, total), answer)

    return shared


class _Joined(Function):
    """The rows of all processes, from those of each."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, start: int, total: int) -> Tensor:
        ctx.rows = slice(start, start + len(own))
        rows = own.new_zeros(total, *own.shape[1:])
        rows[ctx.rows] = own
        distributed.all_reduce(rows)
        return rows

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        # Every process knows the gradient of all rows, and only this one learns from these: as their mean is taken,
        # these count as often as there are processes.
        return gradients[0][ctx.rows] * count(), None, None


def summed(values: Tensor) -> Tensor:
    """The sum over all processes, with gradients, inside of a function that is computed `by_rows`."""
    return _Summed.apply(values)


class _Summed(Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Summed.forward(ctx, gradients[0])


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Gradients become their means over all processes."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if count() == 1 or not gradients:
        return
    flat = torch.cat([each.flatten() for each in gradients])
    distributed.all_reduce(flat)
    for each, mean in zip(gradients, (flat / count()).split([each.numel() for each in gradients])):
        each.copy_(mean.view(each.shape))


def handed_out(batch: dict[str, Tensor], owner: int) -> dict[str, Tensor]:
    """The batch of the process `owner`; batches of all processes have the same names, shapes and kinds of number."""
    if count() == 1:
        return batch
    handed = {}
    for name, value in batch.items():
        handed[name] = value.contiguous() if rank() == owner else torch.empty_like(value).contiguous()
        distributed.broadcast(handed[name], owner)
    return handed


def alike(values: Tensor) -> bool:
    """Whether all processes have the same numbers, up to rounding."""
    if count() == 1:
        return True
    low, high = values.cpu(), values.cpu().clone()
    distributed.all_reduce(low, distributed.ReduceOp.MIN)
    distributed.all_reduce(high, distributed.ReduceOp.MAX)
    return torch.allclose(low, high, rtol=1e-9, equal_nan=True)


def wait() -> None:
    """Until all processes are here."""
    alike(torch.zeros(1))


class Clock:
    """A clock on which all processes read the same time: the leading one's, when they last looked at it together."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.look()

    def __call__(self) -> float:
        return self._now

    def look(self) -> None:
        """All processes together."""
        self._now = self._clock()
        if count() > 1:
            now = torch.tensor(self._now, dtype=torch.float64)
            distributed.broadcast(now, 0)
            self._now = now.item()
