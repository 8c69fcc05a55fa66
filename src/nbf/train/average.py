"""Moving average of a network's weights and statistics."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

NetworkT = TypeVar("NetworkT", bound=nn.Module)


class Average(Generic[NetworkT]):
    """Exponential moving average of all floating-point state; its `network` is in eval mode and ready to use.

    The decay starts low, as (1 + n) / (10 + n), so that a short run is not averaged with its beginning
    (TensorFlow's ExponentialMovingAverage, `num_updates`).
    """

    def __init__(self, network: NetworkT, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0
        theirs, ours = network.state_dict(), self.network.state_dict()
        floating = [name for name, value in ours.items() if value.is_floating_point()]
        self._average, self._current = [ours[name] for name in floating], [theirs[name] for name in floating]

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self._average, self._current, 1.0 - decay)  # pyright: ignore[reportPrivateImportUsage]

    def state_dict(self) -> dict:
        return {"network": self.network.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.updates = state["updates"]
