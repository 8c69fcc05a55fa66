"""The networks that methods are made of: the bundled ones, or somebody's own in their place."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from nbf.body.files import load_body
from nbf.body.model import BodyModel
from nbf.errors import InputError, ModelFileError
from nbf.limits import weight_files
from nbf.nets.doubt import Doubt
from nbf.nets.fitter import Fitter, FitterInput, JointMaps
from nbf.nets.hmr import Hmr
from nbf.nets.locator import Locator, LocatorOutput
from nbf.nets.mean_body import FitterOutput
from nbf.nets.omran import Omran
from nbf.nets.pavlakos import Pavlakos
from nbf.nets.regressor import Regressor
from nbf.nets.segmenter import Segmenter, SegmenterOutput
from nbf.nets.weights import N, Network, load_kind, load_network

BODY = "anny24"
"""The body model that the bundled fitter was trained for."""


@dataclass(frozen=True)
class Runners:
    """What computes networks in torch's place, each called as the network is, on the CPU."""

    locator: Callable[[Tensor], LocatorOutput]
    segmenter: Callable[[Tensor], SegmenterOutput]
    fitter: Callable[[FitterInput], tuple[FitterOutput, JointMaps]]


@dataclass(frozen=True)
class Networks:
    """Trained networks, the body model that their fitter speaks of, and how they are to compute.

    Each of the bundled networks is read when it is first asked for: no method needs all of them.
    """

    own: tuple[Network, ...] = ()
    """Networks in place of the bundled ones, at most one of each kind."""
    body: BodyModel = field(default_factory=lambda: load_body(BODY))
    body_name: str = BODY
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """Where the networks run; the body model and all results stay on the CPU."""
    exact: bool = False
    """In float32 where bfloat16 would be faster: the same numbers on every machine."""
    runners: Runners | None = None
    """Another runtime than torch, of what sees and solves; all else of methods stays torch's."""

    @property
    def run(self) -> "Networks | Runners":
        """Where the locator, the segmenter and the fitter are that predict."""
        return self if self.runners is None else self.runners

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str | torch.device = "cpu") -> "Networks":
        """The bundled networks, or those in a folder in place of the bundled ones.

        Args:
            weights: folder with files of `nbf train`, such as that of a run: `weights.safetensors`, or any other name,
                beside a .json that says which network it is; at most one of each. The bundled ones stand in for those
                that it lacks.
            device: where they run.

        Raises:
            ModelFileError: a file is missing or damaged, the folder holds none, or two of one network.
            InputError: there is no such device.
        """
        checked = _checked(device)
        return cls(() if weights is None else _found(Path(weights)), device=checked)

    @cached_property
    def locator(self) -> Locator:
        return self._one(Locator)

    @cached_property
    def segmenter(self) -> Segmenter:
        return self._one(Segmenter)

    @cached_property
    def fitter(self) -> Fitter:
        return self._one(Fitter)

    @cached_property
    def doubt(self) -> Doubt:
        return self._one(Doubt)

    @cached_property
    def hmr(self) -> Hmr:
        """For the trunk of the bundled segmenter."""
        return self._one(Hmr)

    @cached_property
    def pavlakos(self) -> Pavlakos:
        return self._one(Pavlakos)

    @cached_property
    def regressor(self) -> Regressor:
        """What `selfsup` starts from: joints and silhouette -> body."""
        return self._one(Regressor)

    @property
    def omran(self) -> Omran | None:
        """Whoever wants it trains it: its weights are too large to come along."""
        return next((network for network in self.own if isinstance(network, Omran)), None)

    def _one(self, kind: type[N]) -> N:
        """Raises ModelFileError where the bundled file is missing or damaged."""
        own = next((network for network in self.own if isinstance(network, kind)), None)
        return load_kind(kind.__name__.lower(), kind) if own is None else own


def _found(folder: Path) -> tuple[Network, ...]:
    found: dict[str, Network] = {}
    for path in weight_files(folder):
        network = load_network(path)
        name = type(network).__name__.lower()
        if not hasattr(Networks, name):
            raise ModelFileError(f"{path}: expected networks that methods use, got a {name}; remove it")
        if name in found:
            raise ModelFileError(f"{path}: a second {name} in this folder; expected one of each network, remove one")
        found[name] = network
    return tuple(found.values())


def _checked(device: str | torch.device) -> torch.device:
    try:
        checked = torch.device(device)
        # There and back: some devices hold shapes without numbers.
        torch.empty(1, device=checked).cpu()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise InputError(f"device: {device!r} cannot be used here ({str(error).splitlines()[0]}); use 'cpu'") from error
    return checked
