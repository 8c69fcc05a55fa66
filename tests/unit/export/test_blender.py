"""Blender finds the joints where they are, in every format that it reads. Skips where Blender is not installed."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from motions import motion

from nbf.body.joints import SMPL24
from nbf.errors import InputError
from nbf.export import write
from nbf.export.needs import IN_BLENDER, blender
from nbf.export.world import World
from nbf.motion import Motion

MILLIMETRE = 1e-3


def program() -> list[str]:
    try:
        command = blender()
    except InputError:
        pytest.skip("Blender is not installed, neither as a program nor as the module bpy")
    if shutil.which("blender"):
        said = subprocess.run(["blender", "--version"], capture_output=True, text=True, check=True).stdout
        if re.match(r"Blender [0-3]\.", said):
            pytest.skip(f"expected Blender 4 or later, which reads USD skeletons, got {said.splitlines()[0]}")
    return command


def film(people: int) -> list[Motion]:
    return [motion(f"person_{index}", index, frames=4) for index in range(people)]


def found(file: Path, first: int, last: int) -> list[list[np.ndarray]]:
    """Joints of the people in each frame."""
    out = file.with_suffix(".json")
    script = str(Path(__file__).parents[2] / "in_blender.py")
    command = [script if word == str(IN_BLENDER) else word for word in program()]
    subprocess.run([*command, "--", str(file), str(out), str(first), str(last)], check=True, capture_output=True)
    frames = json.loads(out.read_text())
    return [[np.array([joints[name] for name in SMPL24]) for joints in people.values()] for people in frames]


@pytest.mark.slow
@pytest.mark.parametrize(
    # BVH and FBX start at frame 1 in Blender. GLB is played by the clock, so its frames lie between Blender's.
    ("ending", "people", "first"),
    [(".bvh", 1, 1), (".usd", 2, 0), (".fbx", 2, 1)],
)
def test_blender_finds_the_joints_of_a_film(tmp_path: Path, ending: str, people: int, first: int) -> None:
    program()
    someone = film(people)
    frames = found(write(someone, tmp_path / f"a{ending}"), first, first + 3)
    for frame, joints in enumerate(frames):
        expected = [each.moved(World.as_seen().from_camera).joints()[frame].numpy() for each in someone]
        np.testing.assert_allclose(joints, expected, atol=MILLIMETRE)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".bvh", ".usd", ".fbx", ".glb"])
def test_blender_finds_the_joints_of_who_is_still(tmp_path: Path, ending: str) -> None:
    program()
    people = [replace(each, rotations=each.rotations[:1], translation=each.translation[:1]) for each in film(2)]
    people = [replace(each, frame_rate=None) for each in people][: 1 if ending == ".bvh" else 2]
    (joints,) = found(write(people, tmp_path / f"a{ending}", ground=True), 0, 0)
    move = World.on_ground(people).from_camera
    np.testing.assert_allclose(joints, [each.moved(move).joints()[0].numpy() for each in people], atol=MILLIMETRE)


def test_without_blender_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbf.export.needs.shutil.which", lambda name: None)
    monkeypatch.setattr("nbf.export.needs.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"fbx: Blender writes it, .*; install Blender .*, or take glb"):
        write(film(1), tmp_path / "a.fbx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("script", ["exit 3", "exit 0"])
def test_a_blender_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "blender").write_text(f"#!/bin/sh\necho no such thing >&2\n{script}\n")
    (tmp_path / "bin" / "blender").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(InputError, match=r"a\.fbx: Blender failed .*no such thing.*; write a \.glb"):
        write(film(1), tmp_path / "out" / "a.fbx")
    assert list((tmp_path / "out").iterdir()) == []
