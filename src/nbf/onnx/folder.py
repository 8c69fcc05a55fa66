"""A folder with all graphs, and a model.json that says what goes in and what comes out, in which units."""

import json
from pathlib import Path
from typing import Any

import nbf
from nbf.body.joints import COCO17, SMPL24
from nbf.body.parts import PARTS24
from nbf.files import fingerprint, replacing
from nbf.networks import Networks
from nbf.onnx.graphs import GRAPHS, LICENCE, OPSET, Graph, Value, write_graph

INDEX, NOTE = "model.json", "LICENSE.txt"
_NOTE = f"""Written by neural-body-fitting {nbf.__version__}.

The networks that come with it and the body model anny24 are under the Apache License, Version 2.0
(https://www.apache.org/licenses/LICENSE-2.0): keep this note beside them. What they were made from, the file NOTICE of
neural-body-fitting says. Networks that you trained are yours.
"""


def write_folder(networks: Networks, folder: Path) -> dict[str, Graph]:
    """Write every graph of `GRAPHS` as NAME.onnx, and the note on licences; `write_index` comes last.

    Raises:
        InputError: onnx is not installed.
        OSError: a file cannot be written.
    """
    graphs = {name: make(networks) for name, make in GRAPHS.items()}
    for name, graph in graphs.items():
        write_graph(graph, folder / f"{name}.onnx")
    with replacing(folder / NOTE) as draft:
        draft.write_text(_NOTE, encoding="utf-8")
    return graphs


def write_index(graphs: dict[str, Graph], networks: Networks, folder: Path, int8: tuple[str, ...] = ()) -> None:
    """Write model.json; `int8` are the graphs whose convolutions are in int8. Raises OSError where it cannot be."""
    index = {
        "package": "neural-body-fitting",
        "version": nbf.__version__,
        "licence": LICENCE,
        "opset": OPSET,
        "body": networks.body_name,
        "conventions": "Metres, radians. Cameras look along z, x is right, y down. left_* is the person's own left.",
        "joints": SMPL24,
        "keypoints": COCO17,
        "parts": PARTS24,
        "files": {
            f"{name}.onnx": {
                "what": graph.what,
                "convolutions": "int8" if name in int8 else "float32",
                "sha256": fingerprint(folder / f"{name}.onnx"),
                "inputs": [_described(value) for value in graph.inputs],
                "outputs": [_described(value) for value in graph.outputs],
            }
            for name, graph in graphs.items()
        },
    }
    with replacing(folder / INDEX) as draft:
        draft.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def _described(value: Value) -> dict[str, Any]:
    return {"name": value.name, "shape": value.shape, "what": value.what}
