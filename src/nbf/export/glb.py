"""Rigged people as binary glTF 2.0, for animators.

Every person is a skinned mesh in the T-pose of their own shape, with SMPL's 24 joints as its skeleton: world-aligned
frames at rest, so that a joint's rotation is SMPL's. glTF skins exactly as SMPL does (linear blend skinning), so the
file holds the same surface as `BodyModel`.

    scene
      person_0               a node for each person, upright: only says where they stand. Blender's armature
        pelvis               root motion is here and nowhere else
          left_hip ...
      person_0_body          the mesh; its skin, not its place in the tree, says what moves it
      photo                  the camera, nobody's child
"""

import io
import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from nbf import __version__
from nbf.arguments import path as checked_path
from nbf.body.files import BUNDLED, bundled_body
from nbf.body.joints import PARENTS
from nbf.body.model import BodyModel
from nbf.body.parts import COLORS
from nbf.errors import InputError
from nbf.export.gltf import Binary, Document
from nbf.export.rig import joint_names
from nbf.export.skinned import INFLUENCES, Surface, rest_vertices, surface
from nbf.files import replacing
from nbf.geometry.camera import Camera
from nbf.geometry.quaternions import matrix, quaternion_from_matrix
from nbf.motion import Motion, as_seen
from nbf.raster.attributes import vertex_normals
from nbf.reading import Array, Damaged, fitted, read_bytes, refusing, to_numbers

_CLAY = [0.62, 0.50, 0.42, 1.0]
"""Linear RGB of the surface: clay, to look like nobody in particular."""

