"""One person's motion as BVH (Biovision hierarchy): a skeleton in the T-pose, and angles of its joints frame by frame.

The format: Meredith and Maddock, "Motion capture file formats explained", University of Sheffield, 2001. Numbers are
metres and degrees. BVH has no place for remarks, but readers pass over a name behind `End Site`: the first has what the
file has to say of itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from nbf.arguments import path as checked_path
from nbf.body.joints import PARENTS
from nbf.errors import InputError
from nbf.export.rig import joint_names
from nbf.export.text import decimals, lines
from nbf.export.world import World, sentence
from nbf.files import replacing
from nbf.motion import STILL_RATE, Motion
from nbf.reading import Damaged, read_text, refusing, to_numbers

_POSITIONS = "Xposition", "Yposition", "Zposition"
_ROTATIONS = "Zrotation", "Xrotation", "Yrotation"
"""R = Rz Rx Ry: the order that most programs write, which bends about z and x and twists about y."""
_SHORTEST_TIP = 0.01
"""Metres of a bone's end, at least: readers drop bones without a length."""

_MOST_BYTES, _MOST_JOINTS, _FARTHEST = 1 << 26, 1000, 1e6


def write_bvh(path: str | Path, motion: Motion, world: World, rig: str = "smpl") -> None:
    """Write one person.

    The root has six channels, its place and its turn in the world; the other joints have three. Frames follow each
    other at the motion's rate.

    Args:
        motion: one person.
        world: a frame with y up, which is what programs expect of BVH.
        rig: what the joints are called, a name of `nbf.export.rig.RIGS`.

    Raises:
        InputError: the rig is unknown.
    """
    names = joint_names(rig)
    moved = motion.moved(world.from_camera)
    rest = motion.body.rest_joints(motion.betas).numpy().astype(np.float64)
    degrees = np.degrees(_euler(moved.rotations.numpy().astype(np.float64))).reshape(len(motion), -1)
    places = rest[0] + moved.translation.numpy()
    offsets = rest - rest[list(PARENTS)]
    offsets[0] = 0  # some programs add the root's offset to its place, others do not
    remark = re.sub(r"[\s;]+", "_", sentence(motion, world))
    head = ["HIERARCHY", *_hierarchy(offsets, names, remark), "MOTION", f"Frames: {len(motion)}"]
    head.append(f"Frame Time: {1 / (motion.frame_rate or STILL_RATE):.9f}")
    columns = decimals(np.concatenate([places, degrees[:, [*_channel_order()]]], axis=1))
    spaced = [column for number in columns.swapaxes(0, 1) for column in (b" ", number)][1:]
    with replacing(path) as draft:
        draft.write_bytes("\n".join([*head, ""]).encode() + lines(*spaced))


def _channel_order() -> Iterator[int]:
    """Columns of the angles of SMPL's joints, in the order in which the hierarchy names them: in depth."""
    for joint in _in_depth():
        yield from range(3 * joint, 3 * joint + 3)


def _in_depth(joint: int = 0) -> Iterator[int]:
    yield joint
    for child, parent in enumerate(PARENTS):
        if parent == joint:
            yield from _in_depth(child)


def _hierarchy(offsets: ndarray, names: tuple[str, ...], remark: str, joint: int = 0, depth: int = 0) -> Iterator[str]:
    tab, children = "  " * depth, [child for child, parent in enumerate(PARENTS) if parent == joint]
    channels = _ROTATIONS if joint else (*_POSITIONS, *_ROTATIONS)
    yield f"{tab}{'JOINT' if joint else 'ROOT'} {names[joint]}"
    yield f"{tab}{{"
    yield f"{tab}  OFFSET {_spaced(offsets[joint])}"
    yield f"{tab}  CHANNELS {len(channels)} {' '.join(channels)}"
    for child in children:
        yield from _hierarchy(offsets, names, remark if child == children[0] else "", child, depth + 1)
    if not children:
        # As long as the bone before it.
        tip = offsets[joint] * max(1.0, _SHORTEST_TIP / np.linalg.norm(offsets[joint]).clip(1e-9))
        yield from (f"{tab}  End Site {remark}".rstrip(), f"{tab}  {{", f"{tab}    OFFSET {_spaced(tip)}", f"{tab}  }}")
    yield f"{tab}}}"


