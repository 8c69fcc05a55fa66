"""The example in JavaScript finds what the torch networks find, called one after the other as it calls them.

`npm install --ignore-scripts` in its folder installs what it takes; without, the test is skipped.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nbf.body.joints import COCO17, SMPL24
from nbf.cli import main
from nbf.geometry import Camera, Crop
from nbf.nets.blocks import for_inference
from nbf.nets.fitter import FitterInput
from nbf.nets.locator import decode
from nbf.nets.mean_body import body_translation
from nbf.nets.mirror import in_crop
from nbf.nets.segmenter import INPUT_SIZE, decode_keypoints, part_probabilities
from nbf.networks import Networks
from nbf.pictures import read_picture

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE, PHOTO = ROOT / "examples" / "onnx_joints", ROOT / "examples" / "demo.jpg"
NODE = shutil.which("node")


@pytest.mark.slow
@pytest.mark.skipif(
    not (NODE and (EXAMPLE / "node_modules").is_dir()), reason="needs node and npm install in examples/onnx_joints"
)
def test_javascript_finds_what_python_does(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="needs pip install 'neural-body-fitting[onnx]'")
    assert main(["export-model", str(tmp_path)]) == 0
    done = subprocess.run(
        [str(NODE), EXAMPLE / "joints.mjs", tmp_path, PHOTO], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[2:19]] == list(COCO17)
    assert [line.split()[0] for line in lines[20:]] == list(SMPL24)
    keypoints, joints = (
        torch.tensor([[float(word) for word in line.split()[1:]] for line in some])
        for some in (lines[2:19], lines[20:])
    )
    torch_keypoints, torch_joints = one_look()
    assert float((keypoints - torch_keypoints).abs().max()) < 0.05, "pixels of the photo, and scores"
    assert float((joints - torch_joints).abs().max()) < 1e-3, "metres"


@torch.no_grad()
def one_look() -> tuple[Tensor, Tensor]:
    """Keypoints and joints of the surest person, of one look with each network."""
    networks, picture = Networks.load(), read_picture(PHOTO)
    locator, segmenter, fitter = map(for_inference, (networks.locator, networks.segmenter, networks.fitter))
    image = torch.from_numpy(picture.pixels).permute(2, 0, 1)
    side = float(max(picture.width, picture.height))
    whole = Crop(torch.tensor([[picture.width / 2, picture.height / 2]]), torch.tensor([side]), INPUT_SIZE)
    boxes, _ = decode(locator(whole.sample(image)))[0]
    corners = whole.to_image(boxes[:1].reshape(1, 2, 2) * INPUT_SIZE)
    corners = corners.clamp(torch.zeros(2), torch.tensor([float(picture.width), float(picture.height)]))
    crop = Crop.from_boxes(corners.reshape(1, 4), INPUT_SIZE)
    seen = segmenter(crop.sample(image))
    points = decode_keypoints(seen.keypoints)
    fit, _ = fitter(FitterInput(part_probabilities(seen), in_crop(points)))
    camera = crop.camera(Camera.default(picture.width, picture.height))
    translation = body_translation(networks.body, fit, camera, INPUT_SIZE)
    keypoints = torch.cat([crop.to_image(points[..., :2]), points[..., 2:]], -1)
    return keypoints[0], networks.body(fit.betas, fit.rotations, translation).joints[0]