_ROUGH = {"metallicFactor": 0.0, "roughnessFactor": 0.7}
_PART_COLORS = ((COLORS.float() / 255).pow(2.2) * 65535).round().int().numpy().astype(np.uint16)
_PART_COLORS = np.pad(_PART_COLORS, ((0, 0), (0, 1)), constant_values=65535)
"""Linear RGBA of the 24 parts, as shares of 65535."""
_SAMPLER = {"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}
"""Of textures: smooth near by and, from smaller copies, far away; the border's colour goes on."""
_PNG_COMPRESSION = 3
"""zlib's own level takes twice the time for little."""

_MOST_BYTES = 1 << 30
_LONGEST_NAME = 255
_FURTHEST, _SHAPES_OFF = 1e4, 100.0
"""Metres and betas that are beyond people."""
_ARRAYS = {
    "turns": Array(np.float32, (24, "k", 4), -1.01, 1.01),
    "pelvis": Array(np.float32, ("k", 3), -_FURTHEST, _FURTHEST),
}
"""What reading takes of each person: quaternions, real part last, and places."""

FOUND, MOVING, T_POSE = "found pose", "motion", "T-pose"
"""Names of clips. Viewers play the first, so the T-pose comes last."""


def write_glb(
    path: str | Path,
    motions: Sequence[Motion],
    *,
    world_from_camera: Float[Tensor, "4 4"] | None = None,
    rig: str = "smpl",
    camera: Camera | None = None,
    size: tuple[int, int] | None = None,
    textures: Sequence[UInt8[np.ndarray, "h w 4"]] = (),
    parts: bool = False,
) -> None:
    """Write people into one scene, the first frame as their pose, with two clips: what they do (`found pose` of still
    people, `motion` of others), and the T-pose, which stands where they stand in the first frame.

    Of a body with pose blend shapes, which glTF's skinning lacks, those of the first frame are in the mesh.

    Args:
        motions: at least one.
        world_from_camera: a rigid move from the camera's frame to the file's, y up (`nbf.motion`); as seen without one.
        rig: what the joints are called, a name of `nbf.export.rig.RIGS`.
        camera: with `size` (width, height in pixels), adds the photo's camera to the scene.
        textures: of each person, as `nbf.render.texture.person_textures` makes them; people without are clay.
        parts: colour the 24 body parts instead (`nbf.body.parts.COLORS`).

    Raises:
        InputError: the rig is unknown, or somebody moves without a frame rate.
    """
    move = as_seen() if world_from_camera is None else world_from_camera
    still = all(len(motion) == 1 for motion in motions)
    beginning = None if still else min(_time(motion, 0) for motion in motions)
    scene = _Scene(move, joint_names(rig), beginning, parts)
    for motion, texture in zip_longest(motions, textures):
        scene.add_person(motion, texture)
    if camera is not None and size is not None:
        scene.add_camera(float(camera.focal), *size)
    data = scene.to_bytes()
    with replacing(path) as draft:
        draft.write_bytes(data)


def read_glb(path: str | Path) -> list[Motion]:
    """The people in a file that `write_glb` wrote, in the camera's frame: equal to what was written within float32.

    Raises:
        InputError: the file is missing, damaged, of another program, or of a body model that is not bundled.
    """
    path = checked_path(path, "path")
    with refusing(InputError, path, "a .glb that nbf wrote", "write it anew; those of other programs say no shape"):
        file = Binary(read_bytes(path, _MOST_BYTES))
        try:
            return _motions(file)
        except Damaged:
            raise
        # Of JSON that lacks something, or has something else in its place.
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Damaged(f"{type(error).__name__} {error}"[:200]) from error


def _time(motion: Motion, frame: int) -> float:
    """Seconds since the beginning of the film."""
    if motion.frame_rate is None:
        if len(motion) > 1:
            raise InputError(f"{motion.name}: expected a frame rate of {len(motion)} frames, got None")
        return 0.0
    return (motion.start + frame) / motion.frame_rate


class _Scene:
    """A scene under construction; its film begins at some time, if it is one."""

    def __init__(self, world_from_camera: Tensor, joints: Sequence[str], beginning: float | None, parts: bool) -> None:
        self._document = Document()
        self._move, self._joints, self._beginning, self._parts = world_from_camera, joints, beginning, parts
        self._roots: list[int] = []
        self._people: list[dict[str, Any]] = []
        self._shared: dict[BodyModel, tuple[Surface, dict[str, int], int]] = {}
        self._clips: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {}
        self._plain: int | None = None

    def add_person(self, motion: Motion, texture: np.ndarray | None) -> None:
        document, body = self._document, motion.body
        rest, joints = rest_vertices(body, motion.betas, motion.rotations[0]), body.rest_joints(motion.betas)
        home = _home(motion, self._move, rest, joints)
        rotations, pelvis = _local(motion, self._move, joints, home)
        skeleton = self._add_skeleton(_offsets(joints), rotations[0], pelvis[0])
        person = document.add("nodes", name=motion.name, translation=home.tolist(), children=[skeleton])
        bind = document.numbers(_inverse_bind_matrices(joints), "MAT4")
        nodes = list(range(skeleton, skeleton + len(joints)))
        skin = document.add(
            "skins", name=f"{motion.name}_skeleton", inverseBindMatrices=bind, skeleton=skeleton, joints=nodes
        )
        name = f"{motion.name}_body"
        material = self._plain_material() if texture is None else self._add_material(name, texture)
        primitive = {**self._primitive(body, rest), "material": material}
        mesh = document.add("meshes", name=name, primitives=[primitive])
        self._roots += [person, document.add("nodes", name=name, mesh=mesh, skin=skin)]
        self._add_clips(motion, skeleton, rotations, pelvis, joints[0])
        self._people.append(
            {
                "name": motion.name,
                "body_model": motion.body_name,
                "vertices": len(body.template),
                "betas": [float(str(beta)) for beta in motion.betas.numpy()],
                "frames": len(motion),
                "frame_rate": motion.frame_rate,
                "start": motion.start,
            }
        )

    def add_camera(self, focal: float, width: int, height: int) -> None:
        """glTF knows no principal point: a photo's camera looks through its middle."""
        view = {"yfov": 2 * math.atan(height / (2 * focal)), "aspectRatio": width / height, "znear": 0.01}
        camera = self._document.add("cameras", name="photo", type="perspective", perspective=view)
        place = self._move @ as_seen()  # glTF's cameras are y up and look along -z
        turn = _xyzw(place[:3, :3]).tolist()
        node = {"name": "photo", "camera": camera, "translation": place[:3, 3].tolist(), "rotation": turn}
        self._roots.append(self._document.add("nodes", **node))

    def to_bytes(self) -> bytes:
        for name, (samplers, channels) in self._clips.items():
            self._document.add("animations", name=name, samplers=samplers, channels=channels)
        extras = {
            "nbf": __version__,
            "frame": "right-handed, y up, +z ahead of people at rest",
            "unit": "metre",
            "world_from_camera": self._move.tolist(),
            "people": self._people,
        }
        return self._document.to_bytes(self._roots, extras)

    def _primitive(self, body: BodyModel, rest: Tensor) -> dict[str, Any]:
        """The mesh: what differs from person to person, and what does not."""
        document = self._document
        if body not in self._shared:
            self._shared[body] = self._add_surface(surface(body, self._parts))
        drawn, attributes, indices = self._shared[body]
        position = document.numbers(_float32(rest)[drawn.vertex], "VEC3", "vertices", bounds=True)
        normal = document.numbers(_unit(vertex_normals(rest, body.faces))[drawn.vertex], "VEC3", "vertices")
        return {"attributes": {"POSITION": position, "NORMAL": normal, **attributes}, "indices": indices}

    def _add_surface(self, drawn: Surface) -> tuple[Surface, dict[str, int], int]:
        numbers = self._document.numbers
        attributes = {}
        for index in range(drawn.joints.shape[1] // INFLUENCES):
            columns = slice(index * INFLUENCES, (index + 1) * INFLUENCES)
            attributes[f"JOINTS_{index}"] = numbers(drawn.joints[:, columns], "VEC4", "vertices")
            attributes[f"WEIGHTS_{index}"] = numbers(drawn.weights[:, columns], "VEC4", "vertices")
        if drawn.uv is not None:
            attributes["TEXCOORD_0"] = numbers(drawn.uv, "VEC2", "vertices")
        if drawn.parts is not None:
            attributes["COLOR_0"] = numbers(_PART_COLORS[drawn.parts], "VEC4", "vertices", normalized=True)
        return drawn, attributes, numbers(drawn.triangles.reshape(-1), "SCALAR", "indices")

    def _plain_material(self) -> int:
        """Of everybody without a texture."""
        if self._plain is None:
            name, color = ("parts", [1.0] * 4) if self._parts else ("clay", _CLAY)
            self._plain = self._document.add(
                "materials", name=name, pbrMetallicRoughness=_ROUGH | {"baseColorFactor": color}
            )
        return self._plain

    def _add_material(self, name: str, texture: np.ndarray) -> int:
        document, png = self._document, io.BytesIO()
        Image.fromarray(texture).save(png, "PNG", compress_level=_PNG_COMPRESSION)
        image = document.add("images", name=name, mimeType="image/png", bufferView=document.view(png.getvalue()))
        if document.count("samplers") == 0:
            document.add("samplers", **_SAMPLER)
        index = document.add("textures", sampler=0, source=image)
        return document.add(
            "materials", name=name, pbrMetallicRoughness=_ROUGH | {"baseColorTexture": {"index": index}}
        )

    def _add_skeleton(self, offsets: Tensor, rotations: np.ndarray, pelvis: Tensor) -> int:
        """The joints as nodes, in SMPL's order; the first one's index."""
        first = self._document.count("nodes")
        for index, name in enumerate(self._joints):
            place = pelvis if index == 0 else offsets[index]
            node = {"name": name, "translation": place.tolist(), "rotation": rotations[index].tolist()}
            children = [first + child for child, parent in enumerate(PARENTS) if parent == index]
            self._document.add("nodes", **node, **({"children": children} if children else {}))
        return first

    def _add_clips(self, motion: Motion, skeleton: int, rotations: np.ndarray, pelvis: Tensor, rest: Tensor) -> None:
        """What somebody does, and the T-pose: keys of all turns, and of where the pelvis is."""
        numbers = self._document.numbers
        # Two keys give a pose a length, which viewers want of a clip.
        held = np.array([[0], [1]], np.float32)
        still = numbers(held, "SCALAR", bounds=True)
        unturned = numbers(np.tile(np.array([0, 0, 0, 1], np.float32), (2, 1)), "VEC4")
        if self._beginning is None:
            name, times, rotations, pelvis = FOUND, still, rotations.repeat(2, axis=0), pelvis.repeat(2, 1)
        else:
            seconds = [[_time(motion, frame) - self._beginning] for frame in range(len(motion))]
            name, times = MOVING, numbers(np.array(seconds, np.float32), "SCALAR", bounds=True)
        turns = self._document.several(rotations.swapaxes(0, 1), "VEC4")
        self._add_clip(name, skeleton, times, turns, numbers(_float32(pelvis), "VEC3"))
        place = numbers(_float32(rest.repeat(2, 1)), "VEC3")
        self._add_clip(T_POSE, skeleton, still, [unturned] * len(turns), place)

    def _add_clip(self, name: str, skeleton: int, times: int, turns: Sequence[int], place: int) -> None:
        samplers, channels = self._clips.setdefault(name, ([], []))
        for node, path, output in [(0, "translation", place), *((i, "rotation", turn) for i, turn in enumerate(turns))]:
            samplers.append({"input": times, "output": output})
            channels.append({"sampler": len(samplers) - 1, "target": {"node": skeleton + node, "path": path}})


def _home(motion: Motion, move: Tensor, rest: Tensor, joints: Tensor) -> Float[Tensor, "3"]:
    """Where the T-pose stands: its pelvis above or below that of the first frame, its feet as low as that frame's
    lowest point."""
    first = motion.posed(slice(0, 1))
    lowest = (first.vertices[0] @ move[1, :3]).min() + move[1, 3]
    pelvis = move[:3, :3] @ first.joints[0, 0] + move[:3, 3]
    return torch.stack([pelvis[0] - joints[0, 0], lowest - rest[:, 1].min(), pelvis[2] - joints[0, 2]])


def _local(motion: Motion, move: Tensor, joints: Tensor, home: Tensor) -> tuple[np.ndarray, Float[Tensor, "t 3"]]:
    """Each joint's turn, a quaternion (t, 24, 4), and where the pelvis is, relative to where the person stands."""
    rotations = motion.rotations.clone()
    rotations[:, 0] = move[:3, :3] @ rotations[:, 0]
    pelvis = (joints[0] + motion.translation) @ move[:3, :3].T + move[:3, 3] - home
    turns = _xyzw(rotations)
    # q and -q are one turn; viewers go from one to the next by the short way.
    for before, after in pairwise(turns):
        after *= np.where((before * after).sum(axis=-1, keepdims=True) < 0, -1, 1)
    return turns, pelvis


def _offsets(joints: Tensor) -> Tensor:
    """Of each joint from its parent; the root's own place."""
    return torch.cat([joints[:1], joints[1:] - joints[list(PARENTS[1:])]])


def _inverse_bind_matrices(joints: Tensor) -> np.ndarray:
    """Rest frames are world-aligned: each matrix only moves its joint to the origin. Column-major, as glTF has it."""
    matrices = np.tile(np.eye(4, dtype=np.float32), (len(joints), 1, 1))
    matrices[:, 3, :3] = -_float32(joints)
    return matrices


def _xyzw(rotations: Float[Tensor, "*b 3 3"]) -> np.ndarray:
    """Quaternions in glTF's order."""
    return _float32(quaternion_from_matrix(rotations.double()).roll(-1, -1))


def _unit(normals: Tensor) -> np.ndarray:
    """Unit normals; up where a vertex belongs to no face."""
    values = _float32(normals)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.where(length > 1e-6, values / np.maximum(length, 1e-6), np.array([0, 1, 0], np.float32)).astype(
        np.float32
    )


def _float32(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy().astype(np.float32)


def _motions(file: Binary) -> list[Motion]:
    said, nodes = file.json["asset"]["extras"], file.json["nodes"]
    move = torch.from_numpy(to_numbers(said["world_from_camera"], 4, 4))
    turn = move[:3, :3]
    rigid = torch.allclose(turn @ turn.T, torch.eye(3), atol=1e-4) and torch.linalg.det(turn) > 0
    if not rigid or move.abs().max() > _FURTHEST:
        raise Damaged("expected a rigid move in world_from_camera")
    homes = {child: node for node in nodes for child in node.get("children", ())}
    clips = [clip for clip in file.json["animations"] if clip["name"] in (FOUND, MOVING)]
    keys = {
        (channel["target"]["node"], channel["target"]["path"]): clip["samplers"][channel["sampler"]]["output"]
        for clip in clips
        for channel in clip["channels"]
    }
    people, skins = said["people"], file.json["skins"]
    if not len(people) == len(skins) > 0:
        raise Damaged("expected a skin for each person")
    motions, body_of = [], lru_cache(_body)
    for person, skin in zip(people, skins):
        bones = skin["joints"]
        if len(bones) != len(PARENTS):
            raise Damaged(f"expected {len(PARENTS)} joints, got {len(bones)}")
        outputs = [keys[bone, "rotation"] for bone in bones]
        arrays = {
            "turns": np.stack([file.numbers(output) for output in outputs]),
            "pelvis": file.numbers(keys[bones[0], "translation"]),
        }
        home = torch.from_numpy(to_numbers(homes[bones[0]]["translation"], 3))
        body = body_of(person["body_model"], person["vertices"], len(person["betas"]))
        motions.append(_motion(person, body, arrays, home, move))
    return motions


def _body(model: str, vertices: int, components: int) -> BodyModel | None:
    return bundled_body(model, vertices, components) if model in BUNDLED else None


def _motion(
    person: dict[str, Any], body: BodyModel | None, arrays: dict[str, np.ndarray], home: Tensor, move: Tensor
) -> Motion:
    frames, rate, start = person["frames"], person["frame_rate"], person["start"]
    if not (type(frames) is type(start) is int and 0 < frames <= len(arrays["pelvis"]) and abs(start) < 1 << 53):
        raise Damaged("expected numbers of frames that are there")
    if rate is not None and not (type(rate) in (int, float) and 0 < rate < math.inf):
        raise Damaged("expected a frame rate above 0, or none")
    if body is None:
        raise Damaged(f"expected the body model {' or '.join(BUNDLED)} of this version, got another")
    known = {name: torch.from_numpy(array) for name, array in fitted(arrays, _ARRAYS).items()}
    turns, pelvis = known["turns"].swapaxes(0, 1)[:frames].roll(1, -1), known["pelvis"][:frames]
    if not bool(((turns.norm(dim=-1) - 1).abs() < 1e-3).all()) or home.abs().max() > _FURTHEST:
        raise Damaged("expected unit quaternions, and people within a few kilometres")
    rotations = matrix(normalize(turns, dim=-1))
    rotations[:, 0] = move[:3, :3].T @ rotations[:, 0]
    betas = torch.from_numpy(to_numbers(person["betas"], None))
    if betas.abs().max() > _SHAPES_OFF:
        raise Damaged("expected betas that bodies have")
    translation = (home + pelvis - move[:3, 3]) @ move[:3, :3] - body.rest_joints(betas)[0]
    name, model = str(person["name"])[:_LONGEST_NAME], person["body_model"]
    return Motion(name, betas, rotations, translation, rate, body, model, start)