def _spaced(values: ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in values)


def _euler(rotations: Float[ndarray, "*b 3 3"]) -> Float[ndarray, "*b 3"]:
    """Angles z, x, y, radians, of R = Rz Rx Ry; z carries the turn where y and z have one axis."""
    x = np.arcsin(np.clip(rotations[..., 2, 1], -1, 1))
    # cos x times sine and cosine of y and of z.
    y = np.arctan2(-rotations[..., 2, 0], rotations[..., 2, 2])
    z = np.arctan2(-rotations[..., 0, 1], rotations[..., 1, 1])
    locked = np.hypot(rotations[..., 2, 0], rotations[..., 2, 2]) < 1e-6
    y = np.where(locked, 0, y)
    z = np.where(locked, np.arctan2(rotations[..., 1, 0], rotations[..., 0, 0]), z)
    return np.stack([z, x, y], axis=-1)


@dataclass(frozen=True, eq=False)
class Bvh:
    """A skeleton in motion, as a BVH file has it; of any program's, in the order of the file and in its own unit.

    BVH holds no surface, and so no shape of a body model.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    """-1 of the root."""
    offsets: Float[ndarray, "j 3"]
    """From the parent, at rest."""
    rotations: Float[ndarray, "t j 3 3"]
    """parent_from_joint."""
    positions: Float[ndarray, "t j 3"]
    """Of each joint, in its parent's frame: where it has no channels for it, its offset."""
    frame_rate: float
    """Frames a second."""
    remark: str
    """What stands behind the first `End Site`."""

    def joints(self) -> Float[ndarray, "t j 3"]:
        """Where the joints are, in the file's world."""
        turns, places = self.rotations.copy(), self.positions.copy()
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                turns[:, joint] = turns[:, parent] @ self.rotations[:, joint]
                places[:, joint] = places[:, parent] + np.einsum(
                    "tab,tb->ta", turns[:, parent], self.positions[:, joint]
                )
        return places


def read_bvh(path: str | Path) -> Bvh:
    """A BVH file of any program: one root, rotations in any order.

    Raises:
        InputError: the file is missing, damaged or something else.
    """
    path = checked_path(path, "path")
    with refusing(InputError, path, "a BVH file", "write it anew"):
        words = iter(_words(read_text(path, _MOST_BYTES)))
        try:
            skeleton = _Skeleton(words)
            return skeleton.moving(words)
        except StopIteration:
            raise Damaged("it ends too early") from None


def _words(text: str) -> Iterator[str]:
    """One after the other; what follows `End Site` on its line is one word, perhaps empty."""
    for line in text.splitlines():
        parts = line.split()
        if [part.lower() for part in parts[:2]] == ["end", "site"]:
            yield from ("End", " ".join(parts[2:]))
        else:
            yield from parts


