"""Rigged people as FBX, for programs that read nothing better: written by Blender, if it is installed, from our GLB."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from nbf.errors import InputError
from nbf.export.glb import write_glb
from nbf.export.needs import blender
from nbf.export.world import World
from nbf.files import replacing
from nbf.motion import Motion

_SECONDS = 600


def write_fbx(path: str | Path, motions: Sequence[Motion], world: World, rig: str = "smpl") -> None:
    """Write people into one scene.

    Args:
        motions: people.
        world: a frame with y up.
        rig: what the joints are called, a name of `nbf.export.rig.RIGS`.

    Raises:
        InputError: the rig is unknown, Blender is not installed, or it fails.
    """
    program, name = blender(), Path(path).name
    with TemporaryDirectory() as folder, replacing(path) as draft:
        write_glb(Path(folder, "people.glb"), motions, world_from_camera=world.from_camera, rig=rig)
        # Of several people who move, all are there from the first frame of anybody to the last.
        rate = next((motion.frame_rate for motion in motions if motion.frame_rate is not None), 0)
        frames = max(motion.start + len(motion) for motion in motions) - min(motion.start for motion in motions)
        names = str(Path(folder, "people.glb")), str(draft.absolute())
        command = [*program, "--", *names, str(rate), str(frames)]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"{name}: Blender failed ({error}); write a .glb, which it imports") from error
        if done.returncode != 0 or not draft.is_file():
            said = " ".join((done.stderr or done.stdout).split())[-300:]
            raise InputError(f"{name}: Blender failed ({said!a}); write a .glb, which it imports")
