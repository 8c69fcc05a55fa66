"""Our GLB in the programs of others: Khronos' validator, three.js in a browser, Blender; and on to FBX and BVH.

`make viewers` installs what it takes but the browser (chromium); without, these tests are skipped.
"""

import base64
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nbf.body.files import load_body
from nbf.body.joints import SMPL24
from nbf.export.glb import write_glb
from nbf.export.skinned import surface
from nbf.geometry import Camera, matrix_from_axis_angle
from nbf.motion import Motion, as_seen, grounded

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS, MODULES = ROOT / "tests" / "viewers", ROOT / "build" / "viewers" / "node_modules"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BPY = ROOT / "build" / "blender" / "bin" / "python"
BLENDER = BPY if BPY.is_file() else sys.executable if find_spec("bpy") else None
SIZE = 480, 640

pytestmark = pytest.mark.slow
needs_node = pytest.mark.skipif(
    not (shutil.which("node") and MODULES.is_dir()), reason="needs node and its modules: make viewers"
)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
needs_blender = pytest.mark.skipif(BLENDER is None, reason="needs Blender's module: make viewers")


def scene(count: int, frames: int = 1) -> list[Motion]:
    """People side by side, their joints bent at random; over time they bend their knees. One alone has full detail."""
    body = load_body("anny24", "full" if count == 1 else "small")
    draw = torch.Generator().manual_seed(count)
    motions = []
    for i in range(count):
        turns = 0.3 * torch.randn(24, 3, generator=draw).expand(frames, 24, 3).clone()
        turns[:, [4, 5], 0] += torch.linspace(0, 1, frames)[:, None]
        rotations = matrix_from_axis_angle(turns)
        rotations[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ rotations[:, 0]
        place = torch.tensor([1.2 * i - 0.6 * (count - 1), 0.1, 5.0]) + torch.linspace(0, 0.3, frames)[:, None]
        betas = 0.5 * torch.randn(body.shape_count, generator=draw)
        motions.append(
            Motion(f"person_{i}", betas, rotations, place, 25.0 if frames > 1 else None, body, "anny24", start=7 * i)
        )
    return motions


def camera() -> dict[str, Any]:
    return {"camera": Camera.default(*SIZE), "size": SIZE}


def texture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 4), np.uint8)


def in_file(motion: Motion, move: torch.Tensor, frame: int = 0, by_part: bool = False) -> np.ndarray:
    """The vertices that somebody must have in the file."""
    points = motion.posed(slice(frame, frame + 1)).vertices[0] @ move[:3, :3].T + move[:3, 3]
    return points.numpy()[surface(motion.body, by_part).vertex]


def furthest(found: np.ndarray, expected: np.ndarray) -> float:
    """Millimetres."""
    return 1000 * float(np.linalg.norm(found - expected, axis=-1).max())


def run(*command: Any) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:] or done.stdout[-2000:]
    return done.stdout


@needs_node
def test_khronos_validator_finds_neither_errors_nor_warnings(tmp_path):
    files = []
    for count in (1, 2, 5):
        still, film = scene(count), scene(count, frames=3)
        write_glb(tmp_path / f"still_{count}.glb", still, **camera())
        textures = [texture()] * count
        write_glb(tmp_path / f"film_{count}.glb", film, world_from_camera=grounded(film), textures=textures, **camera())
        write_glb(tmp_path / f"parts_{count}.glb", still, rig="mixamo", parts=True)
        files += [tmp_path / f"{kind}_{count}.glb" for kind in ("still", "film", "parts")]
    for path, report in zip(files, json.loads(run("node", SCRIPTS / "validate.js", MODULES, *files)), strict=True):
        issues = report["issues"]
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), (path.name, issues["messages"][:5])
    # It would find something.
    files[0].write_bytes(files[0].read_bytes().replace(b'"MAT4"', b'"MAT3"'))
    (report,) = json.loads(run("node", SCRIPTS / "validate.js", MODULES, files[0]))
    assert report["issues"]["numErrors"] > 0