class _Skeleton:
    """The part of a file before `MOTION`."""

    def __init__(self, words: Iterator[str]) -> None:
        self.names: list[str] = []
        self.parents: list[int] = []
        self.offsets: list[list[float]] = []
        self.channels: list[tuple[int, str]] = []
        """Joint, and what it has of `_POSITIONS` and `_ROTATIONS`, a row of them a frame."""
        self.remarks: list[str] = []
        _expect(words, "hierarchy")
        _expect(words, "root")
        self._joint(next(words), -1, words)
        open_joints = [0]
        while open_joints:
            match (word := next(words)).lower():
                case "joint":
                    self._joint(next(words), open_joints[-1], words)
                    open_joints.append(len(self.names) - 1)
                case "end":
                    self.remarks.append(next(words))
                    for expected in ("{", "offset"):
                        _expect(words, expected)
                    _numbers(words, 3)
                    _expect(words, "}")
                case "}":
                    open_joints.pop()
                case _:
                    raise Damaged(f"expected JOINT, End Site or }}, got {word[:40]!a}")

    def _joint(self, name: str, parent: int, words: Iterator[str]) -> None:
        if len(self.names) == _MOST_JOINTS:
            raise Damaged(f"it has more than {_MOST_JOINTS} joints")
        for expected in ("{", "offset"):
            _expect(words, expected)
        self.offsets.append(_numbers(words, 3))
        _expect(words, "channels")
        count = next(words)
        if count not in map(str, range(7)):
            raise Damaged(f"expected a number of channels up to 6, got {count[:40]!a}")
        channels = [next(words).capitalize() for _ in range(int(count))]
        if len(set(channels)) < len(channels) or not set(channels) <= {*_POSITIONS, *_ROTATIONS}:
            raise Damaged(f"expected channels such as Xposition or Zrotation, each once, got {channels}"[:200])
        self.channels += [(len(self.names), channel) for channel in channels]
        self.names.append(name)
        self.parents.append(parent)

    def moving(self, words: Iterator[str]) -> Bvh:
        """With the rest of the file."""
        for expected in ("motion", "frames:"):
            _expect(words, expected)
        frames = next(words)
        for expected in ("frame", "time:"):
            _expect(words, expected)
        seconds = _numbers(words, 1)[0]
        values = np.array(_numbers(words, None)).reshape(-1)
        rows = len(values) // max(1, len(self.channels))
        if frames != str(rows) or rows * len(self.channels) != len(values):
            raise Damaged(
                f"expected {len(self.channels)} numbers for each of {frames[:20]!a} frames, got {len(values)}"
            )
        if not 1e-6 < seconds < 1e6:
            raise Damaged(f"expected the seconds of a frame, got {seconds:g}")
        offsets = np.array(self.offsets)
        positions = np.tile(offsets, (rows, 1, 1))
        rotations = np.tile(np.eye(3), (rows, len(self.names), 1, 1))
        for (joint, channel), column in zip(self.channels, values.reshape(rows, len(self.channels)).T, strict=True):
            axis = "XYZ".index(channel[0])
            if channel in _POSITIONS:
                positions[:, joint, axis] = column
            else:
                rotations[:, joint] = rotations[:, joint] @ _about(axis, np.radians(column))
        remark = next(iter(self.remarks), "")
        return Bvh(tuple(self.names), tuple(self.parents), offsets, rotations, positions, 1 / seconds, remark)


def _about(axis: int, angles: Float[ndarray, " t"]) -> Float[ndarray, "t 3 3"]:
    """Turns about one axis."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turns = np.tile(np.eye(3), (len(angles), 1, 1))
    turns[:, first, first] = turns[:, second, second] = np.cos(angles)
    turns[:, second, first] = np.sin(angles)
    turns[:, first, second] = -turns[:, second, first]
    return turns


def _expect(words: Iterator[str], wanted: str) -> None:
    if (word := next(words)).lower() != wanted:
        raise Damaged(f"expected {wanted.upper()}, got {word[:40]!a}")


def _numbers(words: Iterator[str], count: int | None) -> list[float]:
    """So many of the next words, or all that are left, as numbers."""
    chosen = list(words) if count is None else [next(words) for _ in range(count)]
    try:
        numbers = to_numbers([float(word) for word in chosen], len(chosen), dtype=np.float64)
    except ValueError as error:
        raise Damaged(f"expected numbers, got others: {error}"[:200]) from error
    if (np.abs(numbers) > _FARTHEST).any():
        raise Damaged(f"expected numbers up to {_FARTHEST:g}, got {np.abs(numbers).max():g}")
    return numbers.tolist()
