"""What is written as ONNX is what torch computes, for batches of any size, and says what it is."""

import json
from pathlib import Path

import pytest
import torch

import nbf
from nbf.networks import Networks
from nbf.onnx.graphs import GRAPHS, OPSET

onnx = pytest.importorskip("onnx", reason="needs pip install 'neural-body-fitting[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs pip install 'neural-body-fitting[onnx]'")


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks.load()


@pytest.mark.parametrize("name", GRAPHS)
@torch.no_grad()
def test_graphs_compute_what_torch_does(name: str, folder: Path, networks: Networks) -> None:
    graph = GRAPHS[name](networks)
    session = onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        given = graph.example(batch, seed=batch)
        answers = session.run(None, {value.name: x.numpy() for value, x in zip(graph.inputs, given, strict=True)})
        expected = graph.module(*given)
        for value, there, here in zip(graph.outputs, answers, expected, strict=True):
            assert tuple(there.shape) == tuple(batch if size == "batch" else size for size in value.shape), value.name
            torch.testing.assert_close(torch.from_numpy(there), here, rtol=1e-4, atol=1e-4, msg=value.name)


@torch.no_grad()
def test_the_body_is_the_models(networks: Networks) -> None:
    """The graph skins by other means than the model."""
    graph = GRAPHS["body"](networks)
    betas, rotations, translation = graph.example(3)
    vertices, joints, faces = graph.module(betas, rotations, translation)
    posed = networks.body(betas, rotations, translation)
    torch.testing.assert_close(vertices, posed.vertices, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(joints, posed.joints)
    assert torch.equal(faces, networks.body.faces)


def test_the_index_says_what_is_in_the_files(folder: Path) -> None:
    index = json.loads((folder / "model.json").read_text("utf-8"))
    assert index["version"] == nbf.__version__
    assert sorted(path.name for path in folder.iterdir()) == sorted([*index["files"], "LICENSE.txt", "model.json"])
    for name, said in index["files"].items():
        model = onnx.load(folder / name)
        assert [imported.version for imported in model.opset_import] == [index["opset"]] == [OPSET]
        for values, described in ((model.graph.input, said["inputs"]), (model.graph.output, said["outputs"])):
            for value, row in zip(values, described, strict=True):
                sizes = [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
                assert (value.name, sizes, value.doc_string) == (row["name"], row["shape"], row["what"])