@needs_node
@needs_browser
@pytest.mark.parametrize(("count", "on_ground"), [(1, False), (2, True)])
def test_three_js_skins_as_we_do(tmp_path, count, on_ground):
    people = scene(count, frames=3 if on_ground else 1)
    move = grounded(people) if on_ground else as_seen()
    write_glb(tmp_path / "a.glb", people, world_from_camera=move, textures=[texture()], **camera())
    said = json.loads(run("node", SCRIPTS / "three.js", MODULES, CHROMIUM, tmp_path / "a.glb", tmp_path / "a.png"))
    assert said["bodies"] == [f"person_{i}_body" for i in range(count)]
    assert said["cameras"] == 1
    poses = {
        pose: [np.frombuffer(base64.b64decode(each)).reshape(-1, 3) for each in places]
        for pose, places in said["poses"].items()
    }
    assert set(poses) == {"", "T-pose", "motion" if on_ground else "found pose"}
    for i, person in enumerate(people):
        assert furthest(poses[""][i], in_file(person, move)) < 0.01
        # The clip's middle is 5 frames after the first person's first one, when the other has not begun.
        clip = poses["motion"][i] if on_ground else poses["found pose"][i]
        assert furthest(clip, in_file(person, move, 2 if on_ground and i == 0 else 0)) < 0.01
        rest = person.body.rest_vertices(person.betas).numpy()[surface(person.body).vertex]
        off = poses["T-pose"][i] - rest
        assert furthest(off, off[:1]) < 0.01
        assert poses["T-pose"][i][:, 1].min() == pytest.approx(in_file(person, move)[:, 1].min(), abs=1e-5)
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"), np.int64)
    assert 0.03 < (np.abs(picture - picture[0, 0]).sum(-1) > 30).mean() < 0.9


@needs_blender
@pytest.mark.parametrize("count", [1, 3])
def test_blender_has_an_armature_a_person_and_exports_them(tmp_path, count):
    people = scene(count)
    write_glb(tmp_path / "a.glb", people, **camera())
    printed = run(BLENDER, SCRIPTS / "blender.py", tmp_path / "a.glb", "TEMPERANCE", tmp_path)
    said = json.loads(printed.rpartition("JSON")[2])
    assert sorted(said["types"].values()) == sorted(["ARMATURE", "MESH"] * count + ["CAMERA"])
    assert said["objects"] == {
        "photo": None,
        **{person.name: None for person in people},
        **{f"{person.name}_body": person.name for person in people},
    }
    found = dict(np.load(tmp_path / "blender.npz"))
    for i, person in enumerate(people):
        assert said["clips"][person.name] == ["T-pose", "found pose"]
        expected = in_file(person, as_seen())
        joints = person.posed().joints[0].numpy() * [1, -1, -1]
        assert furthest(found[f"vertices_{i}"], expected) < 0.01
        assert furthest(found[f"fbx_vertices_{i}"], expected) < 1
        for heads, most in ((found[f"heads_{i}"], 0.01), (found[f"bvh_heads_{i}"], 1)):
            # Blender has another order.
            assert furthest(joints, heads[np.linalg.norm(joints[:, None] - heads, axis=-1).argmin(1)]) < most
        # Bones lie along limbs.
        bones = said["bones"][person.name]
        rest = person.body.rest_joints(person.betas).numpy()
        for name, end in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
            for side in ("left", "right"):
                start, stop = (SMPL24.index(f"{side}_{joint}") for joint in (name, end))
                limb = rest[stop] - rest[start]
                assert np.dot(bones[f"{side}_{name}"], limb / np.linalg.norm(limb)) > 0.95
        # Shins swing backwards and up.
        shins = rest[[SMPL24.index("left_ankle"), SMPL24.index("right_ankle")]]
        shins = np.linalg.norm(shins - rest[[SMPL24.index("left_knee"), SMPL24.index("right_knee")]], axis=1)
        swing = np.stack([0 * shins, shins, -shins], axis=1)
        assert furthest(found[f"knees_{i}"], swing) < 100
