"""What becomes an ONNX graph: each network, and the body model, with what goes in and what comes out.

All numbers are float32, and the first axis of all but `faces` is the batch, of any size. Graphs look one way; that a
predictor asks the mirror image, too, and means both answers (`nbf.nets.mirror`), is left to who runs them.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import nbf
from nbf.body.model import BodyModel, pose_joints
from nbf.errors import InputError
from nbf.files import replacing
from nbf.nets import locator, segmenter
from nbf.nets.blocks import ModuleT, for_inference
from nbf.nets.doubt import Clues, Doubt
from nbf.nets.fitter import INPUT_SIZE, Fitter, FitterInput
from nbf.networks import Networks

OPSET = 18
"""Of ONNX: of 2022, which onnxruntime and its kin in browsers, on phones and in other languages know."""
LICENCE = "Apache-2.0"
_IMAGE = "RGB, 0 to 1, rows from the top"


@dataclass(frozen=True)
class Value:
    """Something that goes into a graph, or comes out."""

    name: str
    shape: tuple[int | str, ...]
    """Numbers, and "batch" where there are as many as people or pictures."""
    what: str


@dataclass(frozen=True)
class Graph:
    """A module to be written, and what it means."""

    name: str
    what: str
    module: nn.Module
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    """In the order in which the module answers."""

    def example(self, batch: int = 2, seed: int = 0) -> tuple[Tensor, ...]:
        """Inputs at random, 0 to 1."""
        draw = torch.Generator().manual_seed(seed)
        shapes = [[batch if size == "batch" else int(size) for size in value.shape] for value in self.inputs]
        return tuple(torch.rand(shape, generator=draw) for shape in shapes)


def check_installed(*packages: str) -> None:
    """Raises InputError where a package of the extra `onnx` is not installed."""
    for package in packages:
        if find_spec(package) is None:
            raise InputError(f"onnx: {package} is not installed; pip install 'neural-body-fitting[onnx]'")


def locator_graph(networks: Networks) -> Graph:
    """Whole pictures -> maps of boxes."""
    side, cells = locator.INPUT_SIZE, locator.INPUT_SIZE // locator.STRIDE
    return Graph(
        "locator",
        "Who is where in a picture, padded to a square.",
        _plain(networks.locator),
        (Value("image", ("batch", 3, side, side), _IMAGE),),
        (
            Value("center", ("batch", 1, cells, cells), "logits of: a person's box has its centre in this cell"),
            Value(
                "box", ("batch", 4, cells, cells),
                "from the cell's centre to the box's left, top, right and bottom side, in sides of the image",
            ),
        ),
    )  # fmt: skip


def segmenter_graph(networks: Networks) -> Graph:
    """Crops of people -> maps of parts, keypoints and surface."""
    side, cells = segmenter.INPUT_SIZE, segmenter.INPUT_SIZE // segmenter.STRIDE
    return Graph(
        "segmenter",
        "What a square crop around a person's box, 1.2 times its longer side, shows of them.",
        _plain(networks.segmenter),
        (Value("image", ("batch", 3, side, side), _IMAGE),),
        (
            Value("parts", ("batch", 25, cells, cells), "logits of background and the 24 parts; softmax over axis 1"),
            Value("keypoints", ("batch", 17, cells, cells), "logits of each keypoint's place; softmax over a map"),
            Value("surface", ("batch", 3, cells, cells), "canonical surface coordinates, 0 to 1, on the person"),
        ),
    )


def fitter_graph(networks: Networks) -> Graph:
    """Part maps and keypoints -> bodies."""
    cells = INPUT_SIZE
    return Graph(
        "fitter",
        "The body that a part map and keypoints are of.",
        _FitterGraph(_plain(networks.fitter)),
        (
            Value("parts", ("batch", 25, cells, cells), "probabilities of background and the 24 parts"),
            Value("keypoints", ("batch", 17, 3), "x, y from -1 to 1 across the crop, score 0 to 1; 0 where unknown"),
        ),
        (
            Value("betas", ("batch", networks.fitter.shapes), "shape, standard deviations"),
            Value("rotations", ("batch", 24, 3, 3), "of each joint relative to its parent; the root's to the camera"),
            Value("scale", ("batch",), "share of the crop's side that a metre at the pelvis spans"),
            Value("offset", ("batch", 2), "x, y of the pelvis, -1 to 1 across the crop"),
            Value("joint_maps", ("batch", 24, 32, 32), "logits of each joint's place"),
            Value("places", ("batch", 24, 2), "x, y of the joints, -1 to 1 across the crop"),
            Value("spreads", ("batch", 24), "logs of the maps' standard deviations, in the unit of places"),
        ),
    )


def doubt_graph(networks: Networks) -> Graph:
    """Clues about a fit -> how wrong it may be."""
    doubt = networks.doubt
    return Graph(
        "doubt",
        "How wrong a fitter's body and the joints seen in 2D may be; the clues are those of nbf.solve.clues.",
        _DoubtGraph(doubt),
        (
            Value("joints", ("batch", 24, 5), "clues about each joint"),
            Value("keypoints", ("batch", 17, 2), "clues about each keypoint"),
            Value("parts", ("batch", 24, 2), "clues about each part"),
            Value("whole", ("batch", 3), "clues about the person"),
        ),
        (
            Value("turns", ("batch", 24, 2), "log standard deviations, radians: across and about the line of sight"),
            Value("place", ("batch", 3), "of the pelvis in the crop (crop sides), and of the log scale"),
            Value("betas", ("batch", doubt.shapes), "of the shape"),
            Value("points", ("batch", 41), "of the 17 keypoints and the 24 joints in the picture, crop sides"),
        ),
    )


def body_graph(networks: Networks) -> Graph:
    """Parameters -> meshes."""
    body = networks.body
    vertices, faces = len(body.template), len(body.faces)
    return Graph(
        "body",
        f"The body model {networks.body_name}: posed meshes, metres, in the frame that the root's rotation leads to.",
        _BodyGraph(body),
        (
            Value("betas", ("batch", body.shape_count), "shape, standard deviations"),
            Value(
                "rotations", ("batch", 24, 3, 3), "of each joint relative to its parent; the root turns about itself"
            ),
            Value("translation", ("batch", 3), "metres, added last"),
        ),
        (
            Value("vertices", ("batch", vertices, 3), "metres"),
            Value("joints", ("batch", 24, 3), "metres"),
            Value("faces", (faces, 3), "vertices of each triangle, counter-clockwise from outside (int64)"),
        ),
    )


GRAPHS: dict[str, Callable[[Networks], Graph]] = {
    "locator": locator_graph,
    "segmenter": segmenter_graph,
    "fitter": fitter_graph,
    "doubt": doubt_graph,
    "body": body_graph,
}
"""The files of `nbf export-model`, without their ending."""


def write_graph(graph: Graph, path: Path) -> None:
    """Write one ONNX file, whole or not at all; values say in it what they are.

    Raises:
        InputError: onnx is not installed.
        OSError: the file cannot be written.
    """
    check_installed("onnx")
    import onnx

    # Torch 2.4 has no other.
    older: dict[str, Any] = {"dynamo": False} if "dynamo" in signature(torch.onnx.export).parameters else {}
    names = [value.name for value in graph.inputs + graph.outputs if "batch" in value.shape]
    with replacing(path) as draft:
        # PyTorch's newer exporter takes 25 seconds of CPU time for these networks; this one 3, and has the same nodes.
        # What it warns of are sizes that do not change, and its age.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph.module,
                graph.example(),
                str(draft),
                opset_version=OPSET,
                input_names=[value.name for value in graph.inputs],
                output_names=[value.name for value in graph.outputs],
                dynamic_axes={name: {0: "batch"} for name in names},
                **older,
            )
        model = onnx.load(draft)
        model.producer_name, model.producer_version = "neural-body-fitting", nbf.__version__
        model.doc_string = f"{graph.what} {LICENCE}."
        for value, stored in zip(graph.inputs + graph.outputs, [*model.graph.input, *model.graph.output], strict=True):
            stored.doc_string = value.what
            # It names, and numbers, sizes that it took for variable.
            for size, dim in zip(value.shape, stored.type.tensor_type.shape.dim, strict=True):
                dim.Clear()
                if isinstance(size, str):
                    dim.dim_param = size
                else:
                    dim.dim_value = size
        onnx.checker.check_model(model)
        onnx.save(model, draft)


class _FitterGraph(nn.Module):
    """Tensors for tuples."""

    def __init__(self, fitter: Fitter) -> None:
        super().__init__()
        self.fitter = fitter

    def forward(self, parts: Tensor, keypoints: Tensor) -> tuple[Tensor, ...]:
        body, maps = self.fitter(FitterInput(parts, keypoints))
        return (*body, *maps)


class _DoubtGraph(nn.Module):
    """Tensors for tuples."""

    def __init__(self, doubt: Doubt) -> None:
        super().__init__()
        self.doubt = doubt.eval()

    def forward(self, joints: Tensor, keypoints: Tensor, parts: Tensor, whole: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.doubt(Clues(joints, keypoints, parts, whole)))


class _BodyGraph(nn.Module):
    """The body model for any number of people at once: `BodyModel` itself skins so many at a time, which a graph would
    keep for all batches."""

    def __init__(self, body: BodyModel) -> None:
        super().__init__()
        self.body = body.eval()

    def forward(self, betas: Tensor, rotations: Tensor, translation: Tensor) -> tuple[Tensor, ...]:
        body = self.body
        transforms, joints = pose_joints(body.rest_joints(betas), rotations, translation)
        rest = body.rest_vertices(betas)
        if body.pose_dirs is not None:
            bend = (rotations[:, 1:] - torch.eye(3)).flatten(1)
            rest = rest + (bend @ body.pose_dirs.flatten(0, 1).T).unflatten(-1, body.template.shape)
        motion = (body.dense_weights @ transforms.flatten(2)).unflatten(-1, (3, 4))
        return (motion[..., :3] @ rest[..., None])[..., 0] + motion[..., 3], joints, body.faces


def _plain(network: ModuleT) -> ModuleT:
    """Batch norms folded, in the order of memory that ONNX has."""
    return for_inference(network).to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
