"""The networks of a predictor run by onnxruntime: each with the call of the torch network that it stands for."""

import ctypes
import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

import nbf
from nbf.errors import InputError, ModelFileError
from nbf.limits import onnx_files
from nbf.nets.fitter import FitterInput, JointMaps
from nbf.nets.locator import LocatorOutput
from nbf.nets.mean_body import FitterOutput
from nbf.nets.segmenter import SegmenterOutput
from nbf.networks import Networks, Runners
from nbf.onnx.graphs import GRAPHS, Graph, check_installed, write_graph

log = logging.getLogger(__name__)


MOST = {"locator": 4, "segmenter": 4, "fitter": 64}
"""That a graph is given at once. Convolutions of more pictures take no less time for each, and more memory: 32 crops at
once 3.5 GB."""


class Session:
    """One ONNX file, run on the CPU by as many threads as torch has."""

    def __init__(self, path: Path, graph: Graph) -> None:
        """
        Raises:
            ModelFileError: the file is missing or damaged, or what goes in or comes out is not that of `graph`.
        """
        self._path = path
        self._most = MOST[graph.name]
        self._inputs = [value.name for value in graph.inputs]
        self._session: Any = _opened(path)
        _SESSIONS.add(self)
        here = [_values(values) for values in (self._session.get_inputs(), self._session.get_outputs())]
        expected = [[(value.name, list(value.shape)) for value in values] for values in (graph.inputs, graph.outputs)]
        if here != expected:
            raise ModelFileError(
                f"{path}: expected a {graph.name} from {expected[0]} to {expected[1]}, got a graph from {here[0]} to "
                f"{here[1]}; write it anew with `nbf export-model`"
            )

    def __call__(self, *inputs: Tensor) -> Iterator[Tensor]:
        """What comes out, in order."""
        if not len(inputs[0]):
            # Of nobody: graphs cannot reshape what has no numbers.
            return (value[:0] for value in self(*(torch.zeros(1, *value.shape[1:]) for value in inputs)))
        if self._session is None:
            self._session = _opened(self._path)
        pieces = [self._run(*piece) for piece in zip(*(value.split(self._most) for value in inputs))]
        return (torch.from_numpy(np.concatenate(values)) for values in zip(*pieces))

    def _run(self, *inputs: Tensor) -> list[np.ndarray]:
        given = {name: np.ascontiguousarray(value.numpy()) for name, value in zip(self._inputs, inputs, strict=True)}
        return self._session.run(None, given)

    def leave(self) -> None:
        """In a forked process: leave the session to the parent, and open another when there is something to run.

        Its threads did not come along. To end it would be to wait for them for ever; so nobody does, and forked
        processes end by `os._exit`, as multiprocessing's do.
        """
        if self._session is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))
            self._session = None


_SESSIONS: "WeakSet[Session]" = WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: [session.leave() for session in _SESSIONS])


@dataclass(frozen=True)
class OnnxLocator:
    """As `nbf.nets.Locator`."""

    session: Session

    def __call__(self, image: Float[Tensor, "b 3 h w"]) -> LocatorOutput:
        return LocatorOutput(*self.session(image))


@dataclass(frozen=True)
class OnnxSegmenter:
    """As `nbf.nets.Segmenter`."""

    session: Session

    def __call__(self, image: Float[Tensor, "b 3 h w"]) -> SegmenterOutput:
        return SegmenterOutput(*self.session(image))


@dataclass(frozen=True)
class OnnxFitter:
    """As `nbf.nets.Fitter`."""

    session: Session

    def __call__(self, seen: FitterInput) -> tuple[FitterOutput, JointMaps]:
        betas, rotations, scale, offset, logits, places, spreads = self.session(*seen)
        return FitterOutput(betas, rotations, scale, offset), JointMaps(logits, places, spreads)


def load_networks(weights: Path | None = None, device: str | torch.device = "cpu") -> Networks:
    """As `Networks.load`, with locator, segmenter and fitter run by onnxruntime.

    Args:
        weights: folder with ONNX files of `nbf export-model`, with weights of `nbf train`, or with both. What it has as
            ONNX file is run; of the others, one is made of the weights, once, and kept in `cache_folder`.
        device: the CPU.

    Raises:
        InputError: onnx or onnxruntime is not installed, or the device is another.
        ModelFileError: a file is missing or damaged, is about something else, or cannot be written.
    """
    check_installed("onnxruntime")
    given = {} if weights is None else onnx_files(weights)
    trained = weights is not None and not (given and not any(weights.glob("*.safetensors")))
    networks = Networks.load(weights if trained else None, device)
    if networks.device.type != "cpu":
        raise InputError(f"device: expected cpu beside the runtime onnx, got {device}; use the runtime torch")
    sessions = [_session(name, networks, given.get(name)) for name in ("locator", "segmenter", "fitter")]
    runners = Runners(OnnxLocator(sessions[0]), OnnxSegmenter(sessions[1]), OnnxFitter(sessions[2]))
    return replace(networks, runners=runners)


def _session(name: str, networks: Networks, path: Path | None) -> Session:
    """Of a file, or of one in the cache, which is made where it is missing."""
    graph = GRAPHS[name](networks)
    if path is not None:
        return Session(path, graph)
    path = cache_folder() / f"{name}-{_key(graph)}.onnx"
    if not path.is_file():
        log.info("%s: written, once for these weights", path)
        try:
            write_graph(graph, path)
        except OSError as error:
            raise ModelFileError(
                f"{path}: cannot be written ({error}); name a folder that can with the variable XDG_CACHE_HOME, or "
                "give one as weights that `nbf export-model` wrote"
            ) from error
    return Session(path, graph)


def cache_folder() -> Path:
    """Where graphs are kept: `nbf/onnx` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nbf" / "onnx"


def _key(graph: Graph) -> str:
    """Of the numbers in a graph, and of who writes it."""
    key = hashlib.sha256(f"{nbf.__version__} {torch.__version__}".encode())
    for name, tensor in graph.module.state_dict().items():
        key.update(f"{name} {tuple(tensor.shape)}".encode())
        key.update(tensor.contiguous().numpy())
    return key.hexdigest()[:16]


def _opened(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait for the next picture would have the cores that the solver needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    # Its kinds of error, and what Python says of files.
    except Exception as error:
        raise ModelFileError(
            f"{path}: cannot be loaded ({str(error)[:200]}); remove it, and it is written anew, or run "
            "`nbf export-model` again"
        ) from error


def _values(values: list[Any]) -> list[tuple[str, list[int | str]]]:
    return [(value.name, list(value.shape)) for value in values]
