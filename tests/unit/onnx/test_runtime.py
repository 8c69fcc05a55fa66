"""onnxruntime predicts what torch does; files that cannot be run are named, with what to do."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import util
from pathlib import Path

import pytest
import torch

import nbf
from nbf.cli import main
from nbf.errors import InputError, ModelFileError
from nbf.geometry import Crop
from nbf.limits import check_weights
from nbf.methods import method
from nbf.networks import Networks
from nbf.onnx import graphs
from nbf.onnx.int8 import quantise
from nbf.onnx.runtime import MOST, cache_folder
from nbf.pictures import read_picture
from nbf.predictor import Predictor

pytest.importorskip("onnx", reason="needs pip install 'neural-body-fitting[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs pip install 'neural-body-fitting[onnx]'")

DEMO = Path(__file__).resolve().parents[3] / "examples" / "demo.jpg"
BOX = [[301, 188, 624, 825]]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    return cache_folder()


@pytest.mark.slow
def test_a_prediction_is_torchs(folder: Path, cache: Path) -> None:
    networks = replace(Networks.load(), exact=True)
    expected = Predictor(networks, method("nbf", networks)).predict(DEMO, boxes=BOX)[0]
    found = nbf.load(folder, runtime="onnx").predict(DEMO, boxes=BOX)[0]
    assert not cache.exists(), "all of them were in the folder"
    assert float((found.vertices - expected.vertices).abs().max()) < 1e-4, "metres"
    assert float((found.keypoints - expected.keypoints).abs().max()) < 1e-2


@torch.no_grad()
def test_the_locator_is_torchs(folder: Path) -> None:
    networks = replace(Networks.load(), exact=True)
    image = torch.from_numpy(read_picture(DEMO).pixels).permute(2, 0, 1)
    here, there = (
        predictor.locate(image)
        for predictor in (
            Predictor(networks, method("nbf-plain", networks)),
            nbf.load(folder, "nbf-plain", runtime="onnx"),
        )
    )
    torch.testing.assert_close(there[0], here[0], rtol=0, atol=1e-2)
    torch.testing.assert_close(there[1], here[1], rtol=0, atol=1e-4)


def test_of_nobody_nothing_comes_out(folder: Path) -> None:
    networks = nbf.load(folder, "nbf-plain", runtime="onnx").networks
    center, box = networks.run.locator(torch.zeros(0, 3, 256, 256))
    assert (center.shape, box.shape) == ((0, 1, 64, 64), (0, 4, 64, 64))


def test_many_are_seen_as_one_by_one(folder: Path) -> None:
    run = nbf.load(folder, "nbf-plain", runtime="onnx").networks.run.locator
    images = torch.rand(2 * MOST["locator"] + 1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    together, alone = run(images), [run(image[None]) for image in images]
    for i, values in enumerate(zip(*alone, strict=True)):
        torch.testing.assert_close(together[i], torch.cat(values), rtol=1e-4, atol=1e-4)


def test_files_are_made_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbf.load(method="nbf-plain", runtime="onnx")
    assert sorted(path.name.split("-")[0] for path in cache.iterdir()) == ["fitter", "locator", "segmenter"]
    monkeypatch.setattr("nbf.onnx.runtime.write_graph", lambda *_: pytest.fail("written again"))
    nbf.load(method="nbf-plain", runtime="onnx")
    damaged = next(cache.glob("locator-*"))
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(ModelFileError, match=r"locator-\w+\.onnx: cannot be loaded .* remove it"):
        nbf.load(method="nbf-plain", runtime="onnx")


def test_a_cache_that_cannot_be_written_is_named(cache: Path) -> None:
    cache.parent.parent.mkdir(parents=True, exist_ok=True)
    cache.parent.write_text("in the way")
    with pytest.raises(ModelFileError, match=r"cannot be written .* XDG_CACHE_HOME"):
        nbf.load(method="nbf-plain", runtime="onnx")


def test_a_file_of_another_network_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "fitter.onnx", tmp_path / "locator.onnx")
    with pytest.raises(ModelFileError, match=r"(?s)expected a locator from .*`nbf export-model`"):
        nbf.load(tmp_path, runtime="onnx")


def test_a_folder_for_the_other_runtime_is_named(folder: Path, tmp_path: Path) -> None:
    check_weights(folder, "onnx")
    with pytest.raises(ModelFileError, match="the runtime onnx takes"):
        check_weights(folder, "torch")
    with pytest.raises(ModelFileError, match="one without any"):
        check_weights(tmp_path, "onnx")
    with pytest.raises(InputError, match="runtime: expected one of torch, onnx, got 'tvm'"):
        nbf.load(runtime="tvm")


def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    found = util.find_spec
    monkeypatch.setattr(graphs, "find_spec", lambda name: None if name.startswith("onnx") else found(name))
    with pytest.raises(InputError, match=r"onnxruntime is not installed; pip install .*\[onnx\]"):
        nbf.load(runtime="onnx")
    assert main(["export-model", str(tmp_path / "new")]) == 2
    assert "onnx is not installed; pip install" in capsys.readouterr().err


@pytest.mark.slow
def test_int8_locators_see_much_the_same(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "locator.onnx"
    shutil.copy(folder / "locator.onnx", path)
    image = torch.from_numpy(read_picture(DEMO).pixels).permute(2, 0, 1)
    expected, _ = nbf.load(folder, "nbf-plain", runtime="onnx").locate(image)
    quantise(path, Crop(torch.tensor([[450.0, 450.0]]), torch.tensor([900.0]), 256).sample(image))
    assert path.stat().st_size < 0.4 * (folder / "locator.onnx").stat().st_size
    found, _ = nbf.load(tmp_path, "nbf-plain", runtime="onnx").locate(image)
    assert len(found) == len(expected)
    assert float((found - expected).abs().max()) < 20, "pixels of 900"


CODE = f"""
import os, signal, sys
import torch
import nbf

torch.set_num_threads(2)
predictor = nbf.load(sys.argv[1], "nbf-plain", runtime="onnx")
predict = lambda: predictor.predict({str(DEMO)!r}, boxes={BOX})[0].vertices
mine = predict()
child = os.fork()
if child == 0:
    signal.alarm(90)
    same = float((predict() - mine).abs().max()) < 1e-3
    os._exit(0 if same else 9)
assert os.waitpid(child, 0)[1] == 0, "a forked child did not predict"
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_children_predict(folder: Path) -> None:
    command = [sys.executable, "-c", CODE, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
