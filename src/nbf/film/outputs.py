"""Files of what a film shows: everybody's motion for animators and scientists, and a film of it beside the original."""

import json
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray

from nbf.files import replacing
from nbf.film.run import FilmPeople, Progress
from nbf.motion import Motion
from nbf.pictures import Picture
from nbf.render.overlay import overlay, resized

MAX_SIDE = 960
"""Pixels of each of the two halves of the film, at most."""
_QUALITY = "20"
"""As x264 counts (crf)."""


def pattern(name: str, kinds: Sequence[str]) -> re.Pattern[str]:
    """Matches the names of the files that are written for a film."""
    each = [rf"_\d+\.{kind}" for kind in kinds if kind in ("glb", "bvh", "npz")]
    each += [r"_film\.mp4"] * ("mp4" in kinds) + [r"\.json"] * ("json" in kinds)
    return re.compile(f"{re.escape(name)}({'|'.join(each)})")


def write_film(people: FilmPeople, folder: Path, name: str, kinds: Sequence[str], say: Progress) -> None:
    """All files of a film, as `pattern` has them.

    Raises:
        InputError: the film cannot be read any more.
        OSError: a file cannot be written.
    """
    _write_motions([track.motion for track in people.tracks], folder, name, kinds, say)
    if "mp4" in kinds:
        write_side_by_side(people, folder / f"{name}_film.mp4", say)
    if "json" in kinds:
        with replacing(folder / f"{name}.json") as draft:
            draft.write_text(json.dumps(people.record(), indent=1) + "\n")


def _write_motions(motions: Sequence[Motion], folder: Path, name: str, kinds: Sequence[str], say: Progress) -> None:
    """Each in files of its own, all in one world: people on the ground."""
    if not motions or not {"glb", "bvh", "npz"} & set(kinds):
        return
    from nbf.export.amass import write_amass
    from nbf.export.bvh import write_bvh
    from nbf.export.glb import write_glb
    from nbf.export.world import World

    world = World.on_ground(motions)
    for index, motion in enumerate(motions):
        say("writing", index, len(motions))
        if "glb" in kinds:
            write_glb(folder / f"{name}_{index}.glb", [motion], world_from_camera=world.from_camera)
        if "bvh" in kinds:
            write_bvh(folder / f"{name}_{index}.bvh", motion, world)
        if "npz" in kinds:
            write_amass(folder / f"{name}_{index}.npz", motion, world)


def write_side_by_side(people: FilmPeople, path: Path, say: Progress) -> None:
    """Each frame, and to its right the same with the bodies over it."""
    import av

    with replacing(path) as draft, av.open(str(draft), "w") as file:
        stream: Any = None
        for index, picture in enumerate(people.film.frames()):
            say("drawing", index, people.frames)
            both = side_by_side(people, index, picture)
            if stream is None:
                rate = Fraction(people.film.rate).limit_denominator(1001)
                stream = file.add_stream("libx264", rate=rate, options={"crf": _QUALITY})
                stream.height, stream.width, stream.pix_fmt = *both.shape[:2], "yuv420p"
            file.mux(stream.encode(av.VideoFrame.from_ndarray(both, "rgb24")))
        file.mux(stream.encode())


@torch.no_grad()
def side_by_side(people: FilmPeople, index: int, picture: Picture) -> UInt8[ndarray, "h w 3"]:
    """The frame of that number, twice; sides are even, as codecs want them."""
    bodies = [track.motion for track in people.tracks if 0 <= index - track.motion.start < len(track.motion)]
    left = np.asarray(resized(picture.pixels, min(1.0, MAX_SIDE / max(picture.pixels.shape[:2]))))
    right = left
    if bodies:
        at = [slice(index - motion.start, index - motion.start + 1) for motion in bodies]
        vertices = torch.cat([motion.posed(here).vertices for motion, here in zip(bodies, at)])
        right = np.asarray(overlay(picture.pixels, vertices, bodies[0].body.faces, people.camera, MAX_SIDE))
    height, width = (side // 2 * 2 for side in left.shape[:2])
    return np.ascontiguousarray(np.concatenate([left[:height, :width], right[:height, :width]], 1))
